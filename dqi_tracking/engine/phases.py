"""Stage 2: where the early phase ends and the late one begins.

Source of the rules: the DQI method, "Phase Detection": boundaries where 40 % and 75 % of all
change of the smoothed signal has happened. Where a person gives two steps, those are the
boundaries.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dqi_tracking.errors import ConfigError
from dqi_tracking.types import FloatArray

if TYPE_CHECKING:
    from collections.abc import Sequence

IntArray = NDArray[np.int64]

EARLY_END = 0.40
MID_END = 0.75
MIN_CHANGE = 1e-12
"""Total change up to which a run counts as flat and is cut into thirds."""
TIE = 1e-9
"""Slack of the two shares, so that a boundary on an exact tie (any straight line has one) does
not depend on the last bit of a sum."""


def smooth(y: FloatArray) -> FloatArray:
    """Return the centred moving average of y over max(3, n // 20) points, made odd.

    Edges are padded with the edge value. O(n) whatever the window.

    Parameters
    ----------
    y : ndarray of shape (n,), n ≥ 1, finite

    Returns
    -------
    ndarray of shape (n,)
    """
    n = y.size
    window = max(3, n // 20) | 1
    half = window // 2
    total = np.empty(n + window)
    total[0] = 0.0
    total[1 : half + 1] = y[0]
    total[half + 1 : half + 1 + n] = y
    total[half + 1 + n :] = y[-1]
    np.add.accumulate(total, out=total)
    return (total[window:] - total[:-window]) / window


def thirds(n: int) -> tuple[int, int]:
    """Return the boundaries of a run without change: n // 3 and 2n // 3."""
    return n // 3, 2 * n // 3


def boundaries(y: FloatArray) -> tuple[int, int, float]:
    """Find the two phase boundaries of one signal.

    The phases are the half-open slices ``[0, a)``, ``[a, b)``, ``[b, n)``: the boundary point
    belongs to the later phase. Scaling or shifting y does not move them.

    Parameters
    ----------
    y : ndarray of shape (n,), n ≥ 2, finite

    Returns
    -------
    a, b : int
        First index whose cumulative change reaches 40 % and 75 % of the total; 0 ≤ a ≤ b < n.
        Thirds where the total is at most 1e-12.
    total : float
        Total change of the smoothed signal, ≥ 0, in the units of y. O(n).
    """
    smoothed = smooth(y)
    change = np.empty_like(smoothed)
    np.subtract(smoothed[2:], smoothed[:-2], out=change[1:-1])
    change[1:-1] *= 0.5
    change[0] = smoothed[1] - smoothed[0]
    change[-1] = smoothed[-1] - smoothed[-2]
    np.abs(change, out=change)
    np.add.accumulate(change, out=change)
    total = float(change[-1])
    if total <= MIN_CHANGE:
        return *thirds(y.size), total
    early_end = change.searchsorted((EARLY_END - TIE) * total)
    mid_end = change.searchsorted((MID_END - TIE) * total)
    return int(early_end), int(mid_end), total


def checked_steps(steps: Sequence[float]) -> tuple[float, float]:
    """Return the steps at which the early and the mid phase are to end, as floats.

    Raises
    ------
    ConfigError
        When there are not two, one is not finite, or the first is larger than the second.
    """
    try:
        early_end, mid_end = (float(step) for step in steps)
    except (TypeError, ValueError, OverflowError):
        early_end = mid_end = math.nan
    if not (math.isfinite(early_end) and math.isfinite(mid_end) and early_end <= mid_end):
        raise ConfigError(
            f"boundaries {steps!r} are not two finite steps in order",
            fix="pass the steps at which the early and the mid phase end, such as (500, 9000)",
        )
    return early_end, mid_end


def at_steps(x: FloatArray, early_end: float, mid_end: float) -> tuple[int, int]:
    """Find the rows at which phases begin that end at given steps.

    Parameters
    ----------
    x : ndarray of shape (n,), n ≥ 1, sorted
        Steps as they were logged.
    early_end, mid_end : float
        Steps, finite, in order; what lies outside of the run counts as its first or last step.

    Returns
    -------
    a, b : int
        First rows whose step is not below them: a row at a boundary belongs to the later phase.
        0 ≤ a ≤ b < n. O(log n).
    """
    first, last = x[0], x[-1]
    early_row = x.searchsorted(min(max(early_end, first), last))
    mid_row = x.searchsorted(min(max(mid_end, first), last))
    return int(early_row), int(mid_row)
