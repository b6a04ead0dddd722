"""The trend over the last quarter of a run, robust to noise: drop and its error.

Source: P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63
(1968), doi:10.1080/01621459.1968.10480934 (the median of the slopes between all pairs).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    t, left, right, apart = _pairs(quarter.shape[1])
    slope = _medians((quarter[:, right] - quarter[:, left]) / apart)
    start = _medians(quarter - slope[:, None] * t)
    residual = _medians(np.abs(quarter - start[:, None] - slope[:, None] * t))
    steps = _neighbour_steps(levels[:, n_bins // 2 :])
    wobble = _medians(np.abs(steps - _medians(steps)[:, None]))
    filled = np.isfinite(quarter)
    count = np.add.reduce(filled, axis=1)
    # a line through few points leaves too little around it: two of them are used up
    residual = residual * np.sqrt(count / np.maximum(count - 2, 1))
    noise = _SIGMA_OF_MAD * np.fmax(residual, wobble / np.sqrt(2))
    centre = np.add.reduce(filled * t, axis=1) / np.maximum(count, 1)
    spread = np.sqrt(np.add.reduce(filled * (t - centre[:, None]) ** 2, axis=1))
    enough = count >= MIN_FILLED
    return Trend(
        drop=np.where(enough, -slope, np.nan),
        error=np.where(enough, noise / spread, np.nan),
        noise=np.where(enough, noise, np.nan),
        end=np.where(enough, start + slope, np.nan),
    )


@cache
def _pairs(n_bins: int) -> tuple[FloatArray, NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """Return the centres of the bins, all pairs of bins, and how far apart each pair is."""
    t = (np.arange(n_bins) + 0.5) / n_bins
    left, right = np.triu_indices(n_bins, 1)
    return t, left, right, t[right] - t[left]


def _neighbour_steps(levels: FloatArray) -> FloatArray:
    """Return the difference of each filled bin to the filled one before it, NaN elsewhere."""
    places = np.where(np.isfinite(levels), np.arange(levels.shape[1]), 0)
    before = np.maximum.accumulate(places, axis=1)[:, :-1]
    return levels[:, 1:] - levels[np.arange(len(levels))[:, None], before]


def _medians(values: FloatArray) -> FloatArray:
    """Return the median of each row without its NaN; NaN where there is nothing else.

    NumPy's own takes ten times as long for one run, and tells of empty rows by a warning, which
    threads cannot silence for themselves.
    """
    ordered = np.sort(values, axis=1)
    width = ordered.shape[1]
    if not np.isnan(ordered[:, -1]).any():  # NaN are sorted last
        return (ordered[:, (width - 1) // 2] + ordered[:, width // 2]) / 2
    count = width - np.add.reduce(np.isnan(ordered), axis=1)
    rows = np.arange(len(ordered))
    return (ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, count // 2]) / 2
