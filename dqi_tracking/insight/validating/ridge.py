"""Ridge regression on within-group ranks, nested by groups, for many outcomes at a time.

The closed form of `sklearn.linear_model.Ridge(fit_intercept=False)`, since the grams of all
training sets are differences of a few sums: a thousand shuffled outcomes cost little more than one.
Centred ranks need no intercept, and one would leak: the ranks of a group's other runs tell the
one left out.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.validating.ranks import members

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dqi_tracking.insight.validating.ranks import IntArray
    from dqi_tracking.types import FloatArray

PENALTIES = (0.01, 0.1, 1.0, 10.0)
"""Penalties to choose from, as multiples of the largest a feature's sum of squares can be in
training: from hardly any to one that leaves the features' own correlations."""

_RANK_VARIANCE = 1 / 12


def nested(x: FloatArray, y: FloatArray, codes: IntArray) -> FloatArray:
    """Predict each group by the others; the penalty is chosen by leaving out one of those in turn.

    Parameters
    ----------
    x : ndarray of shape (n, features)
        Centred ranks within groups.
    y : ndarray of shape (n, p)
        p outcomes, as centred ranks; each gets a penalty of its own.
    codes : ndarray of shape (n,)
        Three groups or more.

    Returns
    -------
    ndarray of shape (n, p)
        Predicted ranks. O(groups² · features · (features + n / groups) · p).
    """
    rows = list(members(codes))
    sums = _Sums(x, y, rows)
    errors = np.zeros((len(rows), len(PENALTIES), y.shape[1]))
    for first, second in combinations(range(len(rows)), 2):
        basis = sums.without(first, second)
        for held_out, other in ((first, second), (second, first)):
            # `other` judges the penalties with which `held_out` is predicted
            errors[held_out] += basis.errors(x[rows[other]], y[rows[other]])
    predicted = np.empty(y.shape)
    for held_out, own in enumerate(rows):
        chosen = np.array(PENALTIES)[errors[held_out].argmin(axis=0)]
        basis = sums.without(held_out)
        predicted[own] = basis.predict(x[own], chosen)
    return predicted


def best_penalty(x: FloatArray, y: FloatArray, codes: IntArray) -> float:
    """Return the penalty that leaving out each group finds best for one outcome of shape (n, 1)."""
    rows = list(members(codes))
    sums = _Sums(x, y, rows)
    errors = np.zeros((len(PENALTIES), 1))
    for held_out, own in enumerate(rows):
        errors += sums.without(held_out).errors(x[own], y[own])
    return PENALTIES[int(errors.argmin())]


def by_folds(x: FloatArray, y: FloatArray, folds: Iterable[IntArray], penalty: float) -> FloatArray:
    """Predict the rows of each fold by all other rows, with one penalty for all.

    Parameters
    ----------
    x : ndarray of shape (n, features)
    y : ndarray of shape (n, 1)
    folds : iterable of ndarray
        Rows of each fold; together all rows, each once.
    penalty : float
        One of `PENALTIES`.

    Returns
    -------
    ndarray of shape (n, 1)
    """
    rows = list(folds)
    sums = _Sums(x, y, rows)
    predicted = np.empty(y.shape)
    for held_out, own in enumerate(rows):
        basis = sums.without(held_out)
        predicted[own] = basis.predict(x[own], penalty)
    return predicted


class _Basis:
    """One training set, reduced to the eigenvectors of its gram matrix."""

    def __init__(self, gram: FloatArray, cross: FloatArray, n_rows: int) -> None:
        values, self.vectors = np.linalg.eigh(gram)
        self._values = np.maximum(values, 0.0)
        self._cross = self.vectors.T @ cross
        self._unit = n_rows * _RANK_VARIANCE

    def predict(self, x: FloatArray, penalty: float | FloatArray) -> FloatArray:
        """Return predictions of shape (n, p), with one penalty or one for each outcome."""
        added = self._unit * np.asarray(penalty)
        return x @ self.vectors @ (self._cross / (self._values[:, None] + added))

    def errors(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the mean squared error of each penalty and outcome, of shape (penalties, p)."""
        added = self._unit * np.array(PENALTIES)
        spread = self._values[:, None] + added
        solved = self._cross[:, None, :] / spread[:, :, None]
        seen = x @ self.vectors @ solved.reshape(len(spread), -1)
        missed = seen.reshape(len(x), *solved.shape[1:]) - y[:, None, :]
        return np.einsum("nap,nap->ap", missed, missed) / len(x)


class _Sums:
    """Sums over each set of rows, from which those of any training set are differences."""

    def __init__(self, x: FloatArray, y: FloatArray, rows: list[IntArray]) -> None:
        self._x = [x[own] for own in rows]
        self._gram = x.T @ x
        self._cross = x.T @ y
        self._own_cross = [x[own].T @ y[own] for own in rows]
        self._n_rows = len(x)

    def without(self, *left_out: int) -> _Basis:
        gram, cross, n_rows = self._gram, self._cross, self._n_rows
        for at in left_out:
            gram = gram - self._x[at].T @ self._x[at]
            cross = cross - self._own_cross[at]
            n_rows -= len(self._x[at])
        return _Basis(gram, cross, n_rows)
