"""What models and baselines are worth on groups that they have not seen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.insight.early_part import CONFOUNDS
from dqi_tracking.insight.validating.bootstrap import over_groups
from dqi_tracking.insight.validating.ranks import group_rho, members
from dqi_tracking.insight.validating.result import Reading
from dqi_tracking.insight.validating.ridge import best_penalty, by_folds, nested
from dqi_tracking.insight.validating.splits import k_folds, pooled_rho, single_runs
from dqi_tracking.insight.validating.trees import boosted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.insight.validating.question import Question
    from dqi_tracking.types import FloatArray

RIDGE, TREES = "ridge on the signals", "boosted trees on the signals"
LOSS, LOWEST = "loss at the cut", "lowest loss so far"
LOGGING_ALONE, CONFOUNDS_ALONE = "logging interval and length", "confounds alone"
GROUP_ALONE = "group alone"
BASELINES = {LOSS: "loss_level", LOWEST: "loss_lowest"}
"""Baselines of one feature, by name."""


class Prediction(NamedTuple):
    """Predicted ranks of n runs, each made without the runs it is judged on.

    Attributes
    ----------
    by_group, by_fold : ndarray of shape (n,)
        Without the run's group, and without its fold of ten.
    by_run : ndarray of shape (n,) or None
        Without the run itself.
    """

    by_group: FloatArray
    by_fold: FloatArray
    by_run: FloatArray | None


def predictions(
    question: Question, signals: Sequence[str], confounds: Sequence[str], seed: int
) -> dict[str, Prediction]:
    """Predict the outcome of every run by each model and baseline, by name."""
    predicted = {RIDGE: ridge_prediction(question, signals, seed)}
    predicted[TREES] = _trees_prediction(question, signals, seed)
    for name, feature in BASELINES.items():
        if feature in question.names:
            predicted[name] = ridge_prediction(question, (feature,), seed)
    if confounds:
        of_logging = set(confounds) <= set(CONFOUNDS)
        name = LOGGING_ALONE if of_logging else CONFOUNDS_ALONE
        predicted[name] = ridge_prediction(question, confounds, seed)
    nothing = np.zeros(question.y.size)
    predicted[GROUP_ALONE] = Prediction(nothing, nothing, None)
    return predicted


def ridge_prediction(question: Question, names: Sequence[str], seed: int) -> Prediction:
    """Predict by ridge regression on some features."""
    x, y = question.of(names), question.y[:, None]
    penalty = best_penalty(x, y, question.codes)
    return Prediction(
        nested(x, y, question.codes)[:, 0],
        by_folds(x, y, k_folds(len(y), seed), penalty)[:, 0],
        by_folds(x, y, single_runs(len(y)), penalty)[:, 0],
    )


def _trees_prediction(question: Question, names: Sequence[str], seed: int) -> Prediction:
    x, y = question.of(names), question.y[:, None]
    return Prediction(
        boosted(x, y, list(members(question.codes)))[:, 0],
        boosted(x, y, k_folds(len(y), seed))[:, 0],
        None,
    )


def readings(
    question: Question, predicted: dict[str, Prediction], seed: int
) -> tuple[Reading, ...]:
    """Judge predictions, all against the loss at the cut."""
    by_loss = _each_rho(question, predicted[LOSS].by_group) if LOSS in predicted else None
    if by_loss is not None and by_loss.mean() < 0:
        by_loss = np.zeros(by_loss.size)  # a baseline below chance would flatter the rest
    return tuple(
        _reading(question, name, prediction, None if name == LOSS else by_loss, seed)
        for name, prediction in predicted.items()
    )


def _reading(
    question: Question,
    name: str,
    prediction: Prediction,
    by_loss: FloatArray | None,
    seed: int,
) -> Reading:
    each = _each_rho(question, prediction.by_group)
    rho = over_groups(each, seed)
    knows_runs = name != GROUP_ALONE
    k_fold = float(_each_rho(question, prediction.by_fold).mean()) if knows_runs else math.nan
    by_run = math.nan
    if prediction.by_run is not None:
        by_run = float(_each_rho(question, prediction.by_run).mean())
    folds = k_folds(question.y.size, seed)
    return Reading(
        name=name,
        is_baseline=name not in (RIDGE, TREES),
        rho=rho,
        each_rho=tuple(each.tolist()),
        over_loss=None if by_loss is None else over_groups(each - by_loss, seed),
        k_fold=k_fold,
        leave_one_out=by_run,
        optimism=k_fold - rho.value,
        pooled=pooled_rho(question, prediction.by_fold, folds),
    )


def _each_rho(question: Question, predicted: FloatArray) -> FloatArray:
    return group_rho(predicted[:, None], question.y[:, None], question.codes)[:, 0]
