"""A logged learning rate made ready: sorted, without glitches, as shares of its peak."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.errors import MalformedHistory
from dqi_tracking.insight.order_statistics import running_median

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dqi_tracking.types import FloatArray

EQUAL = 1e-3
"""Share of the peak by which two rates may differ and count as one. Ours: rates are logged with
four digits or more."""
QUIET = 2.5e-4
"""Scatter, as a share of the peak, up to which a series is taken as it is. Ours: EQUAL / 4."""
GLITCH = 0.05
"""Share of the peak by which one row must stand out from two equal neighbours to be left out.
Ours: what a resumed run logs before its schedule is loaded."""
MIN_POINTS = 6
"""Steps with a rate that a plan needs. Ours: two in each phase."""

_SCATTER_OF_QUARTILE = 1.043
"""Upper quartile of abs(y − running median of 5) for white noise of scatter 1, simulated."""
_MAX_WINDOW = 501


class RateSeries(NamedTuple):
    """A learning rate as shares of its peak.

    Attributes
    ----------
    step : ndarray of shape (n,)
        Rising strictly.
    rate : ndarray of shape (n,)
        In [0, 1]; 1 at the peak. Smoothed where it scatters. As it was logged where a value is
        negative or none is above 0.
    peak : float
        The highest rate, in the units that were logged; 0 where the rate is 0 throughout.
    scatter : float
        Standard deviation of the noise before smoothing, as a share of the peak.
    tolerance : float
        Difference, as a share of the peak, up to which two rates count as equal.
    n_left_out : int
        Rows left out: not finite, repeated steps but for their last row, glitches.
    """

    step: FloatArray
    rate: FloatArray
    peak: float
    scatter: float
    tolerance: float
    n_left_out: int


def read_rate(step: ArrayLike, learning_rate: ArrayLike) -> RateSeries:
    """Sort, clean and scale a logged learning rate.

    Parameters
    ----------
    step, learning_rate : array_like of shape (n,)
        In any order, on any steps. Rows that are not finite are left out; of the rows at one step
        the last in row order counts.

    Returns
    -------
    RateSeries
        O(n log n).

    Raises
    ------
    MalformedHistory
        When the two are not arrays of numbers of one length.
    """
    x, y = _arrays(step, learning_rate)
    n_rows = x.size
    x, y = _cleaned(x, y)
    highest, n_left_out = float(y.max(initial=0.0)), n_rows - x.size
    if highest <= 0 or y.min() < 0:
        return RateSeries(x, y, highest, 0.0, EQUAL, n_left_out)
    rate = y / highest
    scatter = _scatter(rate)
    tolerance, top = EQUAL, float(rate.max())
    if scatter > QUIET:
        window = min(max(5, x.size // 50), _MAX_WINDOW) | 1
        rate = _running_median(rate, window)
        # the median of w normal values scatters by 1.25 / √w of their own scatter
        tolerance = max(EQUAL, 4 * 1.25 * scatter / window**0.5)
        # the largest of many noisy values lies above the level that they scatter around
        largest = float(rate.max())
        top = float(np.median(rate[rate >= largest - 2 * tolerance]))
    if top <= EQUAL:
        return RateSeries(x, rate, 0.0, scatter, tolerance, n_left_out)
    rate = np.minimum(rate / top, 1.0)
    return RateSeries(x, rate, highest * top, scatter, tolerance, n_left_out)


def _cleaned(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    is_last = np.append(x[1:] != x[:-1], True)[: x.size]
    x, y = x[is_last], y[is_last]
    largest = float(np.abs(y).max(initial=0.0))
    kept = ~_glitches(y / largest) if largest > 0 else np.ones(x.size, np.bool_)
    return x[kept], y[kept]


def _arrays(step: ArrayLike, learning_rate: ArrayLike) -> tuple[FloatArray, FloatArray]:
    try:
        x = np.asarray(step, dtype=np.float64)
        y = np.asarray(learning_rate, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedHistory(
            "the learning rate or its steps hold something that is not a number",
            fix="pass `step` and `learning_rate` as sequences of numbers",
        ) from error
    if x.ndim != 1 or x.shape != y.shape:
        raise MalformedHistory(
            f"the learning rate has the shape {y.shape} and its steps {x.shape}",
            fix="pass one learning rate for each step, both of shape (n,)",
        )
    return x, y


def _glitches(rate: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    found = np.zeros(rate.size, np.bool_)
    if rate.size > 2:
        before, here, after = rate[:-2], rate[1:-1], rate[2:]
        stands_out = np.abs(here - (before + after) / 2) > GLITCH
        found[1:-1] = stands_out & (np.abs(before - after) < GLITCH / 2)
    return found


def _scatter(rate: FloatArray) -> float:
    """Return the noise of a piecewise monotone series: a running median leaves such a one alone."""
    if rate.size < 8:
        return 0.0
    apart = np.abs(rate - _running_median(rate, 5))[2:-2]
    return float(np.quantile(apart, 0.75)) / _SCATTER_OF_QUARTILE


def _running_median(values: FloatArray, window: int) -> FloatArray:
    return running_median(values, window)
