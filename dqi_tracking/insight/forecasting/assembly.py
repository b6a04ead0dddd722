"""From fitted curves to `Forecast`s: horizons, intervals, gains, and the words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.forecasting import verdict
from dqi_tracking.insight.forecasting.answers import answer
from dqi_tracking.insight.forecasting.calibration import VERSION
from dqi_tracking.insight.forecasting.result import Forecast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.insight.forecasting.answers import Answers, Asked
    from dqi_tracking.insight.forecasting.calibration import Calibration
    from dqi_tracking.insight.forecasting.reading import Curve, Status

_NAN = float("nan")

_FAR = 10.0
"""Multiples of the seen part beyond which no finished run was looked at."""


def assemble(
    asked: Sequence[Asked], level: float, *, higher_is_better: bool, calibration: Calibration
) -> list[Forecast]:
    """Forecast B runs.

    Parameters
    ----------
    asked : sequence of B Asked
    level : float in [0.5, 0.98]
        Nominal coverage of the interval beside the 80 and the 90 % ones.
    higher_is_better : bool
        Whether the curves were turned upside down.
    calibration : Calibration
        Where the widths of the intervals come from.

    Returns
    -------
    list of Forecast
        In the order given, all of status `ok`.
    """
    numbers = answer(asked, (level, 0.8, 0.9), calibration)
    return [
        _forecast(ask, row, numbers, level, higher_is_better, calibration)
        for row, ask in enumerate(asked)
    ]


def without_numbers(
    status: Status, curve: Curve, horizon: float, level: float, *, higher_is_better: bool
) -> Forecast:
    """Make the forecast of a run of which nothing can be foretold, and say why."""
    reasons = {
        "too_short": f"too short: {curve.y.size} finite points, 8 are needed",
        "nan": "lost: the last points, or all but a few, are not finite",
        "flat": "constant so far: there is nothing to extrapolate",
        "no_signal": "no loss was logged",
        "past": f"step {verdict.number(horizon)} is not after the last step logged",
    }
    last = float(curve.y[-1]) * (-1 if higher_is_better else 1) if curve.y.size else _NAN
    known = last if status in {"flat", "past"} else _NAN
    return Forecast(
        status=status,
        step=float(curve.x[-1]) if curve.x.size else _NAN,
        horizon=horizon,
        loss_now=known,
        loss=_NAN,
        level=level,
        **dict.fromkeys(("low", "high", "low80", "high80", "low90", "high90"), _NAN),
        **dict.fromkeys(("gain", "gain_low90", "gain_high90", "gain_per_1000_steps"), _NAN),
        saturation_step=_NAN,
        verdict="undetermined",
        sentence=reasons[status],
        group="",
        group_size=0,
        n_points=int(curve.y.size),
        mode="time",
        warnings=curve.warnings,
        version=VERSION,
    )


def _forecast(
    ask: Asked,
    row: int,
    numbers: Answers,
    level: float,
    higher_is_better: bool,
    calibration: Calibration,
) -> Forecast:
    offset, scale, half_span = ask.standard.offset, ask.standard.scale, ask.standard.half_span
    sign = -1.0 if higher_is_better else 1.0
    now, loss, later = (
        sign * (offset + scale * float(values[row]))
        for values in (numbers.now, numbers.loss, numbers.later)
    )
    logged = sign * (offset + scale * numbers.ends[:, :, row])
    learnt = max(scale, ask.curve.start - sign * now)
    if ask.curve.positive and logged.max(axis=1).min() > 0:
        # a loss that was never negative is not foretold to become so, if it can be helped
        loss, later, logged = max(loss, 0.0), max(later, 0.0), np.maximum(logged, 0)
    (low, high), (low80, high80), (low90, high90) = np.sort(logged, axis=1).tolist()
    step = float(ask.curve.x[-1])
    gain = sign * (now - loss)
    gains80 = sorted((sign * (now - low80), sign * (now - high80)))
    gains90 = sorted((sign * (now - low90), sign * (now - high90)))
    thousands = (ask.horizon / 1000 - step / 1000) or _NAN
    saturation = step + (float(numbers.saturation[row]) - 1) * half_span * 2
    ahead = float(numbers.ahead[row])
    decided = verdict.judge(
        gains80[0],
        gains80[1],
        further=sign * (now - later),
        learnt=learnt,
        pace=float(numbers.pace[row]),
    )
    return Forecast(
        status="ok",
        step=step,
        horizon=ask.horizon,
        loss_now=now,
        loss=loss,
        level=level,
        low=low,
        high=high,
        low80=low80,
        high80=high80,
        low90=low90,
        high90=high90,
        gain=gain,
        gain_low90=gains90[0],
        gain_high90=gains90[1],
        gain_per_1000_steps=gain / thousands,
        saturation_step=saturation,
        verdict=decided,
        sentence=verdict.sentence(
            decided,
            horizon=ask.horizon,
            loss=loss,
            interval=(low90, high90),
            gain=gain,
            gain_interval=(gains80[0], gains80[1]),
            saturation=saturation,
        ),
        group=f"{calibration.name}, at {100 / ahead:.3g} % of the steps",
        group_size=calibration.size_at(ahead),
        n_points=int(ask.curve.y.size),
        mode="learning_rate" if numbers.by_rate[row] else "time",
        warnings=ask.curve.warnings + _warnings(ask, numbers, row),
        version=VERSION,
    )


def _warnings(ask: Asked, numbers: Answers, row: int) -> tuple[str, ...]:
    notes: list[str] = []
    ahead, restart = float(numbers.ahead[row]), float(numbers.restart[row])
    if ahead > _FAR:
        notes.append(
            f"the horizon is {ahead:.4g} times what was seen: intervals are measured up to"
            f" {_FAR:.0f} times, and widened beyond by rule of thumb"
        )
    if restart == restart:
        step = float(ask.curve.x[-1]) - 2 * ask.standard.half_span * (1 - restart)
        notes.append(
            f"the loss jumped up near step {verdict.number(step)} and stayed up: a restart?"
            " What came before still counts"
        )
    if numbers.loss[row] > numbers.now[row]:
        notes.append("the loss has turned and rises: the rise is carried on")
    return tuple(notes)
