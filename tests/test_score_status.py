"""Statuses, boundaries, the weakest component and the warnings of a score."""

from __future__ import annotations

import numpy as np
import pytest

import dqi_tracking
from dqi_tracking import History, score
from dqi_tracking.types import COMPONENTS
from tests.score_parts import parts_of, without_place

NAN, INF = np.nan, np.inf
CURVE = [4.0, 3.1, 3.3, 2.2, 2.4, 1.9, 2.0, 1.6, 1.7, 1.5, 1.55, 1.5]


def test_a_run_that_learns_is_ok() -> None:
    found = score(History(range(12), CURVE))
    assert (found.status, found.signal, found.n_points, found.n_nonfinite) == ("ok", "loss", 12, 0)
    assert 0 < found.dqi < 1
    assert 0 < found.dqi_raw < 1
    assert found.version == dqi_tracking.engine.ENGINE_VERSION


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1, -7.3, 1e-300, 1e300])
@pytest.mark.parametrize("units", ["relative", "raw"])
def test_a_flat_loss_scores_zero_in_thirds(value, units) -> None:
    found = score(History(range(30), [value] * 30), units=units)
    assert (found.status, found.dqi, found.dqi_raw) == ("flat", 0.0, 0.0)
    assert found.boundaries == (10, 20)
    assert found.weakest == "variation"
    assert [phase.variation for phase in found.phases.values()] == [0.0, 0.0, 0.0]
    assert [phase.density for phase in found.phases.values()] == [1.0, 1.0, 1.0]


def test_a_loss_that_moves_by_rounding_alone_is_flat() -> None:
    found = score(History(range(30), 0.1 + 1e-16 * (np.arange(30) % 2)))
    assert (found.status, found.dqi, found.dqi_raw) == ("flat", 0.0, 0.0)


def test_a_loss_that_moves_by_a_trillionth_of_itself_is_flat_in_either_unit() -> None:
    for units in ("relative", "raw"):
        found = score(History(range(30), 1e15 + np.arange(30) * 7 % 5), units=units)
        assert (found.status, found.dqi, found.dqi_raw) == ("flat", 0.0, 0.0)
        assert [phase.dqi for phase in found.phases.values()] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(("n", "boundaries"), [(1, (0, 0)), (2, (0, 1))])
def test_a_run_of_one_or_two_points_is_too_short_and_scores_zero(n, boundaries) -> None:
    found = score(History(range(n), CURVE[:n]))
    assert (found.status, found.dqi, found.dqi_raw) == ("too_short", 0.0, 0.0)
    assert (found.boundaries, found.weakest, found.n_points) == (boundaries, None, n)
    assert all(parts_of(phase) == (0, 0, 0, 0) for phase in found.phases.values())


def test_three_points_are_enough_to_be_scored_though_no_phase_has_three() -> None:
    found = score(History(range(3), [3, 2, 1]))
    assert (found.status, found.dqi, found.dqi_raw) == ("ok", 0.0, 0.0)


def test_a_run_that_logged_one_step_again_and_again_is_too_short() -> None:
    found = score(History([5] * 12, CURVE))
    assert (found.status, found.n_points) == ("too_short", 1)
    assert found.warnings == ("11 rows logged at a step already logged",)


def test_a_run_that_omitted_all_its_points_is_too_short_without_boundaries() -> None:
    found = score(History([1, 2, 3], [NAN, INF, NAN]), nan_policy="omit")
    assert (found.status, found.dqi, found.n_points, found.n_nonfinite) == ("too_short", 0.0, 0, 3)
    assert (found.boundaries, found.boundary_steps, found.weakest) == (None, None, None)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize("at", [0, 5, 11])
