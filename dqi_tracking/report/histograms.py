"""How scores are distributed: counts in bins of one score, and in cells of two."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqi_tracking.types import FloatArray

Counts = NDArray[np.int64]

FEWEST_BINS, MOST_BINS = 20, 40
SMALLEST, NARROWEST = 1e-9, 1e-6
"""End of an axis, and share of its end, below which the bins could not be told apart."""
CELLS = 40
"""Cells on either side of a square."""
LEVELS = 6
"""Shades of the cells."""
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


class Histogram(NamedTuple):
    """Counts in bins of equal width.

    Attributes
    ----------
    edges : ndarray of shape (n + 1,)
        Ends of the bins; the last bin holds its upper end, too.
    counts : ndarray of shape (n,)
    """

    edges: FloatArray
    counts: Counts


def histogram(values: FloatArray) -> Histogram:
    """Return counts of values in [0, 1], in bins with round ends.

    Parameters
    ----------
    values : ndarray of shape (n,)
        NaN is left out.

    Returns
    -------
    Histogram
        Of about 20 to 40 bins, more for more values; fewer where all values are equal.
    """
    values = values[np.isfinite(values)]
    low, high = float(values.min(initial=1.0)), float(values.max(initial=0.0))
    if high < SMALLEST:
        low, high = 0.0, SMALLEST if high else 1.0
    elif high - low < NARROWEST * high:
        low *= 0.9
    wanted = min(MOST_BINS, max(FEWEST_BINS, round(2 * math.sqrt(values.size))))
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    width = next(nice * power for nice in _NICE if nice * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / width + 1e-9), math.ceil(high / width - 1e-9)
    edges = np.arange(first, max(last, first + 1) + 1, dtype=np.float64) * width
    # rounding must leave no value out
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)
    return Histogram(edges, np.histogram(values, edges)[0].astype(np.int64))


def bars(found: Histogram, width: int, height: int) -> str:
    """Return the bins as the `d` of one SVG path, the fullest as high as the drawing."""
    counts, highest = found.counts, max(1, int(found.counts.max(initial=0)))
    first, last = found.edges[0], found.edges[-1]
    x = np.rint((found.edges - first) / (last - first) * width).astype(np.int64)
    # a bin that holds anything shows
    y = np.rint(height - counts / highest * height).astype(np.int64)
    y[(counts > 0) & (y > height - 6)] = height - 6
    gap = max(1, int(0.08 * width / counts.size))
    return "".join(
        f"M{x[i]} {height}V{y[i]}H{max(x[i] + 1, x[i + 1] - gap)}V{height}Z"
        for i in np.flatnonzero(counts).tolist()
    )


def cells(x: FloatArray, y: FloatArray, high: float, size: int) -> list[tuple[float, str]]:
    """Return how densely points lie in a square, as SVG paths from the palest to the darkest.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Finite, in [0, high].
    high : float
        Upper end of both axes.
    size : int
        Of the square drawing.

    Returns
    -------
    list of (float, str)
        Opacity in (0, 1] and the `d` of a path.
    """
    ends = (0.0, high)
    counts = np.histogram2d(x, y, bins=CELLS, range=(ends, ends))[0]
    side = size / CELLS
    # most cells hold few runs: equal steps of the logarithm show them
    level = np.ceil(np.log1p(counts) / np.log1p(max(1.0, counts.max())) * LEVELS)
    found: list[tuple[float, str]] = []
    for shade in range(1, LEVELS + 1):
        places = np.argwhere(level == shade).tolist()
        path = "".join(
            f"M{column * side:.0f} {size - (row + 1) * side:.0f}h{side:.0f}v{side:.0f}h-{side:.0f}Z"
            for column, row in places
        )
        if path:
            found.append((shade / LEVELS, path))
    return found
