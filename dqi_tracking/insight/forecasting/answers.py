"""What is asked of many runs at once, answered in units of each run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.insight.forecasting import conformal
from dqi_tracking.insight.forecasting.extrapolation import extrapolate
from dqi_tracking.insight.forecasting.learning_rate import follow_rate
from dqi_tracking.insight.forecasting.verdict import FURTHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dqi_tracking.insight.forecasting.calibration import Calibration
    from dqi_tracking.insight.forecasting.extrapolation import Extrapolation
    from dqi_tracking.insight.forecasting.reading import Curve
    from dqi_tracking.insight.forecasting.window import Standard
    from dqi_tracking.types import FloatArray

_SATURATED = 0.95
_GRID = np.linspace(0, 1, 17)
"""Shares of the way to the horizon, in its logarithm, at which the gain is looked at."""


class Asked(NamedTuple):
    """What was asked of one run that can be forecast.

    Attributes
    ----------
    curve : Curve
        Its status is `ok`.
    standard : Standard
        The curve in units of its own.
    horizon : float
        After the last step.
    rate : tuple of two ndarray, or None
        Steps, rising, and learning rates.
    """

    curve: Curve
    standard: Standard
    horizon: float
    rate: tuple[FloatArray, FloatArray] | None = None


class Answers(NamedTuple):
    """Forecasts of B runs in units of their own, losses falling.

    Attributes
    ----------
    now, loss : ndarray of shape (B,)
        Level now, and at the horizon.
    ends : ndarray of shape (levels, 2, B)
        Low and high end of each interval.
    saturation : ndarray of shape (B,)
        Time by which 95 % of the gain is reached, as a multiple of the seen part; NaN without one.
    later : ndarray of shape (B,)
        Lower end of the 80 % interval once the run is twice as long as it is, or at the horizon
        where that is later.
    pace : ndarray of shape (B,)
        Gain a step still to come, over the gain a step in the second half of what was seen.
    ahead : ndarray of shape (B,)
        Horizon, as a multiple of the seen part.
    restart : ndarray of shape (B,)
        When the loss jumped up, as a share of the seen part; NaN where it did not.
    by_rate : ndarray of shape (B,)
        Whether the forecast follows the learning rate.
    """

    now: FloatArray
    loss: FloatArray
    ends: FloatArray
    saturation: FloatArray
    later: FloatArray
    pace: FloatArray
    ahead: FloatArray
    restart: FloatArray
    by_rate: NDArray[np.bool_]


def answer(asked: Sequence[Asked], levels: tuple[float, ...], calibration: Calibration) -> Answers:
    """Forecast B runs.

    Parameters
    ----------
    asked : sequence of B Asked
    levels : tuple of float in [0.5, 0.98]
        Nominal coverage of each interval.
    calibration : Calibration
        Where the widths of the intervals come from.

    Returns
    -------
    Answers
        O(points + B · 48 · 48), and about 1 ms for each learning rate.
    """
    found = extrapolate([ask.standard for ask in asked])
    step = np.array([ask.curve.x[-1] for ask in asked])
    horizon = np.array([ask.horizon for ask in asked])
    half_span = np.array([ask.standard.half_span for ask in asked])
    ahead = 1 + (horizon / 2 - step / 2) / half_span
    # beyond this a power is no longer a number; the interval is wider than anything by then
    ahead = np.clip(ahead, 1 + 1e-12, 1e12)
    loss = found.at(ahead)
    path = found.at(ahead[:, None] ** _GRID)
    by_rate = _by_rate(asked, found, ahead)
    followed = np.isfinite(by_rate)
    # neither was the better one everywhere; their mean lost nowhere that it was tuned on
    by_rate = np.where(followed, (found.now - by_rate + loss) / 2, loss)
    ends = np.empty((len(levels), 2, len(asked)))
    for row, level in enumerate(levels):
        low, high = conformal.multiples(calibration.table, ahead, level)
        ends[row] = by_rate + low * found.difficulty, by_rate + high * found.difficulty
    recent = np.maximum(found.window.quarter_drop, 1e-9) / 0.25
    return Answers(
        now=found.now,
        loss=by_rate,
        ends=ends,
        saturation=_saturation(found.now[:, None] - path, ahead),
        later=_later(found, ahead, calibration),
        pace=(found.now - by_rate) / (ahead - 1) / recent,
        ahead=ahead,
        restart=found.restart,
        by_rate=followed,
    )


def _later(found: Extrapolation, ahead: FloatArray, calibration: Calibration) -> FloatArray:
    further = np.maximum(ahead, FURTHER)
    low, _ = conformal.multiples(calibration.table, further, 0.8)
    return found.at(further) + low * found.difficulty


def _by_rate(asked: Sequence[Asked], found: Extrapolation, ahead: FloatArray) -> FloatArray:
    """Return the drops that learning rates foretell, NaN where they cannot be followed."""
    drops = np.full(len(asked), np.nan)
    for row, ask in enumerate(asked):
        if ask.rate is not None:
            steps, rate = ask.rate
            half = ask.standard.half_span
            u = 1 + (steps / 2 - ask.curve.x[-1] / 2) / half
            mean, weight = found.window.mean[row], found.window.weight[row]
            drop = follow_rate(mean, weight, u, rate, float(ahead[row]))
            drops[row] = np.nan if drop is None else drop
    return drops


def _saturation(gain: FloatArray, ahead: FloatArray) -> FloatArray:
    """Time by which 95 % of the gain at the horizon is reached, as a multiple of the seen part."""
    last = gain[:, -1:]
    share = gain / np.where(last > 0, last, np.inf)
    after = (share >= _SATURATED).argmax(axis=1)
    row = np.arange(after.size)
    low, high = share[row, np.maximum(after - 1, 0)], share[row, after]
    part = np.clip((_SATURATED - low) / np.maximum(high - low, 1e-12), 0, 1)
    at = _GRID[np.maximum(after - 1, 0)] + part * (_GRID[1] - _GRID[0])
    return np.where(last[:, 0] > 0, ahead**at, np.nan)
