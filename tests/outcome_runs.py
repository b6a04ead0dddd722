"""Tables of runs in groups for the tests of validation: signals, outcomes, configurations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dqi_tracking.insight.outcome import Features

NAMES = ("signal", "other", "loss_level", "loss_lowest", "n_points", "interval", "last_step")


class Runs(NamedTuple):
    """Features of pure noise, groups of equal size, configurations of three repeats."""

    features: Features
    groups: list[str]
    configurations: list[int]

    def replaced(self, **columns: np.ndarray) -> Features:
        values = self.features.values.copy()
        for name, column in columns.items():
            values[:, NAMES.index(name)] = column
        return Features(NAMES, values)


def noise_runs(seed: int = 0, *, n_groups: int = 4, size: int = 15) -> Runs:
    n = n_groups * size
    values = np.random.default_rng(seed).normal(size=(n, len(NAMES)))
    groups = [f"group {at}" for at in range(n_groups) for _ in range(size)]
    return Runs(Features(NAMES, values), groups, (np.arange(n) // 3).tolist())


def normal(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def by_configuration(seed: int, runs: Runs) -> np.ndarray:
    """One number for each configuration, with a little noise for each run."""
    each = normal(seed, len(runs.groups))[np.array(runs.configurations)]
    return each + 0.05 * normal(seed + 1, each.size)
