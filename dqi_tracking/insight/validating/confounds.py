"""Counter-tests: what is left of the signals once something else has its due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.validating.bootstrap import over_groups
from dqi_tracking.insight.validating.ranks import group_correlation, group_rho, within_ranks
from dqi_tracking.insight.validating.readings import BASELINES
from dqi_tracking.insight.validating.result import CounterTests, Estimate
from dqi_tracking.insight.validating.ridge import nested
from dqi_tracking.insight.validating.shuffling import p_value, shuffles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.insight.validating.question import Question
    from dqi_tracking.types import FloatArray

N_SHUFFLED = 39
"""Shuffles of the signals beside the confounds: p can be 1 / 40."""

_NOTHING_LEFT = 1e-9
"""Share of a variance below which a residual is rounding."""


def counter_tests(
    question: Question,
    model: str,
    predicted: FloatArray,
    signals: Sequence[str],
    confounds: Sequence[str],
    seed: int,
) -> CounterTests:
    """Hold the confounds and the loss fixed, and shuffle the signals beside the confounds.

    Parameters
    ----------
    question : Question
    model : str
        Name of the model in question.
    predicted : ndarray of shape (n,)
        Its out-of-group predictions.
    signals, confounds : sequence of str
        Features.
    seed : int
        Of the shuffles and the bootstrap.

    Returns
    -------
    CounterTests
    """
    losses = [name for name in BASELINES.values() if name in question.names]
    own_loss = not set(signals) - set(losses)
    real, shuffled = _with_confounds(question, signals, confounds, seed)
    alone = _mean_rho(question, question.of(confounds)) if confounds else 0.0
    return CounterTests(
        model=model,
        beyond_confounds=partial_rho(question, predicted, confounds, seed) if confounds else None,
        beyond_loss=partial_rho(question, predicted, losses, seed)
        if losses and not own_loss
        else None,
        confounds_only=alone,
        with_signals=real,
        with_shuffled=float(shuffled.mean()),
        shuffled_p=p_value(real, shuffled),
        n_shuffled=N_SHUFFLED,
    )


def partial_rho(
    question: Question, predicted: FloatArray, fixed: Sequence[str], seed: int
) -> Estimate:
    """Correlate what prediction and outcome hold beyond some features, within groups.

    Ranks within groups are regressed on the ranks of the features, with one slope for all groups;
    the residuals are correlated in each group.

    Returns
    -------
    Estimate
        Mean over groups in [−1, 1]; 0 in a group where nothing is left.
    """
    controls = question.of(fixed)
    ranks = within_ranks(np.round(predicted, 10)[:, None], question.codes)
    left = group_correlation(
        _residual(ranks, controls), _residual(question.y[:, None], controls), question.codes
    )
    return over_groups(left[:, 0], seed)


def _residual(values: FloatArray, controls: FloatArray) -> FloatArray:
    slopes = np.linalg.lstsq(controls, values, rcond=None)[0]
    left = values - controls @ slopes
    return left if (left**2).sum() > _NOTHING_LEFT * (values**2).sum() else np.zeros_like(left)


def _with_confounds(
    question: Question, signals: Sequence[str], confounds: Sequence[str], seed: int
) -> tuple[float, FloatArray]:
    fixed = question.of(confounds) if confounds else np.empty((question.y.size, 0))
    own = question.of(signals)
    moved = shuffles(question.codes, question.configurations, N_SHUFFLED, seed + 1)
    shuffled = [
        _mean_rho(question, np.column_stack((fixed, own[moved[:, at]]))) for at in range(N_SHUFFLED)
    ]
    return _mean_rho(question, np.column_stack((fixed, own))), np.array(shuffled)


def _mean_rho(question: Question, x: FloatArray) -> float:
    y = question.y[:, None]
    return float(group_rho(nested(x, y, question.codes), y, question.codes).mean())
