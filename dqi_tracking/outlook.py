"""What is to be expected of one run at an address: read, forecast, and advised on."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dqi_tracking.context.companions import LEARNING_RATES, Companion, read_companion
from dqi_tracking.context.horizons import Horizon, horizon_of
from dqi_tracking.context.plans import planned_columns
from dqi_tracking.errors import ConfigError, HistoryError
from dqi_tracking.insight.forecast import forecast
from dqi_tracking.insight.forecasting.verdict import number
from dqi_tracking.insight.stopping import advise
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import RUNNING
from dqi_tracking.trackers.single import single_run

if TYPE_CHECKING:
    from dqi_tracking.config import Settings
    from dqi_tracking.context.horizons import Ahead
    from dqi_tracking.insight.forecasting.calibration import Calibration
    from dqi_tracking.insight.forecasting.result import Forecast
    from dqi_tracking.insight.stopping import Advice
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import FloatArray, History, RunRef

_HOUR = 3_600_000
_SHORTEST = _HOUR / 60
"""Milliseconds under which a run's time is that of an import, not of a training."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One run, where it is going, and whether more training pays.

    Attributes
    ----------
    ref : RunRef
    history : History
        What was logged so far.
    horizon : Horizon
    forecast : Forecast
    advice : Advice
    rate : Companion
        The learning rate, where it was logged.
    steps_per_hour : float
        By the run's start and end as its tracker has them, the clock where it goes on; NaN where
        these are not known, or less than a minute apart.
    higher_is_better : bool
    """

    ref: RunRef
    history: History
    horizon: Horizon
    forecast: Forecast
    advice: Advice
    rate: Companion
    steps_per_hour: float
    higher_is_better: bool

    @property
    def gain_per_hour(self) -> float:
        """Expected gain over the hours to the horizon; NaN where these are not known."""
        return self.forecast.gain_per_1000_steps / 1000 * self.steps_per_hour

    @property
    def learning_rate(self) -> tuple[FloatArray, FloatArray] | None:
        """Steps and learning rates, as `forecast` takes them."""
        series = self.rate.series
        return None if series is None else (series.step, series.value)


def look_ahead(
    address: str,
    *,
    at: Ahead | None = None,
    epochs: Ahead | None = None,
    level: float = 0.9,
    higher_is_better: bool = False,
    calibration: Calibration | None = None,
    settings: Settings,
) -> Outlook:
    """Forecast the run at an address.

    Parameters
    ----------
    address : str
        Of one run; it may still be running.
    at, epochs : Ahead, optional
        Where to look, one of them; the run's own plan, or twice its steps so far, where left out.
    level, higher_is_better, calibration
        As in `forecast`.
    settings : Settings

    Returns
    -------
    Outlook

    Raises
    ------
    ConfigError
        When the address holds several runs, or the horizon is not after the last step.
    HistoryError
        When no loss was logged.
    TrackerError
        When the run is not found or cannot be read.
    """
    tracker = open_tracker(address, settings=settings)
    try:
        # of an offline run only reading tells what it holds
        reading = next(iter(tracker.read([single_run(tracker, address, planned_columns())])))
        return outlook_of(
            tracker,
            reading.ref,
            reading.found(),
            at=at,
            epochs=epochs,
            level=level,
            higher_is_better=higher_is_better,
            calibration=calibration,
            settings=settings,
        )
    finally:
        tracker.close()


def outlook_of(
    tracker: Tracker,
    ref: RunRef,
    history: History,
    *,
    at: Ahead | None = None,
    epochs: Ahead | None = None,
    level: float = 0.9,
    higher_is_better: bool = False,
    calibration: Calibration | None = None,
    settings: Settings,
) -> Outlook:
    """Forecast a run that was read; see `look_ahead`. `ref` has `planned_columns`."""
    if history.loss is None or not history.loss.size:
        raise HistoryError(
            f"no loss was logged on run `{ref.run_id}`: a gradient norm is not foretold",
            fix="name the metric with --metric",
            run=ref.run_id,
        )
    horizon = horizon_of(history, ref, at=at, epochs=epochs, tracker=tracker, settings=settings)
    rate = read_companion(tracker, ref, LEARNING_RATES, settings)
    found = forecast(
        history,
        horizon.step,
        level,
        higher_is_better=higher_is_better,
        learning_rate=rate.series and (rate.series.step, rate.series.value),
        calibration=calibration,
    )
    if found.status == "past":
        raise ConfigError(
            f"step {number(horizon.step)} is not after the last step of the run,"
            f" {number(found.step)}",
            fix=f"look ahead: --at +1000, or a step after {number(found.step)}",
            run=ref.run_id,
        )
    return Outlook(
        ref=ref,
        history=history,
        horizon=horizon,
        forecast=found,
        advice=advise(history, found, higher_is_better=higher_is_better),
        rate=rate,
        steps_per_hour=_steps_per_hour(ref, history),
        higher_is_better=higher_is_better,
    )


def _steps_per_hour(ref: RunRef, history: History) -> float:
    ended = time.time() * 1000 if ref.status in RUNNING else ref.ended
    if not ref.started or ended - ref.started < _SHORTEST:
        return math.nan
    steps = float(history.step.max()) - float(history.step.min())
    return steps / ((ended - ref.started) / _HOUR)
