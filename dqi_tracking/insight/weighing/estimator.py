"""The fit as an estimator of scikit-learn, for its permutation test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator

from dqi_tracking.insight.weighing.fitting import fit, moments
from dqi_tracking.insight.weighing.groups import order_within

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray


class PhaseWeights(BaseEstimator):
    """Weights of the phases, learned from runs of several groups.

    The columns of a table are the three phase scores and, last, the group: the fit is within
    groups, and scikit-learn hands tables around, not groups.
    """

    def fit(self, X: FloatArray, y: FloatArray) -> PhaseWeights:  # noqa: N803 - scikit-learn's name
        """Learn from phase scores and groups of shape (n, 4), and outcome ranks of shape (n,)."""
        self.weights_ = fit(moments(X[:, :3], y, X[:, 3].astype(np.intp))).weights
        return self

    def predict(self, X: FloatArray) -> FloatArray:  # noqa: N803
        """Return the weighted score of each run, shape (n,)."""
        return X[:, :3] @ self.weights_


def order(estimator: PhaseWeights, X: FloatArray, y: FloatArray) -> float:  # noqa: N803
    """Return the mean over groups of how well the score orders the outcomes."""
    return float(order_within(estimator.predict(X), y, X[:, 3].astype(np.intp)).mean())
