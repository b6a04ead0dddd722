"""A loss that jumped up and stayed up: the mark of a run that was started anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.forecasting.window import BINS

if TYPE_CHECKING:
    from dqi_tracking.insight.forecasting.window import Window
    from dqi_tracking.types import FloatArray

_STAYS = 4
"""Bins before and after the jump that it must lie between."""

_HEIGHT = 0.5
"""Height of the jump, as a share of the run's range."""


def restarts(window: Window) -> FloatArray:
    """Find where the loss jumped up by half its range, four bins above the four before.

    Parameters
    ----------
    window : Window
        B runs.

    Returns
    -------
    ndarray of shape (B,)
        Time of the highest such jump as a share of the seen part; NaN where there is none.
    """
    views = np.lib.stride_tricks.sliding_window_view(window.filled, _STAYS, axis=1)
    height = views[:, _STAYS:].min(axis=2) - views[:, :-_STAYS].max(axis=2)
    at = height.argmax(axis=1)
    found = height[np.arange(at.size), at] > _HEIGHT
    return np.where(found, (at + _STAYS) / BINS, np.nan)
