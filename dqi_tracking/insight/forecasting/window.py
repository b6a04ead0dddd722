"""The seen part of each run as 48 bins of equal time, in units of its own, many runs at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dqi_tracking.types import FloatArray

    IntArray = NDArray[np.int64]

BINS = 48
"""Bins of equal time that the seen part is cut into."""

CENTRES: FloatArray = (np.arange(BINS) + 0.5) / BINS
"""Middle of each bin, as a share of the seen part."""

_FENCE = 10.0
"""Interquartile ranges beyond the quartiles at which a value is an outlier."""

_RANKS = np.array((0.05, 0.25, 0.75, 0.95))
_START = np.zeros(1)

_NOISE_UNIT = 1 / (np.sqrt(6) * np.sqrt(2 / np.pi))
"""From mean absolute second difference to the standard deviation of normal noise."""


class Standard(NamedTuple):
    """One run in units of its own.

    Attributes
    ----------
    u : ndarray of shape (n,)
        Steps as shares of the seen part, in (0, 1]; the last is 1.
    z : ndarray of shape (n,)
        loss = offset + scale · z; over 90 % of the time z lies in [0, 1].
    offset, scale : float
        Units of z.
    half_span : float
        Half the length of the seen part, in steps (the whole may overflow).
    """

    u: FloatArray
    z: FloatArray
    offset: float
    scale: float
    half_span: float


class Window(NamedTuple):
    """The seen parts of B runs, in units of their own.

    Attributes
    ----------
    mean : ndarray of shape (B, 48)
        Mean of the points of each bin; 0 where there are none.
    weight : ndarray of shape (B, 48)
        1 where the bin holds a point, else 0.
    held : ndarray of shape (B, 48)
        Points in each bin.
    filled : ndarray of shape (B, 48)
        `mean`, with empty bins filled linearly.
    last : ndarray of shape (B,)
        The last point.
    noise, late_noise : ndarray of shape (B,)
        Standard deviation of a point about its neighbours, over all points and over the last
        quarter of them.
    quarter_drop : ndarray of shape (B,)
        Mean of the third quarter of the time minus that of the last.
    points : ndarray of shape (B,)
        Points that were seen.
    """

    mean: FloatArray
    weight: FloatArray
    held: FloatArray
    filled: FloatArray
    last: FloatArray
    noise: FloatArray
    late_noise: FloatArray
    quarter_drop: FloatArray
    points: FloatArray


def standardise(x: FloatArray, y: FloatArray) -> Standard | None:
    """Measure time in the seen part and loss in the run's own spread; bring in outliers.

    Parameters
    ----------
    x : ndarray of shape (n,), n ≥ 2
        Steps, strictly rising.
    y : ndarray of shape (n,)
        Loss, finite.

    Returns
    -------
    Standard or None
        Values beyond ten interquartile ranges from the quartiles (over time, not over points) are
        brought in to there. None where the loss is constant. O(n log n).
    """
    # the seen part starts one mean gap before the first point
    before = (float(x[-1]) / 2 - float(x[0]) / 2) / (y.size - 1)
    start = float(x[0]) / 2 - before
    half_span = float(x[-1]) / 2 - start
    u = (x / 2 - start) / half_span
    order = y.argsort()
    # weighted by time: the first steps are often logged more densely than the rest
    passed = (u - np.concatenate((_START, u[:-1])))[order].cumsum()
    typical = y[order[passed.searchsorted(_RANKS * passed[-1])]]
    # 1e300 and −1e300 side by side: differences of the quotients do not overflow
    largest = max(float(np.abs(typical).max()), 1e-300)
    bottom, low, high, top = (typical / largest).tolist()
    with np.errstate(over="ignore"):
        scaled = y / largest
    fence = _FENCE * (high - low)
    if fence > 0:
        bottom, top = max(bottom, low - fence), min(top, high + fence)
    else:
        low = bottom = float(scaled[order[0]])
        high = top = float(scaled[order[-1]])
    extent = top - bottom
    if not 1e-12 < extent < math.inf:
        return None
    z = (np.minimum(np.maximum(scaled, low - fence), high + fence) - bottom) / extent
    return Standard(u, z, bottom * largest, extent * largest, half_span)


def windows(runs: Sequence[Standard]) -> Window:
    """Bin the seen parts of B runs. O(points).

    Parameters
    ----------
    runs : sequence of B Standard

    Returns
    -------
    Window
        In the order given.
    """
    count = np.array([run.z.size for run in runs])
    ends = np.cumsum(count)
    owner = np.repeat(np.arange(count.size), count)
    u = np.concatenate([run.u for run in runs])
    z = np.concatenate([run.z for run in runs])
    cell = owner * BINS + np.clip((u * BINS - 1e-9).astype(np.int64), 0, BINS - 1)
    held = np.bincount(cell, minlength=count.size * BINS).reshape(-1, BINS)
    total = np.bincount(cell, weights=z, minlength=count.size * BINS).reshape(-1, BINS)
    noise, late_noise = _noise(z, owner, count, ends)
    mean, weight = total / np.maximum(held, 1), (held > 0).astype(np.float64)
    filled = _filled(mean, weight)
    quarter = BINS // 4
    return Window(
        mean=mean,
        weight=weight,
        held=held.astype(np.float64),
        filled=filled,
        last=z[ends - 1],
        noise=noise,
        late_noise=late_noise,
        quarter_drop=filled[:, -2 * quarter : -quarter].mean(1) - filled[:, -quarter:].mean(1),
        points=count.astype(np.float64),
    )


def _filled(mean: FloatArray, weight: FloatArray) -> FloatArray:
    """Fill empty bins linearly between those that hold points, and flat before the first."""
    at = np.arange(BINS)
    there = weight > 0
    left = np.maximum.accumulate(np.where(there, at, -1), axis=1)
    right = np.minimum.accumulate(np.where(there, at, BINS)[:, ::-1], axis=1)[:, ::-1]
    left, right = np.where(left < 0, right, left), np.where(right >= BINS, left, right)
    share = (at - left) / np.maximum(right - left, 1)
    before = np.take_along_axis(mean, left, axis=1)
    return before + share * (np.take_along_axis(mean, right, axis=1) - before)


def _noise(
    z: FloatArray, owner: IntArray, count: IntArray, ends: IntArray
) -> tuple[FloatArray, FloatArray]:
    # second differences do not see a slope
    second = np.abs(z[2:] - 2 * z[1:-1] + z[:-2])
    inside = owner[2:] == owner[:-2]
    second, of = second[inside], owner[2:][inside]
    late = np.arange(z.size)[2:][inside] >= (ends - np.maximum(count // 4, 4))[of]
    found: list[FloatArray] = []
    for kept in (np.ones_like(late), late):
        total = np.bincount(of[kept], weights=second[kept], minlength=count.size)
        found.append(total / np.maximum(np.bincount(of[kept], minlength=count.size), 1))
    return found[0] * _NOISE_UNIT, found[1] * _NOISE_UNIT