def test_one_point_that_is_not_finite_makes_every_score_nan(bad, at) -> None:
    loss = [bad if i == at else value for i, value in enumerate(CURVE)]
    found = score(History(range(12), loss))
    assert (found.status, found.n_points, found.n_nonfinite) == ("nan", 12, 1)
    assert (found.boundaries, found.boundary_steps, found.weakest) == (None, None, None)
    numbers = [found.dqi, found.dqi_raw]
    for phase in found.phases.values():
        numbers += [phase.dqi, *parts_of(phase)]
    assert np.isnan(numbers).all()
    assert found.signal == "loss"


def test_nan_is_nan_even_in_a_run_that_is_too_short() -> None:
    assert score(History([1, 2], [1.0, NAN])).status == "nan"


def test_a_run_that_logged_nothing_has_no_signal() -> None:
    for history in (History([]), History([1, 2, 3]), History([], [], [])):
        found = score(history)
        assert (found.status, found.signal, found.n_points) == ("no_signal", "", 0)
        assert np.isnan([found.dqi, found.dqi_raw]).all()
        assert (found.boundaries, found.weakest, found.warnings) == (None, None, ())


def test_omitting_a_point_scores_the_run_as_if_it_had_not_been_logged() -> None:
    step, loss = [*range(12), 3.5], [*CURVE, NAN]
    found = score(History(step, loss), nan_policy="omit")
    assert found.n_nonfinite == 1
    assert without_place(found)[:5] == without_place(score(History(range(12), CURVE)))[:5]


def test_interpolating_a_point_scores_the_run_as_if_it_lay_on_the_line() -> None:
    filled = [*CURVE[:5], (CURVE[4] + CURVE[6]) / 2, *CURVE[6:]]
    holed = [NAN, *CURVE[:5], NAN, *CURVE[6:], NAN]
    found = score(History(range(-1, 13), holed), nan_policy="interpolate")
    assert (found.n_points, found.n_nonfinite, found.status) == (12, 3, "ok")
    expected = score(History(range(12), filled))
    assert found.dqi == pytest.approx(expected.dqi, abs=1e-12)
    assert found.boundaries == expected.boundaries


def test_a_clean_run_scores_the_same_under_every_nan_policy() -> None:
    found = {repr(score(History(range(12), CURVE), nan_policy=policy)) for policy in POLICIES}
    assert len(found) == 1


POLICIES = ("propagate", "omit", "interpolate")


def test_the_gradient_norm_at_its_own_steps_scores_as_a_loss_there_would() -> None:
    step = np.arange(0, 120, 10)
    norm = History([1, 2, 3], grad_norm=CURVE, grad_step=step, grad_norm_key="train/grad_norm")
    found, expected = score(norm), score(History(step, CURVE))
    assert without_place(found) == without_place(expected)
    assert found.boundary_steps == expected.boundary_steps
    assert found.signal == "train/grad_norm"
    assert "no loss was logged: the gradient norm was read instead" in found.warnings


def test_the_loss_is_read_where_both_were_logged() -> None:
    both = score(History(range(12), CURVE, np.arange(12) % 3, loss_key="train/loss"))
    assert both.signal == "train/loss"
    assert without_place(both) == without_place(score(History(range(12), CURVE)))


def test_a_boundary_point_belongs_to_the_later_phase() -> None:
    # the smoothed jump at row 15 reaches 40 % of its change at row 14 and 75 % at row 15
    found = score(History(100 + 10 * np.arange(30), np.repeat([1.0, 0.0], 15)))
    assert found.boundaries == (14, 15)
    assert found.boundary_steps == (240.0, 250.0)
    assert [(p.start, p.stop, p.n_points) for p in found.phases.values()] == [
        (0, 14, 14),
        (14, 15, 1),
        (15, 30, 15),
    ]
    assert [(p.start_step, p.stop_step) for p in found.phases.values()] == [
        (100, 240),
        (240, 250),
        (250, 390),
    ]


