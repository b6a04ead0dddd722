"""Checks of the curve by itself: constant stretches, spikes, jumps, and resume splices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.checks.finding import CheckName, Measure
from dqi_tracking.insight.order_statistics import quantile, running_median, running_median_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
SUDDEN = 0.6
"""Share of a fall that medians of a third of the window must show between two neighbouring rows
for a jump: of a step they show all, of a slope over the whole window a third."""
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
    edges = np.concatenate(((0,), np.flatnonzero(y[1:] != y[:-1]) + 1, (y.size,)))
    lengths = edges[1:] - edges[:-1]
    place = int(lengths.argmax())
    begin, longest = int(edges[place]), int(lengths[place])
    lengths[place] = 0
    second = int(lengths.max())
    first, last = float(x[begin]), float(x[begin + longest - 1])
    words = f"{longest} rows in a row are exactly {y[begin]:g}, steps {first:g} to {last:g}"
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
        around it; a fall that is a slope and no step has the size 0. Empty for fewer than
        `MIN_ROWS` rows and for a constant curve. O(n).
    """
    begin = int(np.searchsorted(x, x[0] + FAST_START * (x[-1] - x[0]))) if x.size else 0
    x, y = x[begin:], y[begin:]
    if y.size < MIN_ROWS:
        return {}
    scale = float(np.max(np.abs(y))) or 1.0
    y = y / scale
    low, high = quantile(y, 0.05), quantile(y, 0.95)
    if not high > low:
        return {}
    found: dict[CheckName, Measure] = {"spike": _spike(x, y, high - low)}
    found.update(_jumps(*_coarse(x, y), high - low, scale))
    return found


def _spike(x: FloatArray, y: FloatArray, extent: float) -> Measure:
    residual = _residual(y)
    least = _least_noise(residual, extent)

    def height(rows: NDArray[np.intp]) -> FloatArray:
        local = running_median_at(rows, residual, _WIDE, "reflect")
        return residual[rows] / np.maximum(_SIGMA_OF_MAD * local, least)

    # where even the least noise makes no row higher, the noise around it need not be told
    at_least = height(np.array([residual.argmax()]))
    rows = np.flatnonzero(residual / least >= at_least)
    heights = height(rows)
    top = heights.argmax()
    size, at = float(heights[top]), float(x[rows[top]])
    words = f"a spike of {size:.3g} times the noise around it at step {at:g}"
    return Measure(size, SPIKE, at, at, words)


def _residual(y: FloatArray) -> FloatArray:
    """Return how far each row is from a running median."""
    return np.abs(y - running_median(y, _NARROW))


def _least_noise(residual: FloatArray, extent: float) -> float:
    # one spike of many is no finding: the tail of the run's own noise is a floor
    return max(quantile(residual, 0.95) / _NORMAL_95, FLOOR * extent)


def _coarse(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Reduce a long run to medians of equally many rows: its levels, at less noise."""
    rows = y.size // COARSE_ROWS
    if rows < 2:
        return x, y
    whole = y.size // rows * rows
    ordered = np.sort(y[:whole].reshape(-1, rows), axis=1)
    return x[:whole:rows], (ordered[:, (rows - 1) // 2] + ordered[:, rows // 2]) / 2


def _jumps(x: FloatArray, y: FloatArray, extent: float, scale: float) -> dict[CheckName, Measure]:
    residual = _residual(y)
    local = _SIGMA_OF_MAD * running_median(residual, _WIDE, "reflect")
    noise = np.maximum(local, _least_noise(residual, extent))
    width = 2 * (min(max(y.size // 20, _NARROW), _WIDE) // 2) + 1
    middle = running_median(y, width)
    # windows that are whole, one just before a row and one from it on
    reach = width // 2
    before, after = middle[reach : -reach - width], middle[reach + width : -reach]
    here = slice(width, width + before.size)
    moved = after - before
    # standard error of a difference of two medians of `width` rows each
    error = noise[here] * np.sqrt(np.pi / width)
    # a wandering level jumps everywhere; one jump takes up a tenth of the rows
    around = running_median(moved, 4 * width + 1, "reflect")
    wander = quantile(np.abs(moved - around) / error, 0.8) / _NORMAL_80
    strength = _beyond_drift(moved, width) / error / max(1.0, wander)
    rows = np.arange(y.size)[here]
    falls = np.flatnonzero(strength <= -JUMP)
    if falls.size:
        strength[falls] *= _is_sudden(y, moved, falls, width)
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
    drift = running_median(moved, reach + 1)
    before = np.concatenate((np.full(reach, np.nan), drift))[: moved.size]
    after = np.concatenate((drift, np.full(reach, drift[-1])))[reach:][: moved.size]
    low, high = np.fmin(before, after), np.fmax(before, after)
    room = np.fmax(np.abs(low), np.abs(high))
    beyond = moved - np.minimum(np.maximum(moved, low - room), high + room)
    return np.where(np.isnan(before), 0.0, beyond)


def _is_sudden(
    y: FloatArray, moved: FloatArray, falls: NDArray[np.intp], width: int
) -> NDArray[np.bool_]:
    """Tell the falls that are made between two rows from slopes, as where a learning rate drops."""
    narrow = width // 3 | 1
    level = running_median(y, narrow) if narrow > 1 else y
    step = level[narrow:] - level[:-narrow]
    # noise may put the strongest move up to half a window beside the step
    beside = np.arange(-(width // 2), width // 2 + 1) + width - (narrow // 2 + 1)
    steepest = step.take(falls[:, None] + beside, mode="clip").min(axis=1)
    # at the head of a slope the move is small yet: what counts is how far it goes
    around = np.arange(-width, width + 1)
    whole = moved.take(falls[:, None] + around, mode="clip").min(axis=1)
    return steepest <= SUDDEN * whole


def _jump(
    x: FloatArray, rows: np.ndarray, before: FloatArray, after: FloatArray, strength: FloatArray
) -> Measure:
    size = np.abs(strength)
    top = int(size.argmax())
    at = float(x[rows[top]])
    words = f"the level jumps from {before[top]:.4g} to {after[top]:.4g} near step {at:g}"
    return Measure(float(size[top]), JUMP, at, at, words)


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
    top = int(rise.argmax())
    row = int(rows[top])
    earlier = np.flatnonzero(middle[:row] >= after[top])
    back_to = float(x[earlier[-1]]) if earlier.size else float(x[0])
    at = float(x[row])
    words = f"near step {at:g} the loss goes back to where it stood at step {back_to:g}"
    return Measure(max(float(rise[top]), 0.0), SPLICE, back_to, at, words)
