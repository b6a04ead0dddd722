"""One run as a tracker lists it, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dqi_tracking.types.score import Score, Stamp

Outcomes = Literal["scored", "unchanged", "skipped", "failed", "unscored"]


@dataclass(frozen=True, slots=True)
class MetricKey:
    """A series by name: one metric of the tracker, or the sum of several.

    Attributes
    ----------
    parts : tuple of str
        Metric names; their values at common steps are added.
    tier : int
        0 a person's choice, 1 an exact alias, 2 a suffix; of validation losses that nobody chose
        the place, from 1. Lower is better.
    """

    parts: tuple[str, ...]
    tier: int = 1

    def __str__(self) -> str:
        return " + ".join(self.parts)


@dataclass(frozen=True, slots=True)
class RunRef:
    """One line of a tracker's listing: enough to decide whether the run needs reading.

    Attributes
    ----------
    run_id, name : str
        The tracker's identifier, and the name that people gave. Data, never trusted.
    group : str
        Experiment or project, by name.
    status : str
        The tracker's own word: `FINISHED`, `RUNNING`, …
    started, ended : int
        Start and end time in milliseconds since the epoch; 0 where unknown.
    loss_keys, grad_norm_keys : tuple of MetricKey
        Series that may be the loss and the gradient norm, best first.
    validation_keys : tuple of MetricKey
        Series that may be the validation loss, likewise; none where there is no loss.
    rate_keys : tuple of MetricKey
        Series that may be the learning rate, likewise, where phases by the schedule are asked for.
    layer_metrics : tuple of str
        Names of metrics that may be gradient norms of layers. Data, never trusted.
    step_key : str
        Metric to take the steps from, where a person named one and the run has it; empty for the
        tracker's own steps.
    listed : bool
        Whether the listing tells the run's metrics. Where it does not, only reading shows what
        there is to score.
    revision : str
        What the listing says of all that was logged, where it says so as a whole (the size of a
        file); it changes when the run gets data.
    latest : mapping of str to str
        For each metric of those series what the listing says of its last point. It changes when
        the run gets a point.
    stamp : Stamp or None
        What DQI wrote on it before.
    columns : mapping of str to str
        Of the columns that the query asked for, those that the run has, by the names asked for:
        text as it was logged, numbers to the last digit. Data, never trusted.
    """

    run_id: str
    name: str = ""
    group: str = ""
    status: str = "FINISHED"
    started: int = 0
    ended: int = 0
    loss_keys: tuple[MetricKey, ...] = ()
    grad_norm_keys: tuple[MetricKey, ...] = ()
    validation_keys: tuple[MetricKey, ...] = ()
    rate_keys: tuple[MetricKey, ...] = ()
    layer_metrics: tuple[str, ...] = ()
    step_key: str = ""
    listed: bool = True
    revision: str = ""
    latest: Mapping[str, str] = field(default_factory=dict[str, str])
    stamp: Stamp | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run.

    Attributes
    ----------
    ref : RunRef
        The run.
    outcome : {"scored", "unchanged", "skipped", "failed", "unscored"}
        `scored`: a score was made, and written unless it was a dry run. `unscored`: what was
        written was taken off again, but for what `reason` names.
    reason : str
        Why it was skipped or failed, and what could not be taken off; empty otherwise.
    fix : str
        What to do about a failure; empty otherwise.
    stamp : Stamp or None
        What now stands, or would stand, on the run.
    score : Score or None
        The full score where one was made.
    transient : bool
        Whether a failure may go away by itself (the tracker is down, busy or slow).
    """

    ref: RunRef
    outcome: Outcomes
    reason: str = ""
    fix: str = ""
    stamp: Stamp | None = None
    score: Score | None = None
    transient: bool = False
