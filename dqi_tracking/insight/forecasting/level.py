"""Where the loss stands now: the last point, or a mean of the last bins where the loss is noisy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.forecasting.window import BINS

if TYPE_CHECKING:
    from dqi_tracking.insight.forecasting.window import Window
    from dqi_tracking.types import FloatArray

_SPANS = (1, 2, 3, 6)
"""Numbers of last bins whose means are candidates, beside the last point."""

_SLOWING = 0.7
"""Local slope as a share of that between the last two quarters: a loss falls ever slower."""


def last_bins(mean: FloatArray, weight: FloatArray, span: int) -> FloatArray:
    """Return the mean of the last `span` bins that hold points, shape (B,)."""
    chosen = _last(weight, span)
    return (chosen * mean).sum(axis=1) / np.maximum(chosen.sum(axis=1), 1)


def _last(weight: FloatArray, span: int) -> FloatArray:
    behind = np.cumsum(weight[:, ::-1], axis=1)[:, ::-1]
    return weight * (behind <= span)


def level_now(window: Window) -> FloatArray:
    """Estimate the loss level at the end of the seen part.

    The last point and the means of the last 1, 2, 3 and 6 bins, each moved half-way along the local
    slope, are averaged with the inverse of their mean squared errors: noise / points + bias².

    Parameters
    ----------
    window : Window
        B runs.

    Returns
    -------
    ndarray of shape (B,)
        In units of the run. O(B · 48).
    """
    variance = window.late_noise**2
    slope = np.maximum(window.quarter_drop / (BINS / 4) * _SLOWING, 0)
    candidates = [window.last]
    errors = [variance + 1e-8]
    for span in _SPANS:
        points = (_last(window.weight, span) * window.held).sum(axis=1)
        fallen = (span - 1) / 2 * slope
        candidates.append(last_bins(window.mean, window.weight, span) - 0.5 * fallen)
        # half of the fall is not corrected for, and the correction is uncertain itself
        bias = 0.65 * fallen
        errors.append(variance / np.maximum(points, 1) + bias**2 + 1e-8)
    trust = 1 / np.stack(errors, axis=1)
    return (np.stack(candidates, axis=1) * trust).sum(axis=1) / trust.sum(axis=1)
