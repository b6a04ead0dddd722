"""Where the phases of a run end: by the method's rule, by two steps, or by the run's own plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.errors import ConfigError, ReadRejected
from dqi_tracking.insight.schedule import (
    NoPhases,
    parse_boundaries,
    phases_of_annotations,
    phases_of_schedule,
)
from dqi_tracking.insight.schedules.given import EARLY_END, MID_END
from dqi_tracking.trackers.keys import choose
from dqi_tracking.trackers.series import added, against

if TYPE_CHECKING:
    from dqi_tracking.insight.schedule import SchedulePhases
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import History, MetricKey, RunRef

AUTO = "auto"
SCHEDULE = "schedule"
LIMIT = 250
"""Characters of what is told of the phases: the shortest that MLflow has ever taken in a tag."""

_HOLDERS = ("tags.", "params.", "config.", "")
"""Where an annotation may stand, the first one first; a curve file has it as a column."""


class PhasePlan(NamedTuple):
    """Which phases a run is scored by.

    Attributes
    ----------
    boundaries : (early_end_step, mid_end_step) or None
        As `score` takes them; None for the method's rule.
    told : str
        What was used, in words. Holds names from a tracker: data, never trusted.
    warnings : tuple of str
        What to bear in mind, one sentence each.
    """

    boundaries: tuple[float, float] | None = None
    told: str = AUTO
    warnings: tuple[str, ...] = ()


RULE = PhasePlan()
"""The phases of the method."""


def check_phases(phases: str) -> None:
    """Refuse what is neither `auto`, nor `schedule`, nor two steps in order.

    Raises
    ------
    ConfigError
    """
    if phases in (AUTO, SCHEDULE):
        return
    if "," not in phases:
        raise ConfigError(
            f"phases `{phases[:40]}` are not known",
            fix="use auto, schedule, or the two steps at which they end, such as 500,9000",
        )
    parse_boundaries(phases)


def phase_columns(phases: str) -> tuple[str, ...]:
    """Return the columns of a listing that may hold the annotations of a run."""
    if phases != SCHEDULE:
        return ()
    return tuple(f"{holder}{name}" for name in (EARLY_END, MID_END) for holder in _HOLDERS)


def plan_of(tracker: Tracker, ref: RunRef, history: History, phases: str) -> PhasePlan:
    """Return the phases to score a run by.

    Parameters
    ----------
    tracker : Tracker
        Asked for the learning rate, where a schedule is wanted and the run has no annotations.
    ref : RunRef
        The run as it was read, with `phase_columns`.
    history : History
    phases : str
        `auto`, `schedule`, or ``STEP,STEP``.

    Returns
    -------
    PhasePlan
        By the rule, with a warning, where a schedule is wanted and gives no phases.

    Raises
    ------
    ConfigError
        When the steps or the annotations are not two numbers in order.
    TrackerError
        When the tracker is not reached, or the run is gone.
    """
    if phases == AUTO:
        return RULE
    if phases != SCHEDULE:
        return _by_hand(parse_boundaries(phases), history)
    early_end, mid_end = (_annotation(ref, name) for name in (EARLY_END, MID_END))
    annotated = phases_of_annotations(early_end, mid_end, run=ref.run_id)
    if annotated is not None:
        return _by_hand(annotated, history)
    return _by_rate(tracker, ref, history)


def _annotation(ref: RunRef, name: str) -> str | None:
    found = (ref.columns.get(f"{holder}{name}") for holder in _HOLDERS)
    return next((text for text in found if text is not None), None)


def _by_hand(found: SchedulePhases, history: History) -> PhasePlan:
    span, warnings = _span(history), ()
    if span and not span[0] < found.early_end < found.mid_end <= span[1]:
        first, last = (f"{step:,.15g}" for step in span)
        warnings = (
            f"the phases are to end at steps {found.early_end:,.15g} and {found.mid_end:,.15g}, "
            f"but the signal goes from {first} to {last}: a phase is empty",
        )
    return PhasePlan(found.boundaries, found.sentence, warnings)


def _by_rate(tracker: Tracker, ref: RunRef, history: History) -> PhasePlan:
    rate = _read_rate(tracker, ref)
    if isinstance(rate, str):
        return _by_rule(rate)
    key, series = rate
    found = phases_of_schedule(series.step, series.value, loss_span=_span(history))
    if isinstance(found, NoPhases):
        return _by_rule(found.reason)
    return PhasePlan(found.boundaries, f"from the learning rate `{key}`, {found.sentence}"[:LIMIT])


def _by_rule(reason: str) -> PhasePlan:
    warning = f"phases by the 40 % and 75 % rule, not by the schedule: {reason}"
    return PhasePlan(None, f"auto, for the schedule gives none: {reason}"[:LIMIT], (warning,))


def _read_rate(tracker: Tracker, ref: RunRef) -> tuple[MetricKey, Series] | str:
    """Return the learning rate of a run over the steps of its loss, or why there is none."""
    best = [key for key in ref.rate_keys if key.tier == ref.rate_keys[0].tier]
    if not best:
        return "no learning rate was logged under a known name"
    wanted = list(dict.fromkeys(part for key in best for part in key.parts))
    steps = [ref.step_key] if ref.step_key else []
    try:
        found = tracker.series(ref, [*wanted, *steps])
    except ReadRejected as error:
        # text, or a series that is not whole: the loss was read without it
        return error.message
    there = {
        key: added([found[part] for part in key.parts])
        for key in best
        if all(part in found for part in key.parts)
    }
    key = choose(list(there), {key: series.step.size for key, series in there.items()})
    if key is None:
        return f"`{best[0]}` holds no point"
    if not ref.step_key:
        return key, there[key]
    if ref.step_key not in found:
        return f"`{ref.step_key}` was logged at none of the steps of `{key}`"
    return key, against(there[key], found[ref.step_key])


def _span(history: History) -> tuple[float, float] | None:
    steps = history.step
    return (float(np.min(steps)), float(np.max(steps))) if steps.size else None
