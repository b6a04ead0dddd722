"""Permutation tests of the models, and controls with a known answer put to the same procedure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.validating.ranks import group_rho, members, within_ranks
from dqi_tracking.insight.validating.result import Control
from dqi_tracking.insight.validating.ridge import nested
from dqi_tracking.insight.validating.shuffling import p_value, shuffles
from dqi_tracking.insight.validating.trees import boosted

if TYPE_CHECKING:
    from dqi_tracking.insight.validating.question import Question
    from dqi_tracking.insight.validating.ranks import IntArray
    from dqi_tracking.types import FloatArray

LEVEL = 0.05
"""Level of every test."""
REPEATS = 20
"""Repeats of each control."""
MOST_FALSE = 4
"""Detections among 20 repeats of noise that chance explains: five or more come once in 390."""
LEAST_FOUND = 16
"""Detections among 20 repeats of a planted signal: a power of 80 %, by convention enough."""
PLANTED_RHO = 0.5
"""Correlation of the planted signal with the outcomes of configurations, about."""
CONTROL_SHUFFLES = 199
NOISE, PLANTED = "noise in place of the signals", "planted signal among noise"


def ridge_p(question: Question, x: FloatArray, moved: IntArray) -> tuple[float, float]:
    """Test ridge regression on features by shuffles, penalties chosen anew for each.

    Returns
    -------
    tuple of float
        rho of the outcomes as they are, and p.
    """
    outcomes = np.column_stack((question.y, question.y[moved]))
    found = group_rho(nested(x, outcomes, question.codes), outcomes, question.codes).mean(axis=0)
    return float(found[0]), p_value(float(found[0]), found[1:])


def trees_p(question: Question, x: FloatArray, observed: float, moved: IntArray) -> float:
    """Test boosted trees on features by shuffles, fitted anew for each."""
    outcomes = question.y[moved]
    folds = list(members(question.codes))
    found = group_rho(boosted(x, outcomes, folds), outcomes, question.codes).mean(axis=0)
    return p_value(observed, found)


def controls(question: Question, n_features: int, seed: int) -> tuple[Control, Control]:
    """Put noise, and a signal planted among noise, in place of the signals.

    Noise is drawn for each configuration, so that repeats share it as they share the real signals.

    Parameters
    ----------
    question : Question
        Groups, configurations and outcomes are the real ones.
    n_features : int
        Number of signals to replace.
    seed : int

    Returns
    -------
    tuple of Control
        Noise, which passes when it is found no oftener than chance and its mean rho is within three
        standard errors of 0; and the planted signal, which passes when it is found in 16 of 20.
    """
    random = np.random.default_rng(seed + 2)
    moved = shuffles(question.codes, question.configurations, CONTROL_SHUFFLES, seed + 3)
    noise, planted = np.empty((REPEATS, 2)), np.empty((REPEATS, 2))
    for repeat in range(REPEATS):
        x = _noise(question, n_features, random)
        noise[repeat] = ridge_p(question, within_ranks(x, question.codes), moved)
        x[:, 0] = plant(question, x[:, 0])
        planted[repeat] = ridge_p(question, within_ranks(x, question.codes), moved)
    return _noise_control(noise), _planted_control(planted)


def plant(question: Question, noise: FloatArray) -> FloatArray:
    """Return a signal of about `PLANTED_RHO` with the outcomes of configurations.

    Parameters
    ----------
    question : Question
    noise : ndarray of shape (n,)
        Normal, of unit variance, equal within a configuration.

    Returns
    -------
    ndarray of shape (n,)
        Equal within a configuration: it tells no repeat from another, as hyperparameters do not.
    """
    sizes = np.bincount(question.configurations)
    means = np.bincount(question.configurations, weights=question.y) / np.maximum(sizes, 1)
    outcome = means[question.configurations]
    return outcome / max(float(outcome.std()), 1e-12) + noise * np.sqrt(1 / PLANTED_RHO**2 - 1)


def _noise(question: Question, n_features: int, random: np.random.Generator) -> FloatArray:
    n_configurations = int(question.configurations.max()) + 1
    return random.normal(size=(n_configurations, n_features))[question.configurations]


def _noise_control(found: FloatArray) -> Control:
    rho, p = found.T
    detected = int((p <= LEVEL).sum())
    error = float(rho.std(ddof=1) / np.sqrt(REPEATS))
    at_chance = detected <= MOST_FALSE and float(rho.mean()) <= 3 * error
    expected = f"chance: found in at most {MOST_FALSE} of {REPEATS}, mean rank correlation about 0"
    return Control(NOISE, expected, REPEATS, detected, float(rho.mean()), at_chance)


def _planted_control(found: FloatArray) -> Control:
    rho, p = found.T
    detected = int((p <= LEVEL).sum())
    expected = (
        f"found: rank correlation about {PLANTED_RHO}, in at least {LEAST_FOUND} of {REPEATS}"
    )
    passed = detected >= LEAST_FOUND
    return Control(PLANTED, expected, REPEATS, detected, float(rho.mean()), passed)
