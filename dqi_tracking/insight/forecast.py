"""Where a run is going: the loss to expect at a step that has not come yet.

How good the forecasts are, on which runs, is measured by the project's `studies/forecast_study.py`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.engine.signal import extract
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.forecasting import conformal
from dqi_tracking.insight.forecasting.answers import Asked
from dqi_tracking.insight.forecasting.assembly import assemble, without_numbers
from dqi_tracking.insight.forecasting.calibration import Calibration, calibrate, shipped
from dqi_tracking.insight.forecasting.reading import read
from dqi_tracking.insight.forecasting.replay import BATCH
from dqi_tracking.insight.forecasting.result import Forecast
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from numpy.typing import ArrayLike

    from dqi_tracking.types import FloatArray

    LearningRate: TypeAlias = tuple[ArrayLike, ArrayLike]

__all__ = ["Calibration", "Forecast", "calibrate", "forecast", "forecast_many"]


def forecast(
    history: History,
    horizon: float,
    level: float = 0.9,
    *,
    higher_is_better: bool = False,
    learning_rate: LearningRate | None = None,
    calibration: Calibration | None = None,
) -> Forecast:
    """Forecast the loss of one run at a step that has not come yet.

    The seen part is fitted by 48 shifted power laws in closed form, weighted by how well each would
    have foretold the last 40 and the last 25 % of it; a loss that has clearly turned goes on
    rising. Intervals are split conformal, calibrated on finished runs.

    Parameters
    ----------
    history : History
        What was logged so far, rows in any order. Only the loss is read.
    horizon : float
        Step at which the loss is asked for, in the run's own unit of steps.
    level : float in [0.5, 0.98]
        Nominal coverage of the interval `low`, `high`. The 80 and the 90 % intervals come always.
    higher_is_better : bool
        For a metric that should rise, as accuracy does.
    learning_rate : tuple of two array_like of shape (m,), optional
        Steps and learning rates. Once the rate is under half of its peak, half of the forecast
        follows it (`mode` is then ``"learning_rate"``). Steps after the last of the history are
        the plan; without one, the slope of the last fifth is carried on.
    calibration : Calibration, optional
        From `calibrate`, on finished runs like this one; that of the package otherwise.

    Returns
    -------
    Forecast
        A status other than `ok` where there is nothing to foretell: never an error for data.
        O(n log n).

    Raises
    ------
    ConfigError
        When the horizon is not finite or the level outside its range.
    MalformedHistory
        When the learning rate is no series.

    Examples
    --------
    >>> from dqi_tracking import History
    >>> steps = range(100, 2100, 100)
    >>> run = History(steps, [(step / 100) ** -0.5 for step in steps])
    >>> result = forecast(run, 4000)
    >>> result.status, round(result.loss, 3)
    ('ok', 0.138)
    """
    return forecast_many(
        [history],
        [horizon],
        level,
        higher_is_better=higher_is_better,
        learning_rates=[learning_rate],
        calibration=calibration,
    )[0]


def forecast_many(
    histories: Sequence[History],
    horizons: Sequence[float],
    level: float = 0.9,
    *,
    higher_is_better: bool = False,
    learning_rates: Sequence[LearningRate | None] | None = None,
    calibration: Calibration | None = None,
) -> list[Forecast]:
    """Forecast many runs, each at a horizon of its own.

    Parameters
    ----------
    histories : sequence of B History
    horizons : sequence of B float
        As for `forecast`. One run at many horizons: repeat the history.
    level : float in [0.5, 0.98]
    higher_is_better : bool
    learning_rates : sequence of B tuple or None, optional
        One for each history, as for `forecast`. They cost about 1 ms a run.
    calibration : Calibration, optional
        As for `forecast`; the same for all.

    Returns
    -------
    list of B Forecast
        In the order given, each equal to that of `forecast`.

    Raises
    ------
    ConfigError
        As for `forecast`, and when there is not one horizon a history.
    MalformedHistory
        As for `forecast`.
    """
    _check(len(histories), horizons, level)
    rates = [None] * len(histories) if learning_rates is None else learning_rates
    if len(rates) != len(histories):
        raise ConfigError(
            f"{len(rates)} learning rates for {len(histories)} runs",
            fix="pass one learning rate, or None, for each run",
        )
    table = shipped() if calibration is None else calibration
    found: list[Forecast | None] = [None] * len(histories)
    asked: list[tuple[int, Asked]] = []
    for row, (history, horizon, rate) in enumerate(zip(histories, horizons, rates, strict=True)):
        curve = read(history, higher_is_better=higher_is_better)
        late = bool(curve.x.size and horizon <= curve.x[-1])
        if curve.standard is None or late:
            status = "past" if late and curve.status in {"ok", "flat"} else curve.status
            found[row] = without_numbers(
                status, curve, float(horizon), level, higher_is_better=higher_is_better
            )
        else:
            series = None if rate is None else _series(rate)
            asked.append((row, Asked(curve, curve.standard, float(horizon), series)))
    for start in range(0, len(asked), BATCH):
        some = asked[start : start + BATCH]
        made = assemble(
            [ask for _, ask in some],
            level,
            higher_is_better=higher_is_better,
            calibration=table,
        )
        for (row, _), result in zip(some, made, strict=True):
            found[row] = result
    return [result for result in found if result is not None]


def _series(rate: LearningRate) -> tuple[FloatArray, FloatArray]:
    signal = extract(History(rate[0], rate[1], loss_key="learning_rate"), nan_policy="omit")
    return signal.x, np.maximum(signal.y, 0)


def _check(runs: int, horizons: Sequence[float], level: float) -> None:
    if len(horizons) != runs:
        raise ConfigError(
            f"{len(horizons)} horizons for {runs} runs", fix="pass one horizon for each run"
        )
    if not all(math.isfinite(horizon) for horizon in horizons):
        raise ConfigError("a horizon is not finite", fix="pass the step to look ahead to")
    if not conformal.MIN_LEVEL <= level <= conformal.MAX_LEVEL:
        raise ConfigError(
            f"`level` is {level!r}, not in [{conformal.MIN_LEVEL:.2f}, {conformal.MAX_LEVEL:.2f}]",
            fix="ask for 0.8 or 0.9",
        )
