"""From numbers to a verdict and one honest sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqi_tracking.insight.forecasting.result import Verdict

CEILING = 0.02
"""Share of what was learnt so far under which a gain is none."""

FURTHER = 2.0
"""Multiple of the seen part up to which nothing must be gained at a ceiling, at the least."""

SLOWED = 0.5
"""Gain a step, over that of the second half of the run, under which returns diminish."""


def judge(
    gain_low: float, gain_high: float, *, further: float, learnt: float, pace: float
) -> Verdict:
    """Decide what a forecast amounts to.

    Parameters
    ----------
    gain_low, gain_high : float
        80 % interval of the gain over now.
    further : float
        Upper end of the same when the run is twice as long as it is, or at a later horizon.
    learnt : float
        Fall of the loss so far, or its range over 90 % of the time, whichever is larger.
    pace : float
        Gain a step still to come, over the gain a step in the second half of what was seen.

    Returns
    -------
    {"rapid", "diminishing", "ceiling", "undetermined"}
        `ceiling`: even the upper end of the gain is under 2 % of what was learnt so far, and
        would be after as many steps again: on a short way ahead every run gains little. `rapid`
        and `diminishing`: the lower end is above 0, and the pace at least half of what it was, or
        less. `undetermined`: the interval allows both a gain and none.
    """
    if max(gain_high, further) < CEILING * learnt:
        return "ceiling"
    if gain_low > 0:
        return "rapid" if pace >= SLOWED else "diminishing"
    return "undetermined"


def number(value: float) -> str:
    """Write a loss or a step shortly: 0.01235, 123456, 1.235e+12."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:.4g}"


def change(gain: float) -> str:
    """Write a gain as so much better or worse."""
    return f"{number(abs(gain))} {'worse' if gain < 0 else 'better'}"


def sentence(
    verdict: Verdict,
    *,
    horizon: float,
    loss: float,
    interval: tuple[float, float],
    gain: float,
    gain_interval: tuple[float, float],
    saturation: float,
) -> str:
    """Say a forecast in one sentence, uncertainty first where it rules.

    Parameters
    ----------
    verdict : {"rapid", "diminishing", "ceiling", "undetermined"}
    horizon : float
        Step asked for.
    loss : float
        Loss expected there.
    interval : tuple of two float
        90 % interval of the loss.
    gain : float
        Gain expected over now.
    gain_interval : tuple of two float
        80 % interval of the gain.
    saturation : float
        Step by which 95 % of the gain is reached, or NaN.

    Returns
    -------
    str
    """
    low, high = (number(end) for end in interval)
    there = f"{number(loss)} is expected at step {number(horizon)} (90 % interval {low} to {high})"
    least, most = gain_interval
    if verdict == "ceiling":
        gained = f"at most {number(most)} better than now" if most > 0 else "no better than now"
        return f"at its ceiling: {there}, {gained}"
    if verdict == "undetermined":
        return (
            f"not to be told: {there}; {change(gain)} than now at best guess,"
            f" anything from {change(least)} to {change(most)} (80 %)"
        )
    words = "rapid learning" if verdict == "rapid" else "diminishing returns"
    until = f", 95 % of it by step {number(saturation)}" if saturation == saturation else ""
    return f"{words}: {there}, {change(gain)} than now{until}"
