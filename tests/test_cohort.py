"""Cohort readings: what is read from a run, and how runs are ranked by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.binning import N_BINS
from dqi_tracking.insight.cohort import GRAD_STRENGTH, LOSS_STRENGTH, ranks
from dqi_tracking.insight.cohort_reading import LATE, reading
from dqi_tracking.insight.population import standing
from tests.insight_runs import ROWS, decay, noise
from tests.strategies import FEW, curves, histories

STEP = 10.0 * np.arange(ROWS)
END = STEP[-1]
SETTLING = np.geomspace(1, 0.01, ROWS)


def test_the_lowest_loss_is_that_of_the_lowest_bin_not_of_one_row() -> None:
    loss = 5 - 4 * np.sin(np.linspace(0, np.pi, ROWS)) + noise(0.01)
    loss[20] = -100.0
    found = reading(History(STEP, loss))
    # five rows a bin
    lowest = min(np.median(rows) for rows in loss.reshape(N_BINS, -1))
    assert found.lowest_loss == pytest.approx(lowest, abs=0.01)
    assert found.until == END
    assert found.n_points == ROWS


def test_the_late_gradient_norm_is_the_median_log_of_the_last_fifth() -> None:
    found = reading(History(STEP, decay(), SETTLING))
    late = STEP >= (1 - LATE) * END
    assert found.late_grad_norm == pytest.approx(np.median(np.log(SETTLING[late])))
    assert found.n_late == late.sum()
    assert found.reason == ""


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.99])
def test_at_a_share_of_the_run_nothing_after_it_is_seen(share: float) -> None:
    seen = share * END >= STEP
    loss, grad_norm = decay() + noise(0.1), SETTLING + 0.1 * np.abs(noise(1, 1))
    whole = History(STEP, loss, grad_norm)
    other = History(STEP, np.where(seen, loss, -9.0), np.where(seen, grad_norm, 50.0))
    assert reading(other, share=share) == reading(whole, share=share)
    assert reading(whole, share=share).n_points == seen.sum()
    # a run that still goes on reads the same as the whole one did then
    running = History(STEP[seen], loss[seen], grad_norm[seen])
    assert reading(running, share=share, end_step=END) == reading(whole, share=share)


def test_a_run_that_has_not_come_so_far_is_not_read() -> None:
    rows = slice(0, 50)
    run = History(STEP[rows], decay()[rows], SETTLING[rows])
    found = reading(run, share=0.4, end_step=END)
    assert np.isnan([found.lowest_loss, found.late_grad_norm]).all()
    assert found.reason == "the run was logged up to step 490, and is to be read at step 796"
    assert np.isfinite(reading(run, share=0.25, end_step=END).lowest_loss)
    # a bin's width short of the share is near enough: runs log at intervals
    assert np.isfinite(reading(run, share=1.0, end_step=500).lowest_loss)
    assert np.isnan(reading(run, share=1.0, end_step=520).lowest_loss)
    assert "step -5" in reading(run, end_step=-5).reason


def test_values_that_are_not_finite_are_left_out() -> None:
    loss, grad_norm = decay() + noise(0.01), SETTLING.copy()
    loss[150:] = np.nan
    grad_norm[-10:] = [np.nan, np.inf, -np.inf, 0.0, -1.0] * 2
    found = reading(History(STEP, loss, grad_norm))
    assert found.n_points == 150
    assert found.lowest_loss == pytest.approx(decay()[145:150].mean(), abs=0.02)
    # the run went on to its end, though its loss was lost
    assert found.until == END
    assert found.n_late == 30
    assert np.isfinite(found.late_grad_norm)


def test_what_cannot_be_read_has_its_reason() -> None:
    empty = reading(History([]))
    assert np.isnan([empty.lowest_loss, empty.late_grad_norm, empty.until]).all()
    assert empty.reason == "the run has no rows"
    assert reading(History(STEP)).reason == "the run has no rows"
    nothing = reading(History(STEP, np.full(ROWS, np.nan), np.zeros(ROWS)))
    assert "no finite loss was logged" in nothing.reason
    assert "0 of the 3 positive gradient norms needed" in nothing.reason
    one = reading(History([3.0], [2.0], [1.0]))
    assert one.lowest_loss == 2.0
    assert "1 of the 3" in one.reason
    grad_only = reading(History(STEP, grad_norm=SETTLING))
    assert np.isfinite(grad_only.late_grad_norm)
    assert grad_only.reason == "no finite loss was logged"


def test_rows_in_any_order_a_restart_and_steps_of_their_own_read_the_same() -> None:
    run = History(STEP, decay() + noise(0.01), SETTLING)
    order = np.random.default_rng(0).permutation(ROWS)
    assert reading(History(STEP[order], run.loss[order], SETTLING[order])) == reading(run)
    again = np.concatenate((np.arange(120), np.arange(80, ROWS)))
    loss, grad_norm = run.loss[again].copy(), SETTLING[again].copy()
    loss[80:120], grad_norm[80:120] = -9.0, 99.0
    assert reading(History(STEP[again], loss, grad_norm)) == reading(run)
    own = reading(History(STEP, run.loss, SETTLING[1::2], grad_step=STEP[1::2]))
    assert own.lowest_loss == reading(run).lowest_loss
    assert own.late_grad_norm == pytest.approx(reading(run).late_grad_norm, abs=0.05)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="not in"):
        reading(History(STEP, decay()), share=share)


def test_an_end_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="not finite"):
        reading(History(STEP, decay()), end_step=float("inf"))


@given(histories(), st.sampled_from((0.2, 0.5, 1.0)))
@FEW
def test_any_history_can_be_read(run: History, share: float) -> None:
    found = reading(run, share=share)
    is_whole = np.isfinite([found.lowest_loss, found.late_grad_norm]).all()
    assert bool(found.reason) is not bool(is_whole)


@given(curves(min_size=20), st.integers(-40, 40))
@FEW
def test_scaling_scales_the_loss_and_shifts_the_log_of_the_gradient(curve, power: int) -> None:
    step, loss = curve
    grad_norm = np.abs(loss) + 0.1
    before = reading(History(step, loss, grad_norm))
    after = reading(History(step, loss * 2.0**power, grad_norm * 2.0**power))
    assert after.lowest_loss == before.lowest_loss * 2.0**power
    assert after.late_grad_norm == pytest.approx(
        before.late_grad_norm + power * np.log(2), abs=1e-9, nan_ok=True
    )


def test_ranks_are_standings_within_cohort_and_optimizer() -> None:
    rng = np.random.default_rng(0)
    losses, grads = rng.random(60), rng.normal(size=60)
    grads[3] = np.nan
    cohort = ["a", "b"] * 30
    optimizer = ["adam"] * 30 + ["sgd"] * 30
    found = ranks(losses, grads, cohort=cohort, optimizer=optimizer)
    assert found.loss.percentile.tolist() == standing(losses, cohort).percentile.tolist()
    for name in "ab":
        for kind in ("adam", "sgd"):
            rows = [r for r in range(60) if cohort[r] == name and optimizer[r] == kind]
            alone = standing(grads[rows])
            assert np.array_equal(found.grad.percentile[rows], alone.percentile, equal_nan=True)
    assert found.grad.cohort_size[3] == 14
    assert "percentile" in found.loss_sentence(3)
    assert "no finite number" in found.grad_sentence(3)


def test_a_low_percentile_is_a_low_loss() -> None:
    found = ranks(np.arange(10), np.arange(10))
    assert found.loss.percentile[0] == 5
    assert found.grad.percentile[9] == 95


def test_optimizers_that_are_not_known_are_said_to_be() -> None:
    found = ranks(range(20), range(20), optimizer=["adam"] * 10 + [""] * 10)
    assert found.is_optimizer_known.tolist() == [True] * 10 + [False] * 10
    assert found.grad.cohort_size.tolist() == [10] * 20
    assert "of 10 runs of its optimizer" in found.grad_sentence(0)
    assert "optimizers that are not known" in found.grad_sentence(10)
    assert "optimizers that are not known" in ranks(range(8), range(8)).grad_sentence(0)


def test_every_sentence_tells_the_cohorts_size_and_how_weak_it_is() -> None:
    found = ranks(range(20), range(20), cohort=["a"] * 12 + ["b"] * 8)
    for row, size in ((0, 12), (11, 12), (12, 8)):
        for sentence in (found.loss_sentence(row), found.grad_sentence(row)):
            assert f"of {size} runs" in sentence
            assert "weak" in sentence
    assert LOSS_STRENGTH in found.loss_sentence(0)
    assert GRAD_STRENGTH in found.grad_sentence(0)
    few = ranks(range(3), range(3))
    assert few.loss_sentence(0).startswith("no rank of its loss: the cohort has only 3 runs")


def test_one_of_each_for_each_run_or_it_is_refused() -> None:
    for given_arrays, labels in (
        (([1, 2], [1]), {}),
        (([1, 2], [1, 2]), {"cohort": ["a"]}),
        (([1, 2], [1, 2]), {"optimizer": ["a"] * 3}),
    ):
        with pytest.raises(ConfigError, match="for 2 losses"):
            ranks(*given_arrays, **labels)
    assert ranks([], []).loss.percentile.size == 0
