from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History
from dqi_tracking.insight.checks import Finding, check, measure
from tests.insight_runs import ROWS, clean_run, noise
from tests.strategies import FEW, curves, histories


def found(history: History) -> dict[str, Finding]:
    return {finding.name: finding for finding in check(history)}


def test_hardly_a_clean_run_has_a_finding() -> None:
    runs = [
        clean_run(seed, n=n, scale=scale)
        for seed in range(20)
        for n in (40, 200, 3000)
        for scale in (0.0, 0.002, 0.05)
    ]
    with_findings = [run for run in runs if check(run)]
    assert len(with_findings) <= 0.02 * len(runs)


def test_a_dense_start_is_a_plan_and_no_finding() -> None:
    step = np.concatenate((np.arange(100), np.arange(500, 100_000, 500)))
    loss = 1 / np.sqrt(1 + step / 50) + noise(0.001, n=step.size)
    assert check(History(step, loss)) == ()


def test_duplicated_steps_are_counted_with_their_range() -> None:
    run = clean_run()
    rows = np.r_[0:60, 50:ROWS]
    names = found(History(run.step[rows], run.loss[rows]))
    assert set(names) == {"duplicated_steps", "steps_go_back"}
    again = names["duplicated_steps"]
    assert (again.size, again.start_step, again.stop_step) == (10, 500, 590)
    back = names["steps_go_back"]
    assert (back.size, back.start_step, back.stop_step) == (1, 500, 590)
    assert "from 590 to 500" in back.sentence


def test_rows_without_any_order_do_not_go_back() -> None:
    run = clean_run()
    order = np.random.default_rng(1).permutation(ROWS)
    assert check(History(run.step[order], run.loss[order])) == ()


