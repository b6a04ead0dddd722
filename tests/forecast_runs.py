"""Runs for the tests of the forecast: curves whose future is known."""

from __future__ import annotations

import numpy as np

from dqi_tracking.types import History


def power_law(n: int = 120, *, noise: float = 0.0, seed: int = 0, interval: int = 10) -> History:
    """Make a loss that falls as a power of the step, n points of it."""
    step = interval * np.arange(1, n + 1, dtype=float)
    rng = np.random.default_rng(seed)
    return History(step, 2 + 3 * (step / 100) ** -0.5 + noise * rng.normal(size=n))


def settled(n: int = 120, *, noise: float = 1e-3, seed: int = 0) -> History:
    """Make a loss that fell at once and has not moved since."""
    step = 10 * np.arange(1, n + 1, dtype=float)
    rng = np.random.default_rng(seed)
    return History(step, 1 + np.exp(-step / 20) + noise * rng.normal(size=n))


def turned(n: int = 120, *, noise: float = 1e-3, seed: int = 0) -> History:
    """Make a validation loss that fell until a third of the run and rises since."""
    step = 10 * np.arange(1, n + 1, dtype=float)
    u = step / step[-1]
    rng = np.random.default_rng(seed)
    return History(
        step, 1 + np.exp(-u * 12) + np.maximum(u - 1 / 3, 0) + noise * rng.normal(size=n)
    )


def cohort(runs: int, *, noise: float = 0.02, n: int = 80) -> list[History]:
    """Make finished runs that differ in exponent and noise alone."""
    rng = np.random.default_rng(7)
    step = 10 * np.arange(1, n + 1, dtype=float)
    return [
        History(step, 1 + (step / 10) ** -rng.uniform(0.2, 0.9) + noise * rng.normal(size=n))
        for _ in range(runs)
    ]


def until(history: History, share: float) -> History:
    """Cut a run after a share of its rows."""
    assert history.loss is not None
    stop = int(share * history.step.size)
    return History(history.step[:stop], history.loss[:stop])
