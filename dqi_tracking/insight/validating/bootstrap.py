"""Bootstrap intervals over groups: the runs of a group stand or fall together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.validating.result import Estimate

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

RESAMPLES = 2000


def over_groups(each: FloatArray, seed: int) -> Estimate:
    """Return the mean over groups with its 95 % percentile interval.

    Parameters
    ----------
    each : ndarray of shape (groups,)
        One number a group; every group counts the same.
    seed : int
        Of the draws.

    Returns
    -------
    Estimate
        Too narrow for a handful of groups, which the report says.

    References
    ----------
    Efron 1979, doi:10.1214/aos/1176344552.
    """
    random = np.random.default_rng(seed)
    means = each[random.integers(0, each.size, (RESAMPLES, each.size))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5)).tolist()
    return Estimate(float(each.mean()), low, high)
