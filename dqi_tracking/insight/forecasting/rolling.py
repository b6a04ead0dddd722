"""Fit every atom to every run in closed form, and weigh them by how well they would have foretold.

Source: rolling-origin evaluation (Tashman 2000, doi:10.1016/S0169-2070(00)00065-0); weights by a
softmax of the errors, as in pseudo-Bayesian model averaging (Yao et al. 2018, arXiv 1704.02030).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.insight.forecasting.atoms import ATOMS, atoms
from dqi_tracking.insight.forecasting.level import last_bins
from dqi_tracking.insight.forecasting.window import CENTRES

if TYPE_CHECKING:
    from dqi_tracking.insight.forecasting.window import Window
    from dqi_tracking.types import FloatArray

_ORIGINS = ((0.6, 0.3), (0.75, 0.7))
"""Shares of the seen part from which the rest of it is foretold, and what each counts."""

_IN_SAMPLE = 0.2
_TEMPERATURE = 3.0
_SHRINKAGE = 10.0
"""Sampling variances of a slope that are held against it: noise alone foretells no drop."""

_RECENCY: FloatArray = CENTRES**0.75
"""Late bins count more: they look more like the future."""

_MATRIX = atoms(CENTRES)
_BOTH = np.concatenate((_MATRIX, _MATRIX**2), axis=1)
_NOW = atoms(np.array(1.0))


class Fit(NamedTuple):
    """Atoms fitted to B runs, in units of the run.

    Attributes
    ----------
    slope : ndarray of shape (B, 48)
        Weight times b ≥ 0 of each atom, less what noise explains of it.
    error : ndarray of shape (B,)
        Root mean square error of the rolling-origin forecasts of the weighted atoms.
    """

    slope: FloatArray
    error: FloatArray


def fit(window: Window) -> Fit:
    """Fit a + b·g(u), b ≥ 0, for every atom g and every run, and weigh the atoms.

    Parameters
    ----------
    window : Window
        B runs.

    Returns
    -------
    Fit
        O(B · 48 · 48), by matrix products.
    """
    slope, inside = _line(window.mean, window.weight * _RECENCY)
    rolling = np.zeros_like(slope)
    for origin, share in _ORIGINS:
        rolling += share * _error_from(window, origin)
    score = np.sqrt(rolling) + _IN_SAMPLE * np.sqrt(inside)
    best = np.maximum(score.min(axis=1, keepdims=True), 1e-9)
    weight = np.exp(-_TEMPERATURE * (score / best - 1))
    weight /= weight.sum(axis=1, keepdims=True)
    return Fit(weight * _shrunk(slope, window), np.sqrt((weight * rolling).sum(axis=1)))


def drop(fitted: Fit, ahead: FloatArray) -> FloatArray:
    """Foretell how far the loss falls from now to each horizon.

    Parameters
    ----------
    fitted : Fit
        B runs.
    ahead : ndarray of shape (B, ...), ≥ 1
        Horizons, as multiples of the seen part.

    Returns
    -------
    ndarray of shape (B, ...)
        In units of the run, ≥ 0. O(48) a horizon.
    """
    shape = (fitted.slope.shape[0],) + (1,) * (ahead.ndim - 1) + (ATOMS,)
    return (fitted.slope.reshape(shape) * (_NOW - atoms(ahead))).sum(axis=-1)


def _line(y: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Slopes and mean squared errors of weighted lines through (g, y), both of shape (B, 48)."""
    count = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    weighted = weight * y
    moments = weight @ _BOTH / count
    mean_g = moments[:, :ATOMS]
    mean_y = weighted.sum(axis=1, keepdims=True) / count
    var_g = moments[:, ATOMS:] - mean_g**2
    covariance = weighted @ _MATRIX / count - mean_g * mean_y
    var_y = (weighted * y).sum(axis=1, keepdims=True) / count - mean_y**2
    slope = np.maximum(covariance, 0) / np.maximum(var_g, 1e-12)
    return slope, np.maximum(var_y - 2 * slope * covariance + slope**2 * var_g, 0)


def _error_from(window: Window, origin: float) -> FloatArray:
    """Mean squared errors over the bins after `origin`, anchored at the level there."""
    early = origin >= CENTRES
    slope, _ = _line(window.mean, window.weight * early * _RECENCY)
    start = last_bins(window.mean, window.weight * early, 3)[:, None]
    here = atoms(np.array(origin))
    late = window.weight * ~early
    size = late.sum(axis=1, keepdims=True)
    moments = late @ _BOTH
    rest = late * (window.mean - start)
    cross = rest @ _MATRIX - here * rest.sum(axis=1, keepdims=True)
    square = moments[:, ATOMS:] - 2 * here * moments[:, :ATOMS] + here**2 * size
    total = (rest**2).sum(axis=1, keepdims=True) - 2 * slope * cross + slope**2 * square
    return np.maximum(total, 0) / np.maximum(size, 1)


def _shrunk(slope: FloatArray, window: Window) -> FloatArray:
    """Empirical Bayes: b · b² / (b² + λ var b), var b being what the noise of a point explains."""
    size = window.weight.sum(axis=1, keepdims=True)
    moments = window.weight @ _BOTH
    spread = np.maximum(moments[:, ATOMS:] - moments[:, :ATOMS] ** 2 / size, 1e-9)
    # the harmonic mean of the bins' points: thin bins are the noisy ones
    thin = (window.weight / np.maximum(window.held, 1)).sum(axis=1, keepdims=True) / size
    variance = window.noise[:, None] ** 2 * thin / spread
    return slope * slope**2 / (slope**2 + _SHRINKAGE * variance + 1e-12)
