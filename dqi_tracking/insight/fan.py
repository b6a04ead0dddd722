"""The forecast as a fan: one run at many horizons, to be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.insight.forecast import forecast_many

if TYPE_CHECKING:
    from dqi_tracking.insight.forecast import LearningRate
    from dqi_tracking.insight.forecasting.calibration import Calibration
    from dqi_tracking.types import FloatArray, History

HORIZONS = 24
"""Horizons that are asked for: enough for a smooth line."""

_FIRST = 0.02
"""Share of the way to the horizon at which the fan begins."""


class Fan(NamedTuple):
    """Forecasts of one run between now and a horizon; arrays of shape (24,), all finite.

    Attributes
    ----------
    step : ndarray
        Rising; the last is the horizon.
    loss : ndarray
        Expected at each step.
    low80, high80, low90, high90 : ndarray
        Ends of the 80 and the 90 % interval.
    """

    step: FloatArray
    loss: FloatArray
    low80: FloatArray
    high80: FloatArray
    low90: FloatArray
    high90: FloatArray


def fan(
    history: History,
    horizon: float,
    *,
    higher_is_better: bool = False,
    learning_rate: LearningRate | None = None,
    calibration: Calibration | None = None,
) -> Fan | None:
    """Forecast a run at steps between now and a horizon.

    Parameters
    ----------
    history, horizon, higher_is_better, learning_rate, calibration
        As in `forecast`.

    Returns
    -------
    Fan or None
        None where there is no forecast.

    Raises
    ------
    ConfigError, MalformedHistory
        As `forecast`.
    """
    if not history.step.size:
        return None
    now = float(history.step.max())
    step = now + np.linspace(_FIRST, 1, HORIZONS) * (horizon - now)
    found = forecast_many(
        [history] * HORIZONS,
        step.tolist(),
        higher_is_better=higher_is_better,
        learning_rates=[learning_rate] * HORIZONS,
        calibration=calibration,
    )
    if any(each.status != "ok" for each in found):
        return None
    columns = [np.array([getattr(each, name) for each in found]) for name in Fan._fields[1:]]
    if not all(np.isfinite(column).all() for column in columns):
        return None
    return Fan(step, *columns)
