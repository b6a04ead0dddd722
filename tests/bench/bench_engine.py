"""What scoring costs. Nothing is asserted of time: `make bench` prints and compares it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dqi_tracking.engine import score, score_many
from dqi_tracking.types import History


def curve(n: int, seed: int = 0) -> History:
    """Make the loss of a run that learns, noise and all."""
    rng = np.random.default_rng(seed)
    loss = np.exp(-np.arange(n) / (n / 5)) + rng.normal(scale=0.05, size=n)
    return History(10.0 * np.arange(n), loss)


@pytest.mark.parametrize("n", [1_000, 1_000_000])
def test_score(benchmark, n: int) -> None:
    history = curve(n)
    found = benchmark(score, history)
    assert found.status == "ok"
    record_rate(benchmark, points=n)


@pytest.mark.parametrize(("runs", "n"), [(1_000, 1_000), (10_000, 100)])
def test_score_many(benchmark, runs: int, n: int) -> None:
    batch = [curve(n, seed) for seed in range(runs)]
    found = benchmark(score_many, batch)
    assert len(found) == runs
    record_rate(benchmark, points=runs * n)


def test_start_of_the_command_line(benchmark) -> None:
    command = [sys.executable, "-m", "dqi_tracking", "--help"]
    done = benchmark.pedantic(
        subprocess.run,
        args=(command,),
        kwargs={"capture_output": True, "check": True},
        rounds=5,
        warmup_rounds=1,
    )
    assert done.stdout


def record_rate(benchmark, points: int) -> None:
    # `--benchmark-disable` runs the function once and measures nothing
    if benchmark.stats is not None:
        benchmark.extra_info["points_per_second"] = round(points / benchmark.stats.stats.median)
