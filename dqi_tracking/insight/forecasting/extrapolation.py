"""The point forecast: the level now, less the drop of the atoms or plus the rise after a turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.insight.forecasting.level import level_now
from dqi_tracking.insight.forecasting.restart import restarts
from dqi_tracking.insight.forecasting.rolling import Fit, drop, fit
from dqi_tracking.insight.forecasting.turning import rise
from dqi_tracking.insight.forecasting.window import windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.insight.forecasting.window import Standard, Window
    from dqi_tracking.types import FloatArray

_FLOOR = 0.003
"""Smallest error that is believed in, in units of the run: one part in 300 of its range."""


class Extrapolation(NamedTuple):
    """B runs, ready to be asked for any horizon; everything in units of the run.

    Attributes
    ----------
    window : Window
        What was fitted.
    now : ndarray of shape (B,)
        Loss level at the end of the seen part.
    fitted : Fit
        The falling atoms.
    rise : ndarray of shape (B,)
        Rise over one seen part of a loss that has turned, else 0.
    difficulty : ndarray of shape (B,)
        Scale of the error to expect, > 0: the geometric mean of the rolling-origin error and of
        recent noise and slope together.
    restart : ndarray of shape (B,)
        When the loss jumped up, as a share of the seen part; NaN where it did not.
    """

    window: Window
    now: FloatArray
    fitted: Fit
    rise: FloatArray
    difficulty: FloatArray
    restart: FloatArray

    def at(self, ahead: FloatArray) -> FloatArray:
        """Foretell the loss.

        Parameters
        ----------
        ahead : ndarray of shape (B, ...), ≥ 1
            Horizons, as multiples of the seen part.

        Returns
        -------
        ndarray of shape (B, ...)
            In units of the run.
        """
        shape = (-1,) + (1,) * (ahead.ndim - 1)
        now, climb = self.now.reshape(shape), self.rise.reshape(shape)
        with np.errstate(over="ignore", invalid="ignore"):
            return now + np.where(climb > 0, climb * (ahead - 1), -drop(self.fitted, ahead))


def extrapolate(runs: Sequence[Standard]) -> Extrapolation:
    """Fit B runs.

    Parameters
    ----------
    runs : sequence of B Standard

    Returns
    -------
    Extrapolation
        O(points + B · 48 · 48).
    """
    window = windows(runs)
    fitted = fit(window)
    recent = np.hypot(window.late_noise, window.quarter_drop) + _FLOOR
    return Extrapolation(
        window=window,
        now=level_now(window),
        fitted=fitted,
        rise=rise(window),
        difficulty=np.sqrt(recent * (fitted.error + _FLOOR)),
        restart=restarts(window),
    )
