"""What a page costs, in time and in bytes. Nothing is asserted of time."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.engine import score
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.report.page import phases_html
from dqi_tracking.types import History, RunRef


@pytest.mark.parametrize("gradient", [False, True], ids=["loss", "loss and gradient"])
@pytest.mark.parametrize("n", [100, 1_000, 10_000, 100_000, 1_000_000])
def test_page(benchmark, n: int, gradient: bool) -> None:
    rng = np.random.default_rng(0)
    loss = 1.0 + np.exp(-np.arange(n) / (n / 5)) + rng.normal(scale=0.05, size=n)
    history = History(
        10.0 * np.arange(n), loss, rng.exponential(size=n) + 0.1 if gradient else None
    )
    found = score(history)
    ref, insight, at = RunRef("0af3", "base"), insight_of(history), "2026-11-22T01:40:00Z"
    page = benchmark(phases_html, found, history, ref, insight=insight, scored_at=at)
    assert len(page) <= 60_000
    benchmark.extra_info["bytes"] = len(page)
