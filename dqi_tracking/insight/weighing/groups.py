"""Runs in groups: outcomes as ranks within a group, and how well a score orders them there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from dqi_tracking.types import FloatArray

MIN_IN_GROUP = 4
"""Runs below which a group takes no part: three have a rank correlation of ±1 or ±.5."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Runs sorted by group, every group of `MIN_IN_GROUP` runs with two outcomes at least.

    Attributes
    ----------
    scores : ndarray of shape (n, 3)
        Phase scores early, mid, late, in [0, 1].
    ranks : ndarray of shape (n,)
        Of the outcome within the group, mean 0 and standard deviation 1, higher is better.
    codes : ndarray of shape (n,), int
        Group of each run, ascending from 0.
    outcomes : ndarray of shape (n,)
        Higher is better.
    names : tuple of str
        Of the groups.
    """

    scores: FloatArray
    ranks: FloatArray
    codes: NDArray[np.intp]
    outcomes: FloatArray
    names: tuple[str, ...]

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.names)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many runs take no part, and why; each is counted once, in this order.

    Attributes
    ----------
    no_score : int
        A phase score is not finite.
    no_outcome : int
        The outcome is NaN.
    small_group : int
        In groups of fewer than `MIN_IN_GROUP` other runs.
    constant_group : int
        In groups whose outcomes are all equal.
    """

    no_score: int = 0
    no_outcome: int = 0
    small_group: int = 0
    constant_group: int = 0


def grouped(
    scores: FloatArray, outcomes: FloatArray, labels: NDArray[np.str_]
) -> tuple[Grouped, LeftOut]:
    """Sort runs into groups, and leave out what cannot be compared.

    Parameters
    ----------
    scores : ndarray of shape (n, 3)
    outcomes : ndarray of shape (n,)
        Higher is better; infinite ones have a rank like any other.
    labels : ndarray of shape (n,), str

    Returns
    -------
    Grouped, LeftOut
    """
    has_score = np.isfinite(scores).all(axis=1)
    has_outcome = ~np.isnan(outcomes)
    usable = np.flatnonzero(has_score & has_outcome)
    kept: list[NDArray[np.intp]] = []
    n_small = n_constant = 0
    for label in np.unique(labels[usable]):
        rows = usable[labels[usable] == label]
        if rows.size < MIN_IN_GROUP:
            n_small += rows.size
        elif (outcomes[rows] == outcomes[rows[0]]).all():
            n_constant += rows.size
        else:
            kept.append(rows)
    rows = np.concatenate([np.empty(0, dtype=np.intp), *kept])
    sizes = [group.size for group in kept]
    ranks = [_standard(rankdata(outcomes[group])) for group in kept]
    left_out = LeftOut(
        no_score=int((~has_score).sum()),
        no_outcome=int((has_score & ~has_outcome).sum()),
        small_group=n_small,
        constant_group=n_constant,
    )
    found = Grouped(
        scores=scores[rows],
        ranks=np.concatenate([np.empty(0), *ranks]),
        codes=np.repeat(np.arange(len(kept)), sizes),
        outcomes=outcomes[rows],
        names=tuple(str(labels[group[0]]) for group in kept),
    )
    return found, left_out


def slices(codes: FloatArray | NDArray[np.intp]) -> Iterator[slice]:
    """Yield the rows of each group; the codes are sorted."""
    edges = np.flatnonzero(np.diff(codes)) + 1
    bounds = [0, *edges.tolist(), codes.size]
    for start, stop in pairwise(bounds):
        yield slice(start, stop)


def order_within(score: FloatArray, ranks: FloatArray, codes: NDArray[np.intp]) -> FloatArray:
    """Return how well a score orders the outcomes of each group.

    Parameters
    ----------
    score : ndarray of shape (n,)
    ranks : ndarray of shape (n,)
        As in `Grouped`.
    codes : ndarray of shape (n,)
        Sorted.

    Returns
    -------
    ndarray of shape (groups,)
        Spearman's rank correlation, in [−1, 1]; 0 for a score that is the same on all runs of a
        group, which orders nothing; NaN for one that holds a NaN. O(n log n).
    """
    found = [
        float(np.mean(_standard(rankdata(score[rows])) * ranks[rows])) for rows in slices(codes)
    ]
    return np.clip(found, -1.0, 1.0)


def _standard(values: FloatArray) -> FloatArray:
    centred = values - values.mean()
    spread = float(np.sqrt(np.mean(centred * centred)))
    return centred if spread == 0 else centred / spread
