"""read → score → write of runs, and what becomes of each: the `Outcome`.

Whether a run needs reading is decided from the listing alone; whether it needs writing, from the
fingerprint of what was read. `options` say what a pass does, `result` is what it makes of a
history.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dqi_tracking.context.phase_plan import plan_of
from dqi_tracking.errors import DQIError, MissingMetric, TrackerError, masked
from dqi_tracking.forecast_stamp import lacks_forecast
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.pipeline.options import Pass, ScoringOptions, begin
from dqi_tracking.pipeline.result import Result, result_of
from dqi_tracking.stamp import seen, standing_mark
from dqi_tracking.trackers.base import Reading
from dqi_tracking.trackers.series import missing_metric
from dqi_tracking.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dqi_tracking.context.phase_plan import PhasePlan
    from dqi_tracking.insight.comparison import Comparison
    from dqi_tracking.insight.insight import Insight
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import History, RunRef, Score

    Made = Callable[[], Result]

__all__ = [
    "Examined",
    "Pass",
    "Scorer",
    "ScoringOptions",
    "begin",
    "examine",
    "process",
    "without_reading",
]

_REPORT_BUG = "report this as a bug, with the run's history"


class Scorer(Protocol):
    """Something that scores histories while others are read and written.

    Attributes
    ----------
    ahead : int
        Runs that are best read before the first of them is written.
    """

    ahead: int

    def begin(self, ref: RunRef, history: History, plan: PhasePlan) -> Made:
        """Begin to score a history; return what waits for the result, as of `result_of`."""
        ...


def without_reading(ref: RunRef, current: Pass) -> Outcome | None:
    """Decide from the listing alone, or return None where the run must be read."""
    if ref.listed and not ref.loss_keys and not ref.grad_norm_keys:
        return Outcome(ref, "skipped", reason=missing_metric(ref).message)
    mark = standing_mark(ref)
    if ref.stamp is None or mark is None or current.verify or current.rescore:
        return None
    if current.forecast and lacks_forecast(ref):
        return None
    facts = ref.stamp.facts
    # the digest covers the versions of engine and insight
    unchanged = mark.startswith(f"{current.options.digest}-") and (
        facts.get("seen") == seen(ref, facts.get("signal", ""))
    )
    return Outcome(ref, "unchanged", stamp=ref.stamp) if unchanged else None


def process(
    tracker: Tracker, refs: Sequence[RunRef], current: Pass, scorer: Scorer | None = None
) -> Iterator[Outcome]:
    """Read, score and write runs.

    Parameters
    ----------
    tracker : Tracker
    refs : sequence of RunRef
    current : Pass
    scorer : Scorer, optional
        Scores beside; runs are scored here, each in its turn, where left out.

    Yields
    ------
    Outcome
        One for each run, as it is done. Nothing that is wrong with one run is raised.
    """
    undecided: list[RunRef] = []
    for ref in refs:
        outcome = without_reading(ref, current)
        if outcome is None:
            undecided.append(ref)
        else:
            yield outcome
    for ref, made in _in_turn(tracker, undecided, current, scorer):
        yield _outcome(tracker, ref, made, current)


def _in_turn(
    tracker: Tracker, refs: Sequence[RunRef], current: Pass, scorer: Scorer | None
) -> Iterator[tuple[RunRef, Made]]:
    """Yield each run with what gives its result or raises what is wrong with it."""
    begun: deque[tuple[RunRef, Made]] = deque()
    ahead = scorer.ahead if scorer else 0
    for reading in _readings(tracker, refs):
        begun.append((reading.ref, _begun(tracker, reading, current, scorer)))
        if len(begun) > ahead:
            yield begun.popleft()
    yield from begun


def _begun(tracker: Tracker, reading: Reading, current: Pass, scorer: Scorer | None) -> Made:
    ref, history = reading.ref, reading.history

    def here() -> Result:
        found = reading.found()
        plan = plan_of(tracker, ref, found, current.options.phases)
        return result_of(ref, found, plan, current, tracker)

    # layers are read between a score and its files
    if scorer is None or history is None or ref.layer_metrics:
        return here
    try:
        plan = plan_of(tracker, ref, history, current.options.phases)
    except Exception:  # noqa: BLE001 - told in its turn
        return here
    return scorer.begin(ref, history, plan)


def _outcome(tracker: Tracker, ref: RunRef, made: Made, current: Pass) -> Outcome:
    try:
        scored, stamp, files = made()
        if stamp is None:
            return Outcome(ref, "unchanged", stamp=ref.stamp, score=scored)
        if current.write:
            tracker.write(ref, stamp, files)
        return Outcome(ref, "scored", stamp=stamp, score=scored)
    except MissingMetric as error:
        return Outcome(ref, "skipped", reason=error.message)
    except DQIError as error:
        return _failed(ref, error.message, error.fix, transient=error.transient)
    except Exception as error:  # noqa: BLE001 - a defect met on one run must not stop the rest
        return _failed(ref, _unexpected(error), _REPORT_BUG)


def _readings(tracker: Tracker, refs: Sequence[RunRef]) -> Iterator[Reading]:
    """Yield one reading for each run, even where the tracker raises on one."""
    first = 0
    while first < len(refs):
        try:
            for reading in tracker.read(refs[first:]):
                first += 1
                yield reading
            for ref in refs[first:]:
                first += 1
                yield Reading(ref)
        except DQIError as error:
            yield Reading(refs[first], error=error)
            first += 1
        except Exception as error:  # noqa: BLE001 - as in `process`
            yield Reading(refs[first], error=TrackerError(_unexpected(error), fix=_REPORT_BUG))
            first += 1


def _unexpected(error: Exception) -> str:
    return masked(f"unexpected {type(error).__name__}: {error}")


def _failed(ref: RunRef, reason: str, fix: str, *, transient: bool = False) -> Outcome:
    return Outcome(ref, "failed", reason=reason, fix=fix, stamp=ref.stamp, transient=transient)


class Examined(NamedTuple):
    """One run, read and scored, and the phases that it was scored by."""

    history: History
    score: Score
    insight: Insight
    plan: PhasePlan


def examine(
    tracker: Tracker,
    ref: RunRef,
    options: ScoringOptions,
    comparison: Comparison | None = None,
) -> Examined:
    """Read and score one run, and write nothing.

    Raises
    ------
    DQIError
        Whatever is wrong with the run.
    """
    reading = next(iter(tracker.read([ref])))
    history = reading.found()
    plan = plan_of(tracker, reading.ref, history, options.phases)
    scored = options.score(reading.ref, history, plan)
    return Examined(history, scored, insight_of(history, comparison), plan)
