"""The same model by other splits, and over all runs at once: how much a wrong split flatters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.validating.ranks import within_ranks

if TYPE_CHECKING:
    from dqi_tracking.insight.validating.question import Question
    from dqi_tracking.insight.validating.ranks import IntArray
    from dqi_tracking.types import FloatArray

N_FOLDS = 10


def k_folds(n_rows: int, seed: int) -> list[IntArray]:
    """Return ten folds of runs in random order, groups mixed, as scikit-learn's KFold has them."""
    from sklearn.model_selection import KFold

    folds = KFold(min(N_FOLDS, n_rows), shuffle=True, random_state=seed)
    return [held_out for _, held_out in folds.split(np.zeros((n_rows, 1)))]


def single_runs(n_rows: int) -> list[IntArray]:
    """Return one fold a run."""
    return list(np.arange(n_rows)[:, None])


def pooled_rho(question: Question, predicted: FloatArray, folds: list[IntArray]) -> float:
    """Return rho over all runs at once, of predictions in the units of the outcome.

    Parameters
    ----------
    question : Question
    predicted : ndarray of shape (n,)
        Predicted centred ranks, each made without the runs of its own fold; all 0 for a prediction
        that knows the group alone.
    folds : list of ndarray
        Those folds.

    Returns
    -------
    float
        In [−1, 1]. A predicted rank is turned into the quantile at that rank of the training runs
        of its group (of all training runs where it has none there).
    """
    outcomes, codes = question.outcomes, question.codes
    expected = np.empty(outcomes.size)
    training = np.ones(outcomes.size, dtype=np.bool_)
    for held_out in folds:
        training[held_out] = False
        for row in held_out.tolist():
            own = outcomes[training & (codes == codes[row])]
            at = float(np.clip(predicted[row] + 0.5, 0, 1))
            expected[row] = np.quantile(own if own.size else outcomes[training], at)
        training[held_out] = True
    whole = np.zeros(outcomes.size, dtype=np.int64)
    ranks = within_ranks(np.column_stack((expected, outcomes)), whole)
    size = float(np.sqrt((ranks**2).sum(axis=0).prod()))
    return float(ranks.prod(axis=1).sum() / size) if size else 0.0
