"""Ranks within groups, and how well predictions order the runs of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dqi_tracking.types import FloatArray

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

IntArray = NDArray[np.int64]

_DIGITS = 10
"""Decimals of a prediction that count: equal rows may differ by rounding."""


def numbered(labels: Sequence[Hashable]) -> tuple[list[Hashable], IntArray]:
    """Return the different labels in order of appearance, and the place of each one among them."""
    found: dict[Hashable, int] = {}
    codes = [found.setdefault(label, len(found)) for label in labels]
    return list(found), np.array(codes, dtype=np.int64)


def members(codes: IntArray) -> Iterator[IntArray]:
    """Yield the rows of each group, in the order of the codes."""
    for code in range(int(codes.max(initial=-1)) + 1):
        yield np.flatnonzero(codes == code)


def within_ranks(values: FloatArray, codes: IntArray) -> FloatArray:
    """Rank each column within each group, centred on 0.

    Parameters
    ----------
    values : ndarray of shape (n, m)
        NaN for what is not known; ±inf are the ends.
    codes : ndarray of shape (n,)
        Group of each row, 0, 1, 2 …

    Returns
    -------
    ndarray of shape (n, m)
        (rank − (k + 1) / 2) / k among the k known values, ties at their mean: in (−0.5, 0.5), sum
        0 in each group; NaN counts as the middle, 0. O(n m log n).
    """
    from scipy.stats import rankdata

    known = ~np.isnan(values)
    largest = np.finfo(np.float64).max
    # what is not known goes behind all that is, and leaves its ranks alone
    ordered = np.where(known, np.clip(values, -largest, largest), np.inf)
    ranks = np.zeros(values.shape)
    for rows in members(codes):
        count = known[rows].sum(axis=0)
        place = rankdata(ordered[rows], axis=0) - (count + 1) / 2
        ranks[rows] = np.where(known[rows], place / np.maximum(count, 1), 0.0)
    return ranks


def group_rho(predicted: FloatArray, outcome: FloatArray, codes: IntArray) -> FloatArray:
    """Return Spearman's rho of predictions and outcomes in each group.

    Parameters
    ----------
    predicted : ndarray of shape (n, p)
        p predictions a run, finite, in units near 1.
    outcome : ndarray of shape (n, p)
        Centred ranks within groups.
    codes : ndarray of shape (n,)

    Returns
    -------
    ndarray of shape (groups, p)
        In [−1, 1]; 0 where either is constant within the group: it tells no order.
    """
    ranks = within_ranks(np.round(predicted, _DIGITS), codes)
    return group_correlation(ranks, outcome, codes)


def group_correlation(first: FloatArray, second: FloatArray, codes: IntArray) -> FloatArray:
    """Return Pearson's r in each group of columns that are centred there; 0 where one is flat."""
    found: list[FloatArray] = []
    for rows in members(codes):
        a, b = first[rows], second[rows]
        size = np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
        found.append((a * b).sum(axis=0) / np.where(size > 0, size, np.inf))
    return np.array(found)
