"""Bootstrap intervals over groups of runs, and over families where there are several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

RESAMPLES = 1000


def interval(
    values: np.ndarray,
    family: np.ndarray,
    group: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
) -> tuple[float, float]:
    """Draw families, then groups within them, and take the 95 % interval of a statistic.

    Parameters
    ----------
    values : ndarray of shape (n, m)
        m numbers of each run; the statistic is given their means, of shape (resamples, m).
    family, group : ndarray of shape (n,)
        Labels. One family alone is kept, one group alone is drawn by its runs.
    """
    random = np.random.default_rng(0)
    families = np.unique(family)
    sums, counts = [], []
    for one in families:
        own = family == one
        labels = group[own] if np.unique(group[own]).size > 1 else np.arange(own.sum())
        _, index = np.unique(labels, return_inverse=True)
        total = np.stack([np.bincount(index, weights=column) for column in values[own].T], axis=1)
        sums.append(total)
        counts.append(np.bincount(index))
    drawn_sum = np.zeros((RESAMPLES, values.shape[1]))
    drawn_count = np.zeros(RESAMPLES)
    for draw in range(RESAMPLES):
        chosen = random.integers(0, families.size, families.size)
        for one in chosen if families.size > 1 else (0,):
            rows = random.integers(0, len(counts[one]), len(counts[one]))
            drawn_sum[draw] += sums[one][rows].sum(axis=0)
            drawn_count[draw] += counts[one][rows].sum()
    found = statistic(drawn_sum / drawn_count[:, None])
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)


def skill(means: np.ndarray) -> np.ndarray:
    """Return 1 − the first column over the second, in per cent."""
    return 100 * (1 - means[:, 0] / np.maximum(means[:, 1], 1e-12))


def difference(means: np.ndarray) -> np.ndarray:
    """Take the second column from the first."""
    return means[:, 0] - means[:, 1]


def mean(means: np.ndarray) -> np.ndarray:
    """Return the only column."""
    return means[:, 0]
