"""Non-negative weights of the phases by least squares, drawn to the default as far as it helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import nnls

from dqi_tracking.engine.fusion import PHASE_WEIGHTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dqi_tracking.types import FloatArray

DEFAULT = np.array(PHASE_WEIGHTS)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the fitted weights that are tried; the rest is the default."""
MAX_INNER_FOLDS = 10
"""Inner folds: one a group up to so many, then whole groups together."""
_RIDGE = 1e-12
"""Of the trace: enough to factorise where two phases score alike, too little to move a weight."""


class Moments(NamedTuple):
    """What least squares needs of each group, scores and ranks centred within it.

    Attributes
    ----------
    square : ndarray of shape (groups, 3, 3)
        Mean products of the phase scores.
    cross : ndarray of shape (groups, 3)
        Mean products of phase scores and outcome ranks.
    """

    square: FloatArray
    cross: FloatArray


class Fitted(NamedTuple):
    """Weights, and how much of them is fitted.

    Attributes
    ----------
    weights : ndarray of shape (3,)
        Non-negative, sum 1.
    share : float
        In [0, 1]: 0 is the default itself, 1 the least-squares weights.
    """

    weights: FloatArray
    share: float


def moments(scores: FloatArray, ranks: FloatArray, codes: NDArray[np.intp]) -> Moments:
    """Return the moments of each group; every group counts the same, whatever its size. O(n)."""
    starts = np.flatnonzero(np.diff(codes, prepend=codes[:1] - 1))
    sizes = np.diff(starts, append=codes.size)

    def mean(values: FloatArray) -> FloatArray:
        total = np.add.reduceat(values, starts)
        return total / sizes.reshape(-1, *[1] * (values.ndim - 1))

    centred = scores - np.repeat(mean(scores), sizes, axis=0)
    # a part of a group, as in a fold over runs, has ranks of another mean
    target = ranks - np.repeat(mean(ranks), sizes)
    square = mean(centred[:, :, None] * centred[:, None, :])
    return Moments(square, mean(centred * target[:, None]))


def least_squares(of_groups: Moments) -> FloatArray | None:
    """Return the non-negative weights that come closest to the outcome ranks.

    Returns
    -------
    ndarray of shape (3,) or None
        Sum 1. None where no phase scores higher on runs with a better outcome: all are then 0.

    References
    ----------
    Lawson, Hanson, Solving Least Squares Problems (1974), chapter 23.
    """
    square, cross = of_groups.square.sum(axis=0), of_groups.cross.sum(axis=0)
    trace = float(np.trace(square))
    if not trace > 0:
        return None
    root = np.linalg.cholesky(square + _RIDGE * trace * np.eye(3))
    found = nnls(root.T, np.linalg.solve(root, cross))[0]
    total = float(found.sum())
    return found / total if total > 0 else None


def fit(of_groups: Moments) -> Fitted:
    """Fit weights, with the share of them chosen on groups that they were not fitted on.

    Parameters
    ----------
    of_groups : Moments
        Of the groups to learn from; nothing else is looked at.

    Returns
    -------
    Fitted
        Of equally good shares the smaller one. With fewer than two groups no share can be chosen,
        and the least-squares weights come as they are.
    """
    found = least_squares(of_groups)
    if found is None:
        return Fitted(DEFAULT, 0.0)
    n_groups = len(of_groups.cross)
    if n_groups < 2:
        return Fitted(found, 1.0)
    folds = np.arange(n_groups) % min(n_groups, MAX_INNER_FOLDS)
    gains = np.zeros(len(SHARES))
    for fold in range(int(folds.max()) + 1):
        inside = folds != fold
        learned = least_squares(Moments(of_groups.square[inside], of_groups.cross[inside]))
        candidates = np.array([mixed(learned, share) for share in SHARES])
        gains += _agreement(candidates, of_groups, ~inside).sum(axis=1)
    share = SHARES[int(np.argmax(gains > gains.max() - 1e-9))]
    return Fitted(mixed(found, share), share)


def mixed(learned: FloatArray | None, share: float) -> FloatArray:
    """Return so large a share of learned weights, and the default for the rest."""
    return DEFAULT if learned is None else share * learned + (1 - share) * DEFAULT


def _agreement(weights: FloatArray, of_groups: Moments, chosen: NDArray[np.bool_]) -> FloatArray:
    """Return the correlation of scores with outcome ranks, shape (weights, chosen groups)."""
    spread = np.einsum("ki,gij,kj->kg", weights, of_groups.square[chosen], weights)
    joint = weights @ of_groups.cross[chosen].T
    return np.where(spread > 0, joint / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
