"""What a forecast says: `Forecast`, frozen and slotted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dqi_tracking.insight.forecasting.reading import Status

Verdict = Literal["rapid", "diminishing", "ceiling", "undetermined"]
Mode = Literal["time", "learning_rate"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where the loss of one run is expected at a step that has not come yet.

    Numbers are in the units that were logged, and NaN unless the status is `ok` (`past` and
    `flat` runs keep `step`, `loss_now` and `horizon`).

    Attributes
    ----------
    status : {"ok", "too_short", "nan", "flat", "no_signal", "past"}
        `too_short`: under eight points. `nan`: the last three points are not finite, or too few
        are. `flat`: constant. `no_signal`: no loss. `past`: the horizon is not after the last
        step.
    step, horizon : float
        Last step seen, and the step asked for.
    loss_now : float
        Loss level at `step`, noise averaged out.
    loss : float
        Loss expected at `horizon`.
    level, low, high : float
        The interval asked for: its nominal coverage, in [0.5, 0.98], and its ends. It is meant to
        hold the single value logged at `horizon`, noise and all.
    low80, high80, low90, high90 : float
        The 80 and the 90 % interval.
    gain : float
        Improvement expected over now: `loss_now` − `loss`, or the reverse where higher is better.
        Positive is better.
    gain_low90, gain_high90 : float
        Its 90 % interval.
    gain_per_1000_steps : float
        `gain` over the steps to the horizon, times 1,000.
    saturation_step : float
        Step by which 95 % of `gain` will be reached; NaN where no gain is expected.
    verdict : {"rapid", "diminishing", "ceiling", "undetermined"}
        See `verdict.judge`.
    sentence : str
        The same in words, with its uncertainty.
    group : str
        Which finished runs the intervals were calibrated on.
    group_size : int
        How many curves these are.
    n_points : int
        Finite points that were seen.
    mode : {"time", "learning_rate"}
        Whether the forecast follows time alone, or the learning rate.
    warnings : tuple of str
        What to bear in mind, one sentence each.
    version : str
        Forecaster version; it changes with any number above.
    """

    status: Status
    step: float
    horizon: float
    loss_now: float
    loss: float
    level: float
    low: float
    high: float
    low80: float
    high80: float
    low90: float
    high90: float
    gain: float
    gain_low90: float
    gain_high90: float
    gain_per_1000_steps: float
    saturation_step: float
    verdict: Verdict
    sentence: str
    group: str
    group_size: int
    n_points: int
    mode: Mode
    warnings: tuple[str, ...]
    version: str
