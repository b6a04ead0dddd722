"""The trend over the last quarter of a run, robust to noise: drop and its error.

Source: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63
(1968), doi:10.1080/01621459.1968.10480934 (the median of the slopes between all pairs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

MIN_FILLED = 3
"""Filled bins that the last quarter needs for a trend."""

_SIGMA_OF_MAD = 1.4826  # standard deviation of a normal over its median absolute deviation


class Trend(NamedTuple):
    """Trends of many curves over their last quarter, each of shape (runs,).

    Attributes
    ----------
    drop : ndarray
        How far the fitted line falls over the quarter, in units of the levels; negative where it
        rises, NaN where fewer than `MIN_FILLED` bins are filled.
    error : ndarray
        Standard error of `drop`, ≥ 0.
    noise : ndarray
        Standard deviation of one bin around the line, ≥ 0.
    end : ndarray
        The line at the end of the run.
    """

    drop: FloatArray
    error: FloatArray
    noise: FloatArray
    end: FloatArray


@np.errstate(invalid="ignore", divide="ignore")  # a quarter without a row is NaN
def last_quarter(levels: FloatArray) -> Trend:
    """Fit the last quarter of binned curves by the median of all pairwise slopes.

    The noise is the larger of two estimates, both by median absolute deviation: around the line
    in the last quarter, and of the differences between neighbours in the last half. The first
    sees slow waves, the second has more to go by.

    Parameters
    ----------
    levels : ndarray of shape (runs, bins)
        Bins of equal width over each run, NaN where empty; `bins` a multiple of 4.

    Returns
    -------
    Trend
        O(runs · bins²).
    """
    n_bins = levels.shape[1]
    quarter = levels[:, -(n_bins // 4) :]
    t = (np.arange(quarter.shape[1]) + 0.5) / quarter.shape[1]
    left, right = np.triu_indices(t.size, 1)
    slope = _medians((quarter[:, right] - quarter[:, left]) / (t[right] - t[left]))
    start = _medians(quarter - slope[:, None] * t)
    residual = _medians(np.abs(quarter - start[:, None] - slope[:, None] * t))
    steps = _neighbour_steps(levels[:, n_bins // 2 :])
    wobble = _medians(np.abs(steps - _medians(steps)[:, None]))
    filled = np.isfinite(quarter)
    count = filled.sum(axis=1)
    # a line through few points leaves too little around it: two of them are used up
    residual = residual * np.sqrt(count / np.maximum(count - 2, 1))
    noise = _SIGMA_OF_MAD * np.fmax(residual, wobble / np.sqrt(2))
    centre = (filled * t).sum(axis=1) / np.maximum(count, 1)
    spread = np.sqrt((filled * (t - centre[:, None]) ** 2).sum(axis=1))
    enough = count >= MIN_FILLED
    nan = np.full(len(levels), np.nan)
    error = np.divide(noise, spread, out=nan.copy(), where=enough)
    return Trend(
        drop=np.where(enough, -slope, nan),
        error=error,
        noise=np.where(enough, noise, nan),
        end=np.where(enough, start + slope, nan),
    )


def _neighbour_steps(levels: FloatArray) -> FloatArray:
    """Return the difference of each filled bin to the filled one before it, NaN elsewhere."""
    filled = np.isfinite(levels)
    place = np.where(filled, np.arange(levels.shape[1]), 0)
    before = np.maximum.accumulate(place, axis=1)[:, :-1]
    return levels[:, 1:] - np.take_along_axis(levels, before, axis=1)


def _medians(values: FloatArray) -> FloatArray:
    """Return the median of each row without its NaN; NaN where there is nothing else.

    NumPy's own takes ten times as long for one run, and tells of empty rows by a warning, which
    threads cannot silence for themselves.
    """
    ordered = np.sort(values, axis=1)
    count = np.count_nonzero(~np.isnan(ordered), axis=1)
    middle = np.stack((np.maximum(count - 1, 0) // 2, count // 2), axis=1)
    return np.take_along_axis(ordered, middle, axis=1).mean(axis=1)