def test_missing_rows_are_told_as_a_share() -> None:
    run = clean_run()
    kept = np.sort(np.random.default_rng(0).permutation(ROWS)[: ROWS * 8 // 10])
    finding = found(History(run.step[kept], run.loss[kept]))["missing_rows"]
    assert finding.size == pytest.approx(0.2, abs=0.04)
    assert f"{100 * finding.size:.0f} %" in finding.sentence


def test_one_hole_is_found_where_it_is() -> None:
    run = clean_run()
    kept = np.r_[0:90, 98:ROWS]
    names = found(History(run.step[kept], run.loss[kept]))
    assert set(names) == {"largest_gap"}
    gap = names["largest_gap"]
    assert (gap.start_step, gap.stop_step, gap.size) == (890, 980, 9)


def test_an_interval_that_changes_is_found_where_it_changes() -> None:
    run = clean_run()
    kept = np.r_[0:80, 80:ROWS:5]
    names = found(History(run.step[kept], run.loss[kept]))
    assert set(names) == {"interval_change"}
    assert names["interval_change"].size == 5
    assert names["interval_change"].start_step == pytest.approx(800, abs=50)


def test_an_interval_that_wanders_is_irregular() -> None:
    gaps = np.random.default_rng(0).uniform(1, 5, ROWS)
    run = clean_run()
    names = found(History(np.cumsum(gaps), run.loss))
    assert set(names) == {"irregular_interval"}
    assert names["irregular_interval"].size > 0.3


def test_a_frozen_metric_is_found_with_its_rows() -> None:
    loss = clean_run().loss.copy()
    loss[120:150] = loss[120]
    names = found(History(clean_run().step, loss))
    stretch = names["constant_stretch"]
    assert (stretch.size, stretch.start_step, stretch.stop_step) == (30, 1200, 1490)


def test_a_rounded_loss_is_not_frozen() -> None:
    loss = np.round(clean_run(n=1000).loss, 1)
    assert "constant_stretch" not in found(History(np.arange(1000), loss))


def test_a_constant_run_is_one_stretch() -> None:
    assert set(found(History(np.arange(50), np.full(50, 3.0)))) == {"constant_stretch"}


@pytest.mark.parametrize("height", [2.0, -2.0, 1e300])
def test_a_spike_is_found_where_it_is(height: float) -> None:
    loss = clean_run().loss.copy()
    loss[130] += height
    spike = found(History(clean_run().step, loss))["spike"]
    assert (spike.start_step, spike.stop_step) == (1300, 1300)


def test_one_spike_of_many_is_no_finding() -> None:
    loss = clean_run().loss.copy()
    loss[::6] += 2.0
    assert "spike" not in found(History(clean_run().step, loss))


def test_a_loss_that_is_rescaled_on_the_way_jumps() -> None:
    loss = clean_run().loss.copy()
    loss[100:] *= 0.5
    names = found(History(clean_run().step, loss))
    assert set(names) == {"jump"}
    assert names["jump"].start_step == pytest.approx(1000, abs=60)


def test_a_resume_from_an_older_checkpoint_is_a_splice_and_no_jump() -> None:
    run = clean_run(scale=0.005)
    rows = np.r_[0:110, 50 : ROWS - 60]
    names = found(History(run.step, run.loss[rows]))
    assert set(names) == {"resume_splice"}
    splice = names["resume_splice"]
    assert splice.stop_step == pytest.approx(1100, abs=60)
    assert splice.start_step == pytest.approx(500, abs=80)


@pytest.mark.parametrize("rows", [0, 20, 30, 60])
def test_a_level_that_slides_down_is_no_jump_but_one_that_steps_is(rows: int) -> None:
    slide = np.clip((np.arange(400) - 200) / max(rows, 1), 0, 1)
    loss = 5 - slide + noise(0.05, n=400)
    assert ("jump" in found(History(np.arange(400), loss))) == (rows == 0)


def test_a_learning_rate_that_decays_late_makes_no_jump() -> None:
    # warm-up, stable, decay: the loss leaves its slow course for a faster one
    step = np.arange(300.0)
    loss = 3 + 2 / np.sqrt(1 + step / 10) - 0.3 * (1 - np.exp(-np.maximum(step - 200, 0) / 12))
    assert "jump" not in found(History(step, loss + noise(0.01, n=300)))


def test_a_bend_is_no_jump() -> None:
    loss = np.concatenate((np.full(100, 5.0), np.linspace(5, 2, 100)))
    assert check(History(np.arange(ROWS), loss + noise(0.01))) == ()


@pytest.mark.parametrize(
    "history",
    [
        History([]),
        History([], []),
        History([1], [2.0]),
        History([0, 1, 2], [3.0, 2.0, 1.0]),
        History(np.arange(100), np.full(100, np.nan)),
        History(np.arange(100)),
    ],
)
def test_too_little_to_say_is_no_finding(history: History) -> None:
    assert check(history) == ()


def test_the_gradient_norm_is_checked_where_there_is_no_loss() -> None:
    run = clean_run()
    values = run.loss.copy()
    values[100:140] = 1.0
    only = History([], grad_norm=values, grad_step=run.step)
    assert "constant_stretch" in found(only)


def test_values_that_are_not_finite_are_rows_that_were_logged() -> None:
    run = clean_run()
    loss = run.loss.copy()
    loss[60:80] = np.nan
    assert check(History(run.step, loss)) == ()


@given(curves(min_size=30), st.integers(-100, 100), st.integers(0, 30))
@FEW
def test_findings_do_not_depend_on_the_scale(curve, power: int, step_power: int) -> None:
    step, loss = curve
    before = measure(History(step, loss))
    after = measure(History(step * 2.0**step_power, loss * 2.0**power))
    assert before.keys() == after.keys()
    for name, each in before.items():
        assert after[name].size == pytest.approx(each.size, rel=1e-9, abs=1e-9)


@given(histories())
@FEW
def test_any_history_can_be_checked(history: History) -> None:
    for finding in check(history):
        assert finding.sentence
        assert finding.size > 0
        assert finding.start_step <= finding.stop_step
