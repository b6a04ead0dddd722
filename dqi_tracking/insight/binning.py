"""Bins of equal width in the step: what makes curves of any length and interval comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dqi_tracking.types import FloatArray

N_BINS = 40
"""Bins over a run, as in the cohort reading "lowest loss of 40 bins"."""


def bin_medians(
    x: FloatArray, y: FloatArray, start: float, stop: float, n_bins: int = N_BINS
) -> FloatArray:
    """Reduce a curve to the median of y in bins of equal width in x.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
        Sorted by x, finite. Rows outside of [start, stop] are left out.
    start, stop : float
        The span that the bins divide; a row at `stop` belongs to the last bin.
    n_bins : int
        Number of bins, at least 1.

    Returns
    -------
    ndarray of shape (n_bins,)
        NaN for a bin without a row. One wild value moves no bin of three rows or more.
        O(n log n).
    """
    medians = np.full(n_bins, np.nan)
    if not x.size:
        return medians
    # quarters first: steps from one end of float64 to the other have no width in it
    edges = start / 4 + (stop / 4 - start / 4) * (np.arange(n_bins + 1) / n_bins)
    cuts = (x / 4).searchsorted(edges)
    first, last = int(x.searchsorted(start)), int(x.searchsorted(stop, side="right"))
    cuts[0], cuts[-1] = first, last
    cuts = np.minimum(np.maximum(cuts, first), last)
    counts = cuts[1:] - cuts[:-1]
    filled = np.flatnonzero(counts)
    if not filled.size:
        return medians
    lower, upper = _middle_pairs(y[first:last], counts[filled])
    medians[filled] = lower / 2 + upper / 2
    return medians


def _middle_pairs(y: FloatArray, counts: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return the two middle values of consecutive stretches of y, of `counts` rows each."""
    longest = int(counts.max())
    if longest * counts.size <= 2 * y.size:
        # stretches of about one length: sorting them side by side is four times as fast
        table = np.full((counts.size, longest), np.inf)
        table[np.arange(longest) < counts[:, None]] = y
        table.sort(axis=1)
        ordered, offsets = table.ravel(), longest * np.arange(counts.size)
    else:
        ordered = y[np.lexsort((y, np.repeat(np.arange(counts.size), counts)))]
        offsets = np.cumsum(counts) - counts
    return ordered[offsets + (counts - 1) // 2], ordered[offsets + counts // 2]
