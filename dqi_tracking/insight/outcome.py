"""How a run will end among its like, told from its early part, and what that is worth.

Everything is judged on groups that were left out, and beside baselines that need no signal. What
the readings are worth is measured by the project's `studies/validation_study.py`; whether there is
anything to them is for `dqi_tracking.insight.validation` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.early_part import (
    CONFOUNDS,
    SIGNALS,
    Features,
    features,
    features_many,
)
from dqi_tracking.insight.validating.question import ask
from dqi_tracking.insight.validating.readings import predictions, readings

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

    from dqi_tracking.insight.validating.question import Question
    from dqi_tracking.insight.validating.readings import Prediction
    from dqi_tracking.insight.validating.result import Reading
    from dqi_tracking.types import FloatArray

__all__ = [
    "CONFOUNDS",
    "SIGNALS",
    "Features",
    "OutcomeStudy",
    "features",
    "features_many",
    "predict_outcomes",
]


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeStudy:
    """Outcomes of runs predicted from features, and how well that goes on unseen groups.

    Attributes
    ----------
    readings : tuple of Reading
        Two models, then the baselines: loss at the cut, lowest loss so far, logging interval and
        length, group alone. Empty where there is a `problem`.
    predicted : mapping of str to ndarray of shape (runs,)
        For each reading, the predicted rank of each run within its group, centred: negative for a
        low outcome. NaN for runs left out.
    groups : tuple of (str, int)
        Name and number of runs of each group used.
    runs : int
        Runs used.
    left_out : tuple of str
        What was left out and why.
    problem : str
        Why there is no number; empty where there is.
    """

    readings: tuple[Reading, ...]
    predicted: dict[str, FloatArray]
    groups: tuple[tuple[str, int], ...]
    runs: int
    left_out: tuple[str, ...]
    problem: str


def predict_outcomes(
    features: Features,
    outcomes: ArrayLike,
    groups: Sequence[Hashable],
    *,
    signals: Sequence[str] | None = None,
    confounds: Sequence[str] | None = None,
    seed: int = 0,
) -> OutcomeStudy:
    """Predict the outcome of runs within their groups, each group from the others.

    Features and outcomes are ranked within groups. Ridge regression (its penalty chosen by
    leaving out the training groups in turn) and boosted trees (fixed) predict the ranks.

    Parameters
    ----------
    features : Features
        One row a run, as `features_many` gives them. A missing number counts as the middle of its
        group.
    outcomes : array_like of shape (runs,)
        How each run ended, in any unit. Runs without a finite outcome are left out.
    groups : sequence of n labels
        What the answer should carry over to: runs that are alike in workload. Runs whose label is
        None, NaN or empty are left out.
    signals : sequence of str, optional
        Features to predict from; all but the confounds otherwise.
    confounds : sequence of str, optional
        Features that tell of logging and length; those of `CONFOUNDS` that there are otherwise.
    seed : int
        Of folds and bootstrap; equal seeds give equal results.

    Returns
    -------
    OutcomeStudy
        Without a number where fewer than three groups of eight runs are left. Rising with the
        outcome: a higher prediction is a higher outcome, whether that is good or not.

    Raises
    ------
    ConfigError
        When lengths differ, or a feature is named that is not there.
    """
    asked = ask(features, outcomes, groups)
    chosen, fixed = named(features, signals, confounds)
    if asked.problem:
        return study_of(asked, {}, (), len(features.values))
    predicted = predictions(asked, chosen, fixed, seed)
    found = readings(asked, predicted, seed)
    return study_of(asked, predicted, found, len(features.values))


def study_of(
    asked: Question, predicted: dict[str, Prediction], found: tuple[Reading, ...], n_runs: int
) -> OutcomeStudy:
    """Gather what was read of a question about so many runs."""
    sizes = np.bincount(asked.codes, minlength=len(asked.groups)).tolist()
    table: dict[str, FloatArray] = {}
    for name, prediction in predicted.items():
        table[name] = np.full(n_runs, np.nan)
        table[name][asked.rows] = prediction.by_group
    return OutcomeStudy(
        readings=found,
        predicted=table,
        groups=tuple(zip(asked.groups, sizes, strict=True)),
        runs=asked.rows.size,
        left_out=asked.left_out,
        problem=asked.problem,
    )


def named(
    features: Features, signals: Sequence[str] | None, confounds: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the signals and the confounds that are meant; `ConfigError` where one is not there."""
    fixed = [c for c in CONFOUNDS if c in features.names] if confounds is None else confounds
    chosen = [name for name in features.names if name not in fixed] if signals is None else signals
    for name in (*chosen, *fixed):
        if name not in features.names:
            known = ", ".join(features.names[:8])
            raise ConfigError(f"there is no feature {name!r}", fix=f"use names such as {known}")
    if not chosen:
        raise ConfigError("there is no signal to predict from", fix="name one feature or more")
    return tuple(chosen), tuple(fixed)
