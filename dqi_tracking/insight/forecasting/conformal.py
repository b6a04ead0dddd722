"""Split conformal intervals whose width follows the difficulty of the run and the horizon.

The error of a forecast over its difficulty is compared with those of forecasts on finished runs
whose end is known. Quantiles stand at knots of the horizon and are interpolated in its logarithm.

Source: Lei et al. 2018, arXiv 1604.04173 (split conformal with a difficulty scale); Dunn et al.
2022, arXiv 1809.07441 (every family of runs counts the same, however many runs it has).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

KNOTS = (1.02, 1.05, 1.1, 1.25, 1.67, 2.5, 5.0, 10.0)
"""Horizons, as multiples of the seen part, at which errors are tabulated."""

TAILS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25)
"""Probabilities left out on each side."""

MIN_LEVEL, MAX_LEVEL = 1 - 2 * TAILS[-1], 1 - 2 * TAILS[0]


def quantile_table(error: FloatArray, ahead: FloatArray, weight: FloatArray) -> FloatArray:
    """Tabulate the quantiles of errors by horizon.

    Parameters
    ----------
    error : ndarray of shape (n,)
        (truth − forecast) / difficulty.
    ahead : ndarray of shape (n,), ≥ 1
        Horizons, as multiples of the seen part.
    weight : ndarray of shape (n,), ≥ 0
        What each error counts.

    Returns
    -------
    ndarray of shape (8, 7, 2)
        Lower and upper quantile for each knot and tail; NaN at a knot where no error counts.
    """
    place = np.interp(np.log(ahead), np.log(KNOTS), np.arange(len(KNOTS), dtype=np.float64))
    order = np.argsort(error)
    table = np.empty((len(KNOTS), len(TAILS), 2))
    for knot in range(len(KNOTS)):
        share = (weight * np.maximum(1 - np.abs(place - knot), 0))[order]
        kept = share > 0
        table[knot] = _quantiles(error[order][kept], share[kept])
    return table


def _quantiles(error: FloatArray, weight: FloatArray) -> FloatArray:
    if not error.size:
        return np.full((len(TAILS), 2), np.nan)
    total = weight.sum()
    below = np.cumsum(weight) / total
    # the run at hand is one more, and may be worse than all: (n + 1) for weighted errors
    extra = (weight**2).sum() / total**2
    outside = np.maximum(np.array(TAILS) * (1 + extra) - extra, 0)
    first = np.searchsorted(below, outside, side="right")
    last = np.searchsorted(below, 1 - outside - 1e-12)
    ends = error.size - 1
    return np.stack((error[np.minimum(first, ends)], error[np.minimum(last, ends)]), axis=-1)


def filled(table: FloatArray) -> FloatArray:
    """Give knots without any error those of the nearest knot that has some.

    Parameters
    ----------
    table : ndarray of shape (8, 7, 2)
        NaN where no error counted.

    Returns
    -------
    ndarray of shape (8, 7, 2)
        Finite, if any knot is.
    """
    known = np.flatnonzero(np.isfinite(table).all(axis=(1, 2)))
    if not known.size:
        return table
    nearest = np.abs(np.arange(len(KNOTS))[:, None] - known).argmin(axis=1)
    return table[known[nearest]]


def multiples(table: FloatArray, ahead: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Look up how many difficulties an interval reaches below and above the forecast.

    Parameters
    ----------
    table : ndarray of shape (8, 7, 2)
    ahead : ndarray of shape (B,), ≥ 1
        Horizons, as multiples of the seen part.
    level : float in [0.5, 0.98]
        Share of truths that the interval is meant to hold.

    Returns
    -------
    low, high : ndarray of shape (B,)
        low ≤ 0 ≤ high: the forecast itself is always inside. Beyond the last knot both grow with
        the square root of the horizon: nothing was measured there.
    """
    tail = np.log((1 - level) / 2)
    at = np.log(ahead)
    beyond = np.sqrt(np.maximum(ahead / KNOTS[-1], 1))
    found: list[FloatArray] = []
    for side in (0, 1):
        column = [np.interp(tail, np.log(TAILS), row) for row in table[:, :, side]]
        found.append(np.interp(at, np.log(KNOTS), column) * beyond)
    return np.minimum(found[0], 0), np.maximum(found[1], 0)
