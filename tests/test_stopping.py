"""Stop advice, and what it would have saved."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.backtest import backtest
from dqi_tracking.insight.forecast import forecast
from dqi_tracking.insight.stop_replay import CHECKPOINTS
from dqi_tracking.insight.stopping import advise, best_index, running_mean
from dqi_tracking.types import History
from tests.forecast_runs import cohort, power_law, settled, turned, until


def test_a_run_that_overfits_is_advised_to_stop() -> None:
    seen = until(turned(), 0.8)
    advice = advise(seen, forecast(seen, 1200))
    assert advice.action == "stop"
    assert advice.stalled_steps == pytest.approx(550, abs=40)
    assert advice.steps_left == 240
    assert "no new best loss for" in advice.reason


def test_a_run_that_still_learns_is_not() -> None:
    seen = until(power_law(), 0.6)
    advice = advise(seen, forecast(seen, 1200))
    assert advice.action == "continue"
    assert advice.stalled_share == 0
    assert advice.gain_high > 0


def test_a_stall_alone_is_no_reason() -> None:
    # the loss falls until a tenth before now, where it pauses just above its best
    step = np.arange(1.0, 101)
    loss = 4 - np.minimum(step, 85) / 30 + 0.02 * np.random.default_rng(3).normal(size=100)
    loss[86:] += 0.1
    advice = advise(History(step, loss), forecast(History(step, loss), 200))
    assert advice.stalled_share > 0.05
    assert advice.action == "continue"
    assert "is possible" in advice.reason


def test_no_forecast_no_advice() -> None:
    for run in (History([1, 2], [2, 1]), History(range(30), np.ones(30))):
        advice = advise(run, forecast(run, 100))
        assert advice.action == "unknown"
        assert np.isnan(advice.gain_high)


def test_a_metric_that_should_rise_is_the_mirror() -> None:
    seen = until(turned(), 0.8)
    mirrored = History(seen.step, 10 - seen.loss)
    there = advise(mirrored, forecast(mirrored, 1200, higher_is_better=True), higher_is_better=True)
    here = advise(seen, forecast(seen, 1200))
    assert there.action == here.action == "stop"
    assert there.gain_high == pytest.approx(here.gain_high)


def test_the_best_so_far_is_that_of_a_running_mean() -> None:
    y = np.array([5.0, 3, 4, 2, 2, 6])
    assert best_index(y).tolist() == [0, 1, 1, 3, 3, 3]
    noisy = np.random.default_rng(0).normal(size=4800)
    smooth = running_mean(noisy)
    assert smooth[-1] == pytest.approx(noisy[-100:].mean())
    assert smooth[10] == pytest.approx(noisy[:11].mean())


def test_a_backtest_counts_what_was_saved_and_what_it_cost() -> None:
    runs = [turned(seed=seed) for seed in range(8)] + [power_law(seed=seed) for seed in range(8)]
    found = backtest(runs)
    assert found.runs == 16
    assert found.stopped == 8
    assert all(saved > 0.2 for saved in found.each_saved[:8])
    assert all(saved == 0 for saved in found.each_saved[8:])
    # the best loss of a run that overfits has come long before it is stopped
    assert max(found.each_regret) < 0.01
    assert found.saved == pytest.approx(np.mean(found.each_saved))
    assert "8 of 16 runs" in found.sentence


@pytest.mark.parametrize("rising", [False, True])
def test_a_backtest_stops_where_the_advice_would_have(rising: bool) -> None:
    runs = [turned(seed=0), power_law(noise=0.3, seed=1), settled(noise=0.01, seed=2)]
    if rising:
        runs = [History(run.step, 10 - run.loss) for run in runs]
    found = backtest(runs, higher_is_better=rising)
    for run, saved in zip(runs, found.each_saved, strict=True):
        stops = [0.0]
        for share in CHECKPOINTS:
            seen = until(run, share + 1e-9)
            told = forecast(seen, run.step[-1], higher_is_better=rising)
            if advise(seen, told, higher_is_better=rising).action == "stop":
                stops.append(1 - share)
        assert saved == pytest.approx(max(stops), abs=0.03)


def test_patience_pays_for_a_pause_that_advice_sits_out() -> None:
    # all of them pause for a tenth of the run and then fall on; half of them end flat
    rng = np.random.default_rng(0)
    step = np.arange(1.0, 201)
    runs = []
    for flat in (True, False) * 10:
        pause = rng.uniform(0.3, 0.5)
        u = np.where(step / 200 < pause, step / 200, np.maximum(pause, step / 200 - 0.1))
        fall = 3 * np.exp(-u * (14 if flat else 3))
        runs.append(History(step, 1 + fall + 5e-3 * rng.normal(size=200)))
    found = backtest(runs)
    assert found.stopped >= 5
    assert found.regret <= found.patience_regret
    assert found.reduction_low <= found.reduction <= found.reduction_high


def test_runs_that_always_improve_cost_nothing() -> None:
    found = backtest([power_law(seed=seed) for seed in range(5)])
    assert (found.stopped, found.saved, found.regret) == (0, 0, 0)
    assert np.isnan(found.reduction)


def test_groups_are_drawn_together() -> None:
    runs = cohort(12, noise=0.2)
    alone = backtest(runs)
    grouped = backtest(runs, groups=["a", "b", "c"] * 4)
    assert alone.regret == grouped.regret
    assert (alone.reduction_low, alone.reduction_high) != (
        grouped.reduction_low,
        grouped.reduction_high,
    )
    with pytest.raises(ConfigError, match="2 groups for 12 runs"):
        backtest(runs, groups=["a", "b"])


def test_nothing_to_replay_is_told() -> None:
    with pytest.raises(ConfigError, match="no run can be replayed"):
        backtest([History([1, 2], [2, 1]), settled(7)])
    with pytest.raises(ConfigError, match="no run can be replayed"):
        backtest([])


def test_broken_runs_are_passed_over() -> None:
    runs = [turned(), History(range(50), np.full(50, np.nan)), History([], [])]
    assert backtest(runs).runs == 1
