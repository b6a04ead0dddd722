"""Histories for the tests of insight: runs that learn, stand still, blow up, or log badly."""

from __future__ import annotations

import numpy as np

from dqi_tracking.types import History

ROWS = 200


def noise(scale: float, seed: int = 0, n: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=n)


def decay(n: int = ROWS, *, rate: float = 12.0, floor: float = 1.0) -> np.ndarray:
    """Fall from 5 to a floor, most of it early."""
    return floor + 4 * np.exp(-rate * np.linspace(0, 1, n))


def clean_run(seed: int = 0, *, n: int = ROWS, scale: float = 0.02, interval: int = 10) -> History:
    """Make a run that learns to its end, with noise and a regular log."""
    loss = 3 / (1 + 10 * np.linspace(0, 1, n)) ** 0.5 + noise(scale, seed, n)
    return History(interval * np.arange(n), loss)
