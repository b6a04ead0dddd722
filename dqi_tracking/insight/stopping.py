"""Advice on stopping a run, from its history and a forecast; never carried out by this package.

A run is advised to stop where it has stalled *and* the forecast sees no gain. The forecast alone
loses to patience, and patience alone stops runs that are about to improve.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dqi_tracking.insight.forecasting.reading import read
from dqi_tracking.insight.forecasting.verdict import number
from dqi_tracking.insight.forecasting.window import BINS

if TYPE_CHECKING:
    from dqi_tracking.insight.forecasting.result import Forecast
    from dqi_tracking.types import FloatArray, History

STALL = 0.05
"""Share of the whole run without a new best loss after which a run has stalled."""

TOLERANCE = 0.2
"""Share of the range of late that counts as no gain over the best loss so far."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Whether more training of one run pays.

    Attributes
    ----------
    action : {"stop", "continue", "unknown"}
        `unknown` where there is no forecast.
    reason : str
        One sentence.
    stalled_steps : float
        Steps since the best loss (a running mean of 1/48 of the points); NaN where unknown.
    stalled_share : float
        The same as a share of the run up to the horizon.
    gain_high : float
        What the lower end of the 80 % interval is better than the best loss so far, as a share of
        the range of late: of the middle 90 % of the last three quarters of the points.
    steps_left : float
        Steps to the horizon: what stopping saves.
    """

    action: Literal["stop", "continue", "unknown"]
    reason: str
    stalled_steps: float
    stalled_share: float
    gain_high: float
    steps_left: float


def advise(
    history: History,
    forecast: Forecast,
    *,
    higher_is_better: bool = False,
    stall: float = STALL,
    tolerance: float = TOLERANCE,
) -> Advice:
    """Advise whether a run should go on to the horizon of its forecast.

    Parameters
    ----------
    history : History
        What was logged so far.
    forecast : Forecast
        Of the same history, at the step where the run is to end.
    higher_is_better : bool
        As in the forecast.
    stall : float in [0, 1]
        Share of the run without a new best loss after which it has stalled.
    tolerance : float ≥ 0
        Share of the range of late that is no gain.

    Returns
    -------
    Advice
        `stop` where the run has stalled and even the better end of the 80 % interval gains less
        than the tolerance over the best loss so far. O(n log n).
    """
    curve = read(history, higher_is_better=higher_is_better)
    if forecast.status != "ok" or curve.standard is None:
        nan = float("nan")
        return Advice("unknown", f"no forecast: {forecast.sentence}", nan, nan, nan, nan)
    at = int(best_index(curve.y)[-1])
    since = float(curve.x[-1] - curve.x[at])
    best = float(running_mean(curve.y)[at])
    better_end = -forecast.high80 if higher_is_better else forecast.low80
    stalled_share = since / (forecast.horizon - float(curve.x[0]))
    gain_high = (best - better_end) / late_range(curve.y)
    stalled, exhausted = stalled_share >= stall, gain_high < tolerance
    return Advice(
        action="stop" if stalled and exhausted else "continue",
        reason=_reason(stalled, exhausted, since, gain_high),
        stalled_steps=since,
        stalled_share=stalled_share,
        gain_high=gain_high,
        steps_left=forecast.horizon - forecast.step,
    )


def best_index(y: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return for each point the index of the best one so far.

    The loss is smoothed by a running mean of 1/48 of the points, for noisy step losses.

    Parameters
    ----------
    y : ndarray of shape (n,), finite

    Returns
    -------
    ndarray of shape (n,)
    """
    smooth = running_mean(y)
    lowest = np.minimum.accumulate(smooth)
    new = np.append(True, smooth[1:] < lowest[:-1])
    return np.maximum.accumulate(np.where(new, np.arange(y.size), 0))


def late_range(y: FloatArray) -> float:
    """Return the range of the last three quarters of the points: the first fall is not typical."""
    return spread(y[y.size // 4 :])


def spread(y: FloatArray) -> float:
    """Return the range of a loss, of the middle 90 % of its points; > 0."""
    order = np.sort(y)
    last = y.size - 1
    # the range of what was left may be nothing: then any gain is large
    return max(float(order[round(0.95 * last)] - order[round(0.05 * last)]), 1e-300)


def running_mean(y: FloatArray) -> FloatArray:
    """Average each point with those before it, n // 48 of them in all; at least itself."""
    # the largest float64 would overflow in the sum
    largest = max(float(np.abs(y).max()), 1e-300)
    total = np.append(0.0, np.cumsum(y / largest))
    end = np.arange(1, y.size + 1)
    width = np.minimum(end, max(1, y.size // BINS))
    return (total[end] - total[end - width]) / width * largest if y.size >= 2 * BINS else y


def _reason(stalled: bool, exhausted: bool, since: float, gain_high: float) -> str:
    lately = f"no new best loss for {number(since)} steps"
    coming = f"at most {max(gain_high, 0):.1%} of the range of late is to be gained (80 % interval)"
    if stalled and exhausted:
        return f"{lately}, and {coming}"
    if stalled:
        return f"{lately}, but a gain of {gain_high:.1%} of the range of late is possible"
    return "the loss still reaches new bests" + (f", though {coming}" if exhausted else "")
