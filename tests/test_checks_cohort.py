from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.checks import CohortCurves, Finding, check
from tests.insight_runs import ROWS, clean_run, noise
from tests.strategies import FEW, histories

COHORT = CohortCurves.of([clean_run(seed) for seed in range(12)])
RUN = clean_run(99)


def found(history: History, cohort: CohortCurves = COHORT) -> dict[str, Finding]:
    return {finding.name: finding for finding in check(history, cohort=cohort)}


def test_a_run_like_its_cohort_has_no_finding() -> None:
    assert [check(clean_run(seed), cohort=COHORT) for seed in range(20, 40)] == [()] * 20


def test_without_a_cohort_nothing_is_compared() -> None:
    assert check(History(RUN.step, RUN.loss / 2)) == ()


@pytest.mark.parametrize("factor", [0.5, 2.0, 1000.0])
def test_a_rescaled_loss_is_found_with_its_factor(factor: float) -> None:
    finding = found(History(RUN.step, RUN.loss * factor))["rescaled"]
    assert f"{factor:.3g} times" in finding.sentence or f"{factor:.2g}" in finding.sentence
    assert (finding.start_step, finding.stop_step) == (0, 10 * (ROWS - 1))


def test_more_and_less_noise_are_found() -> None:
    smooth = clean_run(99, scale=0.0).loss
    assert "noise_level" in found(History(RUN.step, smooth + noise(0.08, 5)))
    assert "noise_level" in found(History(RUN.step, smooth + noise(0.004, 5)))


def test_a_run_of_another_shape_is_far_from_its_cohort() -> None:
    loss = np.linspace(3.0, 0.9, ROWS) + noise(0.02, 7)
    assert "far_from_cohort" in found(History(RUN.step, loss))


def test_another_interval_is_found_unless_others_share_it() -> None:
    coarse = History(RUN.step[::5], RUN.loss[::5])
    assert found(coarse)["other_interval"].size == 5
    mixed = CohortCurves.of(
        [clean_run(seed) for seed in range(9)]
        + [clean_run(seed, n=40, interval=50) for seed in range(3)]
    )
    assert "other_interval" not in found(coarse, mixed)


def test_what_several_runs_of_the_cohort_have_is_a_configuration_and_no_finding() -> None:
    twice = History(RUN.step, RUN.loss * 2)
    noisy = History(RUN.step, clean_run(99, scale=0.0).loss + noise(0.08, 5))
    others = [clean_run(seed) for seed in range(16)]
    with_twice = [History(run.step, run.loss * 2) for run in map(clean_run, range(30, 34))]
    with_noise = [clean_run(seed, scale=0.08) for seed in range(30, 34)]
    assert "rescaled" in found(twice, CohortCurves.of(others))
    assert "noise_level" in found(noisy, CohortCurves.of(others))
    assert found(twice, CohortCurves.of([*others, *with_twice])) == {}
    assert found(noisy, CohortCurves.of([*others, *with_noise])) == {}


def test_the_run_itself_may_be_in_its_cohort() -> None:
    odd = History(RUN.step, RUN.loss * 2)
    with_itself = CohortCurves.of([*(clean_run(seed) for seed in range(11)), odd])
    assert "rescaled" in found(odd, with_itself)


@pytest.mark.parametrize("runs", [0, 7])
def test_a_cohort_under_eight_runs_is_refused(runs: int) -> None:
    empty = [History([0, 1], [np.nan, np.nan]), History([]), History([0])]
    with pytest.raises(ConfigError, match=f"cohort of {runs} runs") as raised:
        CohortCurves.of([*(clean_run(seed) for seed in range(runs)), *empty])
    assert "8 runs" in raised.value.fix


def test_a_cohort_of_copies_and_one_of_negative_losses() -> None:
    copies = CohortCurves.of([RUN] * 8)
    assert check(RUN, cohort=copies) == ()
    negative = CohortCurves.of([History(RUN.step, clean_run(seed).loss - 10) for seed in range(8)])
    assert check(History(RUN.step, RUN.loss - 10), cohort=negative) == ()


def test_a_run_of_other_steps_shares_nothing_and_says_nothing_of_the_curve() -> None:
    names = found(History(RUN.step + 1e6, RUN.loss))
    assert not {"rescaled", "far_from_cohort"} & set(names)


@given(histories(), st.lists(histories(), min_size=8, max_size=10))
@FEW
def test_any_cohort_can_be_compared_with(history: History, members: list[History]) -> None:
    try:
        cohort = CohortCurves.of(members)
    except ConfigError:
        cohort = COHORT
    assert all(finding.sentence for finding in check(history, cohort=cohort))
