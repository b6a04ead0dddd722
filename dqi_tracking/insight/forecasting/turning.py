"""A loss that has turned and rises: how fast, where that is beyond doubt.

Typical of a validation loss once a model overfits; no falling curve can follow it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.forecasting.window import BINS, CENTRES

if TYPE_CHECKING:
    from dqi_tracking.insight.forecasting.window import Window
    from dqi_tracking.types import FloatArray

_MIN_BINS = 9
"""Bins since the lowest one from which on a rise is believed."""

_MIN_T = 8.0
"""Slope over its standard error from which on a rise is believed."""

_DAMPING = 0.8


def rise(window: Window) -> FloatArray:
    """Estimate how fast a loss rises since its lowest point.

    A line is fitted to the bins since the lowest (a running mean of three).

    Parameters
    ----------
    window : Window
        B runs.

    Returns
    -------
    ndarray of shape (B,)
        Rise over one seen part, in units of the run, ≥ 0; 0 where the loss has not turned: fewer
        than nine bins since the lowest, or a slope under eight standard errors. O(B · 48).
    """
    lowest = _lowest(window)
    weight = window.weight * (CENTRES[lowest][:, None] - 1e-9 <= CENTRES)
    size = weight.sum(axis=1)
    count = np.maximum(size, 1)
    u = CENTRES - ((weight * CENTRES).sum(axis=1) / count)[:, None]
    y = window.mean - ((weight * window.mean).sum(axis=1) / count)[:, None]
    spread = np.maximum((weight * u**2).sum(axis=1), 1e-9)
    slope = (weight * u * y).sum(axis=1) / spread
    residual = (weight * (y - slope[:, None] * u) ** 2).sum(axis=1) / np.maximum(size - 2, 1)
    error = np.maximum(np.sqrt(residual / spread), 1e-9)
    since = BINS - 1 - lowest
    turned = (size >= _MIN_BINS) & (since >= _MIN_BINS) & (slope > _MIN_T * error)
    return np.where(turned, _DAMPING * slope, 0.0)


def _lowest(window: Window) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    padded = np.pad(window.mean * window.weight, ((0, 0), (1, 1)))
    held = np.pad(window.weight, ((0, 0), (1, 1)))
    total = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    points = held[:, :-2] + held[:, 1:-1] + held[:, 2:]
    smooth = np.where(points > 0, total / np.maximum(points, 1), np.inf)
    return smooth.argmin(axis=1)
