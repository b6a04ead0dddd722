"""What fitted weights are worth on groups that they were not fitted on, and by how much chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.insight.weighing.fitting import (
    Fitted,
    Moments,
    fit,
    least_squares,
    mixed,
    moments,
)
from dqi_tracking.insight.weighing.groups import order_within

if TYPE_CHECKING:
    from dqi_tracking.insight.weighing.groups import Grouped
    from dqi_tracking.types import FloatArray

FOLDS = 5
"""Folds over runs, whose skill is compared with that over groups."""


def leave_one_group_out(runs: Grouped) -> FloatArray:
    """Return the score of each run by the weights learned on all other groups.

    Parameters
    ----------
    runs : Grouped
        Two groups at least. The share of the learned weights is chosen within the other groups.

    Returns
    -------
    ndarray of shape (n,)
        In [0, 1].
    """
    found = moments(runs.scores, runs.ranks, runs.codes)
    score = np.empty(runs.ranks.size)
    for group in range(runs.n_groups):
        others = np.arange(runs.n_groups) != group
        weights = fit(Moments(found.square[others], found.cross[others])).weights
        rows = runs.codes == group
        score[rows] = runs.scores[rows] @ weights
    return score


def folds_over_runs(runs: Grouped, seed: int) -> float:
    """Return how well runs are ordered by weights learned on four fifths of all groups' runs.

    Mean rank correlation within a group. Its excess over that of `leave_one_group_out` is what a
    validation that ignores groups would promise too much.
    """
    fold = np.random.default_rng(seed).permutation(runs.ranks.size) % FOLDS
    score = np.empty(runs.ranks.size)
    for number in range(FOLDS):
        inside = fold != number
        found = fit(moments(runs.scores[inside], runs.ranks[inside], runs.codes[inside]))
        score[~inside] = runs.scores[~inside] @ found.weights
    return float(order_within(score, runs.ranks, runs.codes).mean())


def permutation_p(runs: Grouped, n_permutations: int, seed: int) -> float:
    """Return how often outcomes shuffled within groups are ordered as well by what they teach.

    Parameters
    ----------
    runs : Grouped
        Two groups at least.
    n_permutations : int
    seed : int

    Returns
    -------
    float
        In [1 / (n_permutations + 1), 1].

    Notes
    -----
    scikit-learn's `permutation_test_score` with `groups`, over `LeaveOneGroupOut`. It takes runs
    of a group for exchangeable; where they are repeats of a few configurations, it is too small.
    """
    from sklearn.model_selection import LeaveOneGroupOut, permutation_test_score

    from dqi_tracking.insight.weighing.estimator import PhaseWeights, order

    given: dict[str, Any] = {"groups": runs.codes, "cv": LeaveOneGroupOut(), "scoring": order}
    table = np.column_stack((runs.scores, runs.codes))
    _, _, p = permutation_test_score(
        PhaseWeights(), table, runs.ranks, n_permutations=n_permutations, random_state=seed, **given
    )
    return float(p)


def weight_intervals(runs: Grouped, fitted: Fitted, n_times: int, seed: int) -> FloatArray:
    """Return 95 % intervals of the three weights, shape (3, 2): groups are drawn anew.

    The share of the fitted weights stays as it was chosen.
    """
    found = moments(runs.scores, runs.ranks, runs.codes)
    weights = [
        mixed(least_squares(Moments(found.square[drawn], found.cross[drawn])), fitted.share)
        for drawn in _drawn(runs.n_groups, n_times, seed)
    ]
    return np.percentile(weights, [2.5, 97.5], axis=0).T


def mean_interval(values: FloatArray, n_times: int, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of a mean over groups: groups are drawn anew."""
    means = values[_drawn(values.size, n_times, seed)].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _drawn(n_groups: int, n_times: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(n_groups, size=(n_times, n_groups))
