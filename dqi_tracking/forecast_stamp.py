"""The forecast that is written on a run that is not finished."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dqi_tracking.context.horizons import planned_step, span_of, twice
from dqi_tracking.insight.forecast import forecast
from dqi_tracking.names import FORECAST
from dqi_tracking.trackers.base import FINISHED

if TYPE_CHECKING:
    from dqi_tracking.types import History, RunRef

_LOSS, _GAIN, _STEP = FORECAST


def lacks_forecast(ref: RunRef) -> bool:
    """Tell whether a run is to have a forecast and has none, whatever else stands on it.

    Its step alone counts: it is there where no loss can be foretold.
    """
    if ref.status in FINISHED:
        return False
    return ref.stamp is None or not math.isfinite(ref.stamp.metrics.get(_STEP, math.nan))


def forecast_metrics(ref: RunRef, history: History, *, wanted: bool) -> dict[str, float]:
    """Return what is to stand on a run under the names of `FORECAST`.

    Parameters
    ----------
    ref : RunRef
        The listing, with `planned_columns` where they are known.
    history : History
        What was logged so far.
    wanted : bool
        Whether unfinished runs get a forecast: by time alone, at the step of the run's own plan,
        or at twice its steps.

    Returns
    -------
    dict of str to float
        NaN where no loss can be foretold, and for all that stands there of an older forecast
        where no other takes its place; empty where nothing is to be written.
    """
    if not wanted or ref.status in FINISHED or not history.step.size:
        standing = ref.stamp.metrics if ref.stamp else {}
        return {name: math.nan for name in FORECAST if math.isfinite(standing.get(name, math.nan))}
    start, now = span_of(history)
    horizon = planned_step(ref, now) or twice(start, now)
    found = forecast(history, horizon.step)
    return {_LOSS: found.loss, _GAIN: found.gain, _STEP: horizon.step}
