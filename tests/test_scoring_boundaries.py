from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History, score, score_many
from dqi_tracking.engine.phases import at_steps
from dqi_tracking.errors import ConfigError
from dqi_tracking.types import COMPONENTS
from tests import reference
from tests.insight_runs import clean_run
from tests.strategies import FEW, curves, histories

RUN = clean_run()  # 200 rows, steps 0, 10 … 1990


def edges(boundaries: tuple[float, float], **options: object) -> tuple[int, ...]:
    found = score(RUN, boundaries=boundaries, **options)
    assert found.boundaries == (found.early.stop, found.mid.stop)
    assert [phase.start for phase in found.phases.values()] == [0, *found.boundaries]
    return found.boundaries


def test_the_row_at_a_boundary_belongs_to_the_later_phase() -> None:
    assert edges((500, 1500)) == (50, 150)
    assert edges((500.5, 1500.5)) == (51, 151)
    assert edges((499.5, 1499.5)) == (50, 150)
    assert edges((500, 1500), units="raw") == (50, 150)


def test_steps_outside_of_the_run_count_as_its_ends() -> None:
    assert edges((-1e308, 1e308)) == (0, 199)
    assert edges((5_000, 6_000)) == (199, 199)
    assert edges((-6, -5)) == (0, 0)


def test_each_phase_is_scored_as_the_slice_that_it_is() -> None:
    found = score(RUN, boundaries=(300, 1_200), units="raw")
    slices = {"early": slice(30), "mid": slice(30, 120), "late": slice(120, None)}
    for name, part in slices.items():
        expected = reference.components(RUN.step[part], RUN.loss[part])
        phase = found.phases[name]
        numbers = [getattr(phase, component) for component in COMPONENTS]
        assert numbers == pytest.approx(list(expected), abs=1e-9)
        assert phase.dqi == pytest.approx(np.prod(expected), abs=1e-9)
    weighed = 0.5 * found.early.dqi + 0.3 * found.mid.dqi + 0.2 * found.late.dqi
    assert found.dqi_raw == pytest.approx(weighed, abs=1e-12)


@given(curves(min_size=4))
@FEW
def test_the_boundaries_that_the_rule_finds_give_the_score_of_the_rule(curve) -> None:
    history = History(*curve)
    by_rule = score(history)
    given_back = score(history, boundaries=by_rule.boundary_steps)
    assert repr(given_back) == repr(by_rule)


@given(st.lists(histories(), max_size=5), st.data())
@FEW
def test_many_with_boundaries_are_each_as_alone(runs, data) -> None:
    step = st.floats(-10, 1000)
    pair = st.one_of(st.none(), st.tuples(step, step).map(lambda two: tuple(sorted(two))))
    pairs = [data.draw(pair) for _ in runs]
    found = score_many(runs, boundaries=iter(pairs))
    alone = [score(run, boundaries=pair) for run, pair in zip(runs, pairs, strict=True)]
    assert [repr(one) for one in found] == [repr(one) for one in alone]
    without = score_many(runs, boundaries=[None] * len(runs))
    assert repr(without) == repr(score_many(runs))


@pytest.mark.parametrize(
    "wrong",
    [
        (float("nan"), 5),
        (5, float("nan")),
        (5, float("inf")),
        (float("-inf"), 5),
        (5, 4),
        (5,),
        (1, 2, 3),
        ("a", "b"),
        5,
        (None, 5),
    ],
)
def test_what_is_not_two_steps_in_order_is_refused(wrong) -> None:
    with pytest.raises(ConfigError, match="two finite steps") as caught:
        score(RUN, boundaries=wrong)
    assert "500" in caught.value.fix


@pytest.mark.parametrize("pairs", [[], [None], [None] * 3, [(1, 2)] * 3])
def test_one_pair_for_each_history_or_none_at_all(pairs) -> None:
    with pytest.raises(ConfigError, match="one pair of boundaries"):
        score_many([RUN, RUN], boundaries=pairs)


def test_runs_without_scores_have_boundaries_where_they_have_rows() -> None:
    short = score(History([0, 10], [2.0, 1.0]), boundaries=(5, 8))
    assert (short.status, short.boundaries, short.dqi) == ("too_short", (1, 1), 0.0)
    assert score(History([]), boundaries=(5, 8)).boundaries is None
    assert score(History([0, 1, 2], [1, np.nan, 2]), boundaries=(1, 2)).boundaries is None
    flat = score(History(range(30), np.ones(30)), boundaries=(5, 8))
    assert (flat.status, flat.boundaries, flat.dqi) == ("flat", (5, 8), 0.0)


def test_steps_that_repeat_are_cut_before_their_first_row() -> None:
    step = np.repeat(np.arange(10.0), 3)
    assert at_steps(step, 2, 7) == (6, 21)
    found = score(History(step, np.cos(step)), boundaries=(2, 7), duplicates="keep")
    assert found.boundaries == (6, 21)
    assert at_steps(step, 2, 99) == (6, 27)
