"""A long curve as few of its own points, without losing a spike.

The lowest and the highest point of every pixel column: within one column a line shows nothing else
(U. Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", VLDB 2014).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqi_tracking.types import FloatArray

Rows = NDArray[np.intp]

MOST_PADDED = 2
"""Places a point that columns of unequal lengths may take side by side."""
LONGEST_BESIDE = 256
"""Points in a column beyond which each by itself is searched faster."""


class Thinned(NamedTuple):
    """What a drawing needs of a curve.

    Attributes
    ----------
    rows : ndarray of shape (k,)
        Rows to draw, in order. Those among them that are not finite keep their neighbours apart.
    lost : ndarray
        All rows whose value is not finite, in order.
    """

    rows: Rows
    lost: Rows


def thin(x: FloatArray, y: FloatArray, *, columns: int) -> Thinned:
    """Choose the rows of a curve that a drawing of it needs.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Steps or positions, finite, sorted.
    y : ndarray of shape (n,)
        Values in any unit. Those that are not finite make gaps.
    columns : int
        Pixel columns of the drawing, at least 2.

    Returns
    -------
    Thinned
        Of the finite rows: all where there are at most ``2 * columns``; else the first, the last,
        and the lowest and the highest of each of ``columns - 1`` columns of equal width, so that
        the extremes of the whole are among them. Beside them one row that is not finite before
        each column, or point where all are kept, that a gap comes before. In all at most
        ``3 * columns``. O(n).
    """
    rows, _ = _few(x, y, columns)
    # in its column a value that is not finite is an extreme: numpy takes the first NaN for one
    if np.isfinite(y[rows]).all():
        return Thinned(rows, rows[:0])
    finite = np.isfinite(y)
    kept = np.flatnonzero(finite)
    rows, firsts = _few(x[kept], y[kept], columns)
    firsts = firsts[1:]
    after_gap = kept[firsts[kept[firsts] - kept[firsts - 1] > 1]]
    return Thinned(np.union1d(kept[rows], after_gap - 1), np.flatnonzero(~finite))


def _few(x: FloatArray, y: FloatArray, columns: int) -> tuple[Rows, Rows]:
    """Return the rows to keep of a curve without gaps, and the first row of each column."""
    if y.size <= 2 * columns:
        every = np.arange(y.size)
        return every, every
    share = np.arange(1, columns - 1) / (columns - 1)
    # not low + share · (high − low): the range of two finite numbers may be infinite
    edges = np.searchsorted(x, x[0] * (1.0 - share) + x[-1] * share)
    # where all steps are nearly one, a rounded edge may lie beyond the last
    firsts = np.unique(np.append(0, edges[edges < y.size]))
    lows, highs = _extremes(y, firsts)
    return np.unique(np.concatenate(([0, y.size - 1], lows, highs))), firsts


def _extremes(y: FloatArray, firsts: Rows) -> tuple[Rows, Rows]:
    """Return the rows of the lowest and of the highest point of consecutive columns."""
    counts = np.diff(firsts, append=y.size)
    longest = int(counts.max())
    if longest * counts.size <= MOST_PADDED * y.size and longest <= LONGEST_BESIDE:
        # short columns of about one length: laid side by side they are searched at once
        filled = np.arange(longest) < counts[:, None]
        beside = np.full(filled.shape, np.inf)
        beside[filled] = y
        lows = beside.argmin(axis=1)
        beside[~filled] = -np.inf
        return firsts + lows, firsts + beside.argmax(axis=1)
    # one look at each column's points: half of what a search for its extremes in all of y costs
    columns = [y[first : first + count] for first, count in zip(firsts, counts, strict=True)]
    lows = np.array([column.argmin() for column in columns])
    return firsts + lows, firsts + np.array([column.argmax() for column in columns])
