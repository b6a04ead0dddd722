"""Stage 3: the four components of a phase slice.

Source of the formulas: the DQI method, "Component Scoring". The numbers agree to 1e-9 with the
package its author released (plarv-argus-sdk 1.0.0), from which ``COVERAGE_SCALE`` is taken.

All of them are computed for many slices at once, laid end to end, so that a batch costs array
passes and not calls; the numbers of a slice do not depend on its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dqi_tracking.engine.phases import IntArray
    from dqi_tracking.types import FloatArray

EPSILON = 1e-12
COVERAGE_SCALE = 20.0
MIN_POINTS = 3


def components(
    x: FloatArray, y: FloatArray, lengths: IntArray, *, scale: float | FloatArray = 1.0
) -> FloatArray:
    """Score the components of slices that lie end to end in x and y.

    =========  ==========================================================  ==================
    coverage   tanh(span / (mean gap + ε) / 20)                            0 where span ≤ ε
    variation  2σ(y) / range(y)                                            0 where range ≤ ε
    structure  tanh(var(d2) / (mean abs(d1) + ε)), d1 = Δy / (Δx + ε),
               d2 = Δd1 / (Δx + ε)
    density    1 / (1 + σ(gaps) / (mean gap + ε))                          0 where span ≤ ε
    =========  ==========================================================  ==================

    with ε = 1e-12 and population (ddof 0) moments. Coverage, variation and density are free of
    units; structure is not.

    Parameters
    ----------
    x, y : ndarray of shape (N,)
        All slices one after the other, each sorted by x, y finite.
    lengths : ndarray of shape (k,), int
        Points of each slice, ≥ 0, N in total.
    scale : float or ndarray of shape (k,)
        A power of two that y was divided by beforehand, so that its squares stay finite.

    Returns
    -------
    ndarray of shape (k, 4)
        Columns coverage, variation, structure, density, each in [0, 1]. A slice of fewer than
        three points scores 0 in all four. O(N).
    """
    scored = np.zeros((lengths.size, 4))
    enough = lengths >= MIN_POINTS
    scale = np.broadcast_to(np.asarray(scale, dtype=np.float64), lengths.shape)
    if not enough.all():
        in_enough = np.repeat(enough, lengths)
        x, y, lengths, scale = x[in_enough], y[in_enough], lengths[enough], scale[enough]
    if not lengths.size:
        return scored
    start = np.cumsum(lengths) - lengths
    last = start + lengths - 1
    with np.errstate(over="ignore", invalid="ignore"):
        gaps = _within(x, last)
        span = x[last] - x[start]
        mean_gap = np.add.reduceat(gaps, start) / (lengths - 1)
        spread_gap = np.sqrt(_variance(gaps, mean_gap, lengths, start, last, without=1))
        spaced = span > EPSILON
        coverage = np.tanh(span / (mean_gap + EPSILON) / COVERAGE_SCALE) * spaced
        density = spaced / (1.0 + spread_gap / (mean_gap + EPSILON))
        variation = _variation(y, lengths, start, last, scale)
        structure = _structure(y, gaps, lengths, start, last, scale)
    # an overflow of the logged units saturates, as tanh and the clip are meant to
    table = np.stack((coverage, variation, structure, density), axis=1)
    scored[enough] = np.clip(np.nan_to_num(table, nan=1.0), 0.0, 1.0)
    return scored


def _within(values: FloatArray, last: IntArray) -> FloatArray:
    """Differences inside each slice; 0 at the place of its last point, where there is none."""
    differences = np.empty_like(values)
    np.subtract(values[1:], values[:-1], out=differences[:-1])
    differences[last] = 0.0
    return differences


def _variance(
    values: FloatArray,
    mean: FloatArray,
    lengths: IntArray,
    start: IntArray,
    last: IntArray,
    *,
    without: int,
) -> FloatArray:
    """Return the population variance of each slice, leaving out its `without` last places."""
    deviation = values - np.repeat(mean, lengths)
    for back in range(without):
        deviation[last - back] = 0.0
    deviation *= deviation
    return np.add.reduceat(deviation, start) / (lengths - without)


def _variation(
    y: FloatArray, lengths: IntArray, start: IntArray, last: IntArray, scale: FloatArray
) -> FloatArray:
    mean = np.add.reduceat(y, start) / lengths
    deviation = np.sqrt(_variance(y, mean, lengths, start, last, without=0))
    extent = np.maximum.reduceat(y, start) - np.minimum.reduceat(y, start)
    varied = extent * scale > EPSILON
    return np.divide(2.0 * deviation, extent, out=np.zeros_like(extent), where=varied)


def _structure(
    y: FloatArray,
    gaps: FloatArray,
    lengths: IntArray,
    start: IntArray,
    last: IntArray,
    scale: FloatArray,
) -> FloatArray:
    guarded = gaps + EPSILON
    slope = _within(y, last)
    slope /= guarded
    curvature = _within(slope, last)
    curvature /= guarded
    curvature[last - 1] = 0.0
    steepness = np.add.reduceat(np.abs(slope), start) / (lengths - 1)
    mean = np.add.reduceat(curvature, start) / (lengths - 2)
    bend = _variance(curvature, mean, lengths, start, last, without=2)
    # var and mean of the undivided y are scale² and scale times those of y
    return np.tanh(scale * (bend / (steepness + EPSILON / scale)))
