"""What a forecast costs. Nothing is asserted of time: `make bench` prints and compares it."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.insight.backtest import backtest
from dqi_tracking.insight.forecast import calibrate, forecast, forecast_many
from tests.forecast_runs import cohort, power_law


@pytest.mark.parametrize("n", [50, 10_000])
def test_one_forecast(benchmark, n: int) -> None:
    run = power_law(n, noise=0.05)
    assert benchmark(forecast, run, 2 * run.step[-1]).status == "ok"


def test_one_forecast_by_learning_rate(benchmark) -> None:
    run = power_law(300, noise=0.05)
    plan = (run.step, np.linspace(1, 0.2, 300))
    found = benchmark(forecast, run, 1.25 * run.step[-1], learning_rate=plan)
    assert found.mode == "learning_rate"


@pytest.mark.parametrize(("runs", "n"), [(5_000, 100), (500, 5_000)])
def test_many_forecasts(benchmark, runs: int, n: int) -> None:
    batch = [power_law(n, noise=0.05, seed=seed) for seed in range(runs)]
    horizons = [2 * run.step[-1] for run in batch]
    found = benchmark(forecast_many, batch, horizons)
    assert len(found) == runs
    record_rate(benchmark, runs)


def test_calibration(benchmark) -> None:
    runs = cohort(200)
    assert benchmark(calibrate, runs).sizes
    record_rate(benchmark, 200)


def test_backtest(benchmark) -> None:
    runs = cohort(100, noise=0.2)
    assert benchmark(backtest, runs).runs == 100
    record_rate(benchmark, 100)


def record_rate(benchmark, runs: int) -> None:
    # `--benchmark-disable` runs the function once and measures nothing
    if benchmark.stats is not None:
        benchmark.extra_info["runs_per_second"] = round(runs / benchmark.stats.stats.median)