@pytest.mark.parametrize("units", ["relative", "raw"])
def test_units_choose_the_phases_and_leave_both_scores(units) -> None:
    history = History(10 * np.arange(60), np.exp(-np.arange(60) / 15) + np.sin(np.arange(60)) / 9)
    found, other = score(history, units=units), score(history)
    assert (found.dqi, found.dqi_raw) == (other.dqi, other.dqi_raw)
    assert found.dqi != found.dqi_raw
    weighted = sum(w * p.dqi for w, p in zip((0.5, 0.3, 0.2), found.phases.values(), strict=True))
    assert weighted == pytest.approx(found.dqi_raw if units == "raw" else found.dqi, abs=1e-12)


def test_raw_scores_fall_with_the_logging_interval_and_relative_ones_do_not() -> None:
    loss = np.exp(-np.arange(60) / 15) + np.sin(np.arange(60)) / 9
    dense, sparse = score(History(np.arange(60), loss)), score(History(10 * np.arange(60), loss))
    assert dense.dqi == pytest.approx(sparse.dqi, abs=1e-12)
    # structure goes with the cube of the interval while tanh is close to linear
    assert 0 < sparse.dqi_raw < dense.dqi_raw / 100


def test_a_loss_too_small_to_move_in_its_own_units_is_cut_into_thirds_there_alone() -> None:
    history = History(range(12), np.array(CURVE) * 1e-14)
    assert score(history).boundaries == score(History(range(12), CURVE)).boundaries
    assert score(history, units="raw").boundaries == (4, 8)
    assert score(history).dqi > score(history).dqi_raw == 0.0


def test_weights_choose_what_the_phases_count() -> None:
    rng = np.random.default_rng(5)
    history = History(range(90), np.linspace(3, 1, 90) + rng.normal(size=90) / 9)
    phases = score(history).phases
    for weights, name in (((1, 0, 0), "early"), ((0, 1, 0), "mid"), ((0, 0, 1), "late")):
        found = score(history, weights=weights)
        assert found.dqi == phases[name].dqi
        assert found.phases == phases
        parts = dict(zip(COMPONENTS, parts_of(phases[name]), strict=True))
        assert found.weakest == min(parts, key=parts.__getitem__)


def test_a_long_regular_run_raises_no_warning() -> None:
    assert score(History(10 * np.arange(100), np.linspace(3, 1, 100))).warnings == ()


def test_warnings_name_what_to_bear_in_mind() -> None:
    step = [0, 1, 2, 3, 4, 4, 50, 60, 70, 80, 90, 100]
    loss = [*CURVE[:8], NAN, *CURVE[9:]]
    assert score(History(step, loss), nan_policy="omit").warnings == (
        "1 point not finite",
        "1 row logged at a step already logged",
        "irregular logging interval: gaps of 1 to 46 steps",
        "the early phase has only 2 points",
        "the mid phase has only 2 points",
    )


def test_an_interval_that_wavers_by_less_than_a_tenth_is_regular() -> None:
    loss = np.linspace(3, 1, 100)
    for wobble, is_warned in ((1, False), (3, True)):
        step = np.cumsum(10 + wobble * (np.arange(100) % 2))
        found = score(History(step, loss)).warnings
        assert [text.split(":")[0] for text in found] == ["irregular logging interval"] * is_warned


def test_regular_steps_in_the_largest_of_units_are_regular() -> None:
    assert score(History(1e300 * np.arange(100), np.linspace(3, 1, 100))).warnings == ()


def test_a_phase_of_six_points_is_long_enough_and_one_of_five_is_named() -> None:
    assert score(History(range(18), [1.0] * 18)).warnings == ()
    assert score(History(range(17), [1.0] * 17)).warnings == ("the early phase has only 5 points",)


def test_large_counts_are_written_with_separators() -> None:
    loss = np.where(np.arange(3000) % 2, NAN, np.arange(3000.0))
    assert score(History(range(3000), loss), nan_policy="omit").warnings == (
        "1,500 points not finite",
    )


def test_a_nan_run_says_how_many_points_and_nothing_of_phases() -> None:
    assert score(History(range(12), [NAN, NAN, *CURVE[2:]])).warnings == ("2 points not finite",)
