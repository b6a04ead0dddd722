"""Checks of the curve by itself: constant stretches, spikes, jumps, and resume splices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

from dqi_tracking.insight.checks.finding import CheckName, Measure

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

MIN_ROWS = 30
"""Rows that a statement on spikes and jumps needs."""
STRETCH_ROWS = 5
"""Equal values in a row."""
STRETCH_RATIO = 2.0
"""Longest stretch over the second longest: rounded losses have many short ones."""
SPIKE = 20.0
"""Standard deviations of the noise around it."""
JUMP = 5.0
"""Standard errors of a difference of two levels."""
SPLICE = 4.0
"""Standard errors of a rise that leads back to an earlier level."""
FAST_START = 0.1
"""Share of the run's steps at its start that is left out: a loss that falls fast looks like one
jump after the other."""
COARSE_ROWS = 400
"""Rows to which a longer run is reduced before its levels are compared."""
FLOOR = 2e-3
"""Smallest noise, as a share of the 5 to 95 % range: a smooth curve is not judged by its last
digits."""

_NARROW = 5  # rows of the running median that a spike stands out of
_WIDE = 41  # rows over which the noise is told
_SIGMA_OF_MAD = 1.4826
_NORMAL_80, _NORMAL_95 = 1.2816, 1.96  # quantiles of the size of a standard normal


def constant_stretch(x: FloatArray, y: FloatArray) -> Measure:
    """Find the longest stretch of exactly equal values.

    Parameters
    ----------
    x, y : ndarray of shape (n,), n ≥ 1
        Sorted by x, finite.

    Returns
    -------
    Measure
        Size in rows, ≥ 1. The limit is twice the second longest stretch where that is more than
        `STRETCH_ROWS`. O(n).
    """
    edges = np.flatnonzero(np.concatenate(([True], y[1:] != y[:-1], [True])))
    lengths = np.diff(edges)
    place = int(np.argmax(lengths))
    longest = int(lengths[place])
    second = int(np.delete(lengths, place).max(initial=0))
    first, last = x[edges[place]], x[edges[place + 1] - 1]
    words = f"{longest} rows in a row are exactly {y[edges[place]]:g}, steps {first:g} to {last:g}"
    limit = max(float(STRETCH_ROWS), STRETCH_RATIO * second + 1)
    return Measure(float(longest), limit, float(first), float(last), words)


def levels_and_spikes(x: FloatArray, y: FloatArray) -> dict[CheckName, Measure]:
    """Find the largest spike, the largest jump of the level, and a return to an earlier level.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Sorted by x, finite.

    Returns
    -------
    dict of str to Measure
        `spike` in standard deviations of the noise around it; `jump` and `resume_splice` in
        standard errors of the difference between the medians before and after, beyond the drift
        around it. Empty for fewer than `MIN_ROWS` rows and for a constant curve. O(n).
    """
    begin = int(np.searchsorted(x, x[0] + FAST_START * (x[-1] - x[0]))) if x.size else 0
    x, y = x[begin:], y[begin:]
    if y.size < MIN_ROWS:
        return {}
    scale = float(np.max(np.abs(y))) or 1.0
    y = y / scale
    low, high = np.quantile(y, [0.05, 0.95])
    if not high > low:
        return {}
    residual, noise = _noise(y, high - low)
    height = residual / noise
    top = int(np.argmax(height))
    words = f"a spike of {height[top]:.3g} times the noise around it at step {x[top]:g}"
    found: dict[CheckName, Measure] = {
        "spike": Measure(float(height[top]), SPIKE, float(x[top]), float(x[top]), words)
    }
    found.update(_jumps(*_coarse(x, y), high - low, scale))
    return found


def _noise(y: FloatArray, extent: float) -> tuple[FloatArray, FloatArray]:
    """Return how far each row is from a running median, and the noise around it."""
    residual = np.abs(y - median_filter(y, size=_NARROW, mode="nearest"))
    local = _SIGMA_OF_MAD * median_filter(residual, size=_WIDE, mode="reflect")
    # one spike of many is no finding: the tail of the run's own noise is a floor
    tail = float(np.quantile(residual, 0.95)) / _NORMAL_95
    return residual, np.maximum(local, max(tail, FLOOR * extent))


def _coarse(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Reduce a long run to medians of equally many rows: its levels, at less noise."""
    rows = y.size // COARSE_ROWS
    if rows < 2:
        return x, y
    whole = y.size // rows * rows
    return x[:whole:rows], np.median(y[:whole].reshape(-1, rows), axis=1)


def _jumps(x: FloatArray, y: FloatArray, extent: float, scale: float) -> dict[CheckName, Measure]:
    noise = _noise(y, extent)[1]
    width = 2 * (int(np.clip(y.size // 20, _NARROW, _WIDE)) // 2) + 1
    middle = median_filter(y, size=width, mode="nearest")
    # windows that are whole, one just before a row and one from it on
    reach = width // 2
    before, after = middle[reach : -reach - width], middle[reach + width : -reach]
    here = slice(width, width + before.size)
    moved = after - before
    # standard error of a difference of two medians of `width` rows each
    error = noise[here] * np.sqrt(np.pi / width)
    # a wandering level jumps everywhere; one jump takes up a tenth of the rows
    around = median_filter(moved, size=4 * width + 1, mode="reflect")
    wander = float(np.quantile(np.abs(moved - around) / error, 0.8)) / _NORMAL_80
    strength = _beyond_drift(moved, width) / error / max(1.0, wander)
    rows = np.arange(y.size)[here]
    return {
        "jump": _jump(x, rows, before * scale, after * scale, strength),
        "resume_splice": _splice(x, middle, rows, after, strength),
    }


def _beyond_drift(moved: FloatArray, width: int) -> FloatArray:
    """Return what is left of each move beyond twice the drift before and after it.

    Where the drift slows down or a bend begins, as in any loss that falls, a move lies between the
    two: nothing is left. At the start, without a drift before, nothing is left either.
    """
    reach = 2 * width
    drift = median_filter(moved, size=reach + 1, mode="nearest")
    before = np.concatenate((np.full(reach, np.nan), drift))[: moved.size]
    after = np.concatenate((drift, np.full(reach, drift[-1])))[reach:][: moved.size]
    low, high = np.fmin(before, after), np.fmax(before, after)
    room = np.fmax(np.abs(low), np.abs(high))
    beyond = moved - np.clip(moved, low - room, high + room)
    return np.where(np.isnan(before), 0.0, beyond)


def _jump(
    x: FloatArray, rows: np.ndarray, before: FloatArray, after: FloatArray, strength: FloatArray
) -> Measure:
    top = int(np.argmax(np.abs(strength)))
    at = float(x[rows[top]])
    words = f"the level jumps from {before[top]:.4g} to {after[top]:.4g} near step {at:g}"
    return Measure(float(np.abs(strength[top])), JUMP, at, at, words)


def _splice(
    x: FloatArray,
    middle: FloatArray,
    rows: np.ndarray,
    after: FloatArray,
    strength: FloatArray,
) -> Measure:
    # only a level that the run had left for good can be gone back to
    highest_before = np.maximum.accumulate(middle)[rows]
    rise = np.where(after <= highest_before, strength, 0.0)
    top = int(np.argmax(rise))
    row = int(rows[top])
    earlier = np.flatnonzero(middle[:row] >= after[top])
    back_to = float(x[earlier[-1]]) if earlier.size else float(x[0])
    at = float(x[row])
    words = f"near step {at:g} the loss goes back to where it stood at step {back_to:g}"
    return Measure(max(float(rise[top]), 0.0), SPLICE, back_to, at, words)
