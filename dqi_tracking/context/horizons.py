"""Which step a forecast is asked for: what a person says, what the run plans, or twice so far."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.context.companions import EPOCHS, read_companion, steps_an_epoch
from dqi_tracking.context.plans import PLANNED_EPOCHS, PLANNED_STEPS, plans_of
from dqi_tracking.errors import ConfigError

if TYPE_CHECKING:
    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import History, RunRef

FARTHEST = 10.0
"""Multiples of the steps so far beyond which a plan is taken to count in other steps: W&B counts
rows where a script names no step."""

_EARLY = 0.1
"""Share of the steps so far up to which the first row is taken to follow the start."""
_AHEAD = re.compile(r"(\+?)\s*([\d.,_]+(?:e[+-]?\d+)?)\s*(%?)", re.I)


class Horizon(NamedTuple):
    """A step to look ahead to.

    Attributes
    ----------
    step : float
    origin : str
        Where it comes from, in a few words. Holds names from a tracker: data, never trusted.
    """

    step: float
    origin: str


class Ahead(NamedTuple):
    """A number that a person gave: a step or an epoch, so many more, or a share of the run so far.

    Attributes
    ----------
    amount : float
        Positive and finite.
    unit : {"at", "more", "share"}
    text : str
        As it was given.
    """

    amount: float
    unit: str
    text: str


def ahead_of(text: str, option: str) -> Ahead:
    """Read ``12000``, ``+2000`` or ``+50%``.

    Raises
    ------
    ConfigError
        When it is none of them, or not positive.
    """
    found = _AHEAD.fullmatch(text.strip())
    try:
        amount = float(found[2].replace(",", "").replace("_", "")) if found else math.nan
    except ValueError:
        amount = math.nan
    is_share = bool(found and found[3])
    if not found or not 0 < amount < math.inf or (is_share and not found[1]):
        what = "an epoch" if option == "--epochs" else "a step"
        raise ConfigError(
            f"{option} `{text}` is no place ahead",
            fix=f"give {what}, or so many more: {option} 40, {option} +10"
            + ("" if option == "--epochs" else f", or a share of the run so far: {option} +50%"),
        )
    return Ahead(amount, "share" if is_share else "more" if found[1] else "at", text.strip())


def horizon_of(
    history: History,
    ref: RunRef,
    *,
    at: Ahead | None,
    epochs: Ahead | None,
    tracker: Tracker,
    settings: Settings,
) -> Horizon:
    """Return the step that is meant.

    Parameters
    ----------
    history : History
        What was logged so far: one row or more.
    ref : RunRef
        The run, with `planned_columns`.
    at, epochs : Ahead, optional
        What a person gave, one of them at most; else the run's own plan counts, or twice its
        steps so far.
    tracker : Tracker
        To read the run's epochs from.
    settings : Settings

    Returns
    -------
    Horizon

    Raises
    ------
    ConfigError
        When epochs are meant and the run's epochs are not known.
    """
    start, now = span_of(history)
    if epochs is not None:
        pace = _epoch_pace(ref, tracker, settings)
        if pace is None:
            raise ConfigError(
                f"no epochs are logged on run `{ref.run_id}` to count by",
                fix="log `epoch` beside the loss, name it with --step-key, or look ahead by steps:"
                " --at +1000",
                run=ref.run_id,
            )
        return _by_epochs(epochs, pace, now)
    if at is not None:
        return _by_steps(at, start, now)
    return planned_horizon(ref, now, tracker, settings) or twice(start, now)


def span_of(history: History) -> tuple[float, float]:
    """Return the steps at which a run began and where it is now."""
    first, now = float(history.step.min()), float(history.step.max())
    # a first row at step 10 of 1,000 was logged after ten steps, a resumed run begins late
    return (0.0 if 0 <= first < _EARLY * now else first), now


def twice(start: float, now: float) -> Horizon:
    """Return the step at which a run is twice as long as now: what is asked for without a plan."""
    return Horizon(now + (now - start or 1), "twice the run so far, for want of a known plan")


def _by_steps(at: Ahead, start: float, now: float) -> Horizon:
    if at.unit == "at":
        return Horizon(at.amount, "")
    more = at.amount if at.unit == "more" else at.amount / 100 * (now - start or 1)
    return Horizon(now + more, f"{at.text} from step {_shown(now)}")


class _Pace(NamedTuple):
    """Step and epoch at one point of a run, and the steps an epoch takes."""

    step: float
    epoch: float
    steps: float


def _epoch_pace(ref: RunRef, tracker: Tracker, settings: Settings) -> _Pace | None:
    if re.split(r"[/\-_. ]+", ref.step_key.casefold())[-1] in ("epoch", "epochs"):
        return _Pace(0, 0, 1)
    found = read_companion(tracker, ref, EPOCHS, settings).series
    steps = None if found is None else steps_an_epoch(found)
    if found is None or steps is None:
        return None
    began = int((found.value >= found.value.max()).argmax())
    return _Pace(float(found.step[began]), float(found.value[began]), steps)


def _by_epochs(epochs: Ahead, pace: _Pace, now: float) -> Horizon:
    if epochs.unit == "at":
        step = pace.step + (epochs.amount - pace.epoch) * pace.steps
    else:
        step = now + epochs.amount * pace.steps
    each = "" if pace.steps == 1 else f", of {_shown(pace.steps)} steps each"
    return Horizon(step, f"epochs {epochs.text}{each}")


def planned_horizon(
    ref: RunRef, now: float, tracker: Tracker, settings: Settings
) -> Horizon | None:
    """Return where a run is to end by its own params, config or tags; None where they do not tell.

    What they name must lie after the last step, and not more than ten times as far.
    """
    return planned_step(ref, now) or _planned_epoch(ref, now, tracker, settings)


def planned_step(ref: RunRef, now: float) -> Horizon | None:
    """Return where a run is to end, where its columns name a step; as `planned_horizon`."""
    # steps of another unit, such as tokens, are not what a plan counts in
    plans = [] if ref.step_key else plans_of(ref, PLANNED_STEPS)
    return _first_ahead(plans, now)


def _planned_epoch(ref: RunRef, now: float, tracker: Tracker, settings: Settings) -> Horizon | None:
    plans = plans_of(ref, PLANNED_EPOCHS)
    pace = _epoch_pace(ref, tracker, settings) if plans else None
    if pace is None:
        return None
    steps = [(key, pace.step + (epoch - pace.epoch) * pace.steps) for key, epoch in plans]
    return _first_ahead(steps, now)


def _first_ahead(plans: list[tuple[str, float]], now: float) -> Horizon | None:
    ahead = (plan for plan in plans if now < plan[1] <= FARTHEST * now)
    return next((Horizon(step, f"the run's own plan, {key}") for key, step in ahead), None)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"
