"""Gradient-boosted trees on within-group ranks, for what is not a straight line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.insight.validating.ranks import IntArray
    from dqi_tracking.types import FloatArray

SETTINGS: dict[str, Any] = {
    "max_iter": 30,
    "max_depth": 2,
    "min_samples_leaf": 10,
    "learning_rate": 0.1,
    "early_stopping": False,
    "random_state": 0,
}
"""Small and fixed before any data was seen: nothing is chosen, so nothing has to be nested."""


def boosted(x: FloatArray, y: FloatArray, folds: Sequence[IntArray]) -> FloatArray:
    """Predict the rows of each fold by all other rows.

    Parameters
    ----------
    x : ndarray of shape (n, features)
        Centred ranks within groups.
    y : ndarray of shape (n, p)
        p outcomes, as centred ranks.
    folds : sequence of ndarray
        Rows of each fold; together all rows, each once.

    Returns
    -------
    ndarray of shape (n, p)
        One fit for each fold and outcome, on one core: for a few hundred runs, threads cost more
        than they bring.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    predicted = np.empty(y.shape)
    everything = np.arange(len(x))
    with threadpool_limits(1):
        for own in folds:
            others = np.setdiff1d(everything, own)
            for at in range(y.shape[1]):
                model = HistGradientBoostingRegressor(**SETTINGS)
                model.fit(x[others], y[others, at])
                predicted[own, at] = model.predict(x[own])
    return predicted
