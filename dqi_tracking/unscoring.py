"""Taking scores off the runs of an address, so that they are as if never scored."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from dqi_tracking.backfill.executor import carry_out, check_jobs
from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.backfill.recording import Recording, leased
from dqi_tracking.backfill.report import Report
from dqi_tracking.backfill.scope import scope_of
from dqi_tracking.config import load_settings
from dqi_tracking.errors import DQIError, RunNotFound, masked
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef

_LOGGER = logging.getLogger("dqi_tracking")


def unscore(
    address: str,
    *,
    where: str = "",
    dry_run: bool = False,
    settings: Settings | None = None,
    on_plan: Callable[[int, int], None] | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Take what DQI wrote off the runs at an address, whatever their status.

    The commit mark goes first: wherever this is interrupted, a run is either still scored or no
    longer, and the next call takes off the rest. A run that fails stops no other. Without a filter,
    and once no run is scored any more, the saved view goes as well. Backfills of the same runs on
    this machine are kept off meanwhile.

    Parameters
    ----------
    address : str
        As in `open_tracker`: ``mlflow:EXPERIMENT``, ``wandb:ENTITY/PROJECT``, a folder, ….
    where : str
        Filter in the tracker's own language, such as ``metrics.dqi > 0.3``.
    dry_run : bool
        Say which runs it would be, and take off nothing.
    settings : Settings, optional
        From the environment and files where left out. `jobs` runs are worked on at the same time.
    on_plan : callable, optional
        Called once, after the outcomes that the listing alone decides, with the number of runs
        found and of those to be unscored.
    on_outcome : callable, optional
        Called with each outcome as it comes: `unscored`, its reason what had to stay; `unchanged`
        where there was nothing to take off; `skipped` where the run was deleted meanwhile;
        `failed`.
    on_note : callable, optional
        Called with a line that a person should see, such as that the saved view stays. Logged as
        a warning where left out.
    stop : threading.Event, optional
        Set it to end the pass after the runs that are being worked on.

    Returns
    -------
    Report

    Raises
    ------
    ConfigError
        When an option or the address cannot be meant.
    LeaseHeld
        When a backfill on this machine is at work on the same runs; never for a dry run.
    TrackerError
        When the tracker is not reached or refuses as a whole.
    """
    settings = settings or load_settings()
    check_jobs(settings.jobs)
    stop = stop or Event()
    tell = on_note or _LOGGER.warning
    start = time.perf_counter()
    report = Report(dry_run=dry_run)

    def note(outcome: Outcome) -> None:
        report.add(outcome)
        if on_outcome:
            on_outcome(outcome)

    with nullcontext() if dry_run else _alone(address, settings, stop, tell):
        tracker = open_tracker(address, settings=settings)
        try:
            todo = _scored_runs(tracker, where, note)
            report.n_found = sum(report.counts.values()) + len(todo)
            if on_plan:
                on_plan(report.n_found, len(todo))
            work = partial(_unscored, tracker, dry_run)
            jobs = settings.jobs or tracker.jobs
            for outcome in carry_out(work, todo, batch=tracker.batch, jobs=jobs, stop=stop):
                note(outcome)
            if not (where or dry_run or report.counts["failed"] or stop.is_set()):
                _drop_view(tracker, tell)
        finally:
            tracker.close()
            report.stopped = stop.is_set()
            report.seconds = time.perf_counter() - start
    return report


def _alone(
    address: str, settings: Settings, stop: Event, tell: Callable[[str], None]
) -> AbstractContextManager[None]:
    ledger = Ledger.of(settings, tell)
    return leased(Recording(ledger, scope_of(address, settings), address, stop))


def _scored_runs(tracker: Tracker, where: str, note: Callable[[Outcome], None]) -> list[RunRef]:
    """List the runs to the end, as trackers page by offset; return those that carry facts."""
    todo: list[RunRef] = []
    for ref in tracker.find(Query(where, include_failed=True, include_running=True)):
        if ref.stamp is None:
            note(Outcome(ref, "unchanged", reason="not scored"))
        elif not ref.stamp.facts:
            # facts go wherever anything can; metrics that a tracker cannot delete are no work
            note(Outcome(ref, "unchanged", reason="not scored, old metrics stay", stamp=ref.stamp))
        else:
            todo.append(ref)
    return todo


def _drop_view(tracker: Tracker, tell: Callable[[str], None]) -> None:
    if not tracker.keeps_view:
        return
    try:
        tracker.drop_view()
    except DQIError as error:
        tell(f"the saved view stays: {error.message} ({error.fix})")


def _unscored(tracker: Tracker, dry_run: bool, refs: Sequence[RunRef]) -> Iterator[Outcome]:
    for ref in refs:
        try:
            yield Outcome(ref, "unscored", reason="" if dry_run else tracker.erase(ref))
        except RunNotFound as error:
            yield Outcome(ref, "skipped", reason=error.message)
        except DQIError as error:
            yield Outcome(ref, "failed", error.message, error.fix, transient=error.transient)
        except Exception as error:  # noqa: BLE001 - a defect met on one run must not stop the rest
            reason = masked(f"unexpected {type(error).__name__}: {error}")
            yield Outcome(ref, "failed", reason, "report this as a bug")
