"""Scoring everything at an address that is not scored yet.

`plan` says what there is to do, `executor` does it, `report` counts it; `backfill` is the three
together, and light to import.
"""

from __future__ import annotations

import time
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dqi_tracking.backfill.report import Report
    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Query
    from dqi_tracking.types import Outcome

__all__ = ["backfill"]


def backfill(
    address: str,
    *,
    query: Query | None = None,
    dry_run: bool = False,
    reprocess: str = "missing",
    verify: bool = False,
    files: bool = True,
    jobs: int | None = None,
    settings: Settings | None = None,
    on_plan: Callable[[int, int], None] | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Score the runs at an address that are not scored yet, and write the scores back.

    Runs whose listing says that nothing changed since they were scored are neither read nor
    written. A run that fails stops no other.

    Parameters
    ----------
    address : str
        As in `open_tracker`: ``mlflow:EXPERIMENT``, ``wandb:ENTITY/PROJECT``, a folder, ….
    query : Query, optional
        Which of the runs; the finished ones where left out.
    dry_run : bool
        Read and score, but write nothing.
    reprocess : {"missing", "all"}
        ``"all"`` scores and writes again what is already scored.
    verify : bool
        Also read runs that look unchanged, and compare their full fingerprint.
    files : bool
        Whether `phases.json` and `phases.html` are made at all; `Settings.artifact` says where
        they go.
    jobs : int, optional
        Runs worked on at the same time; from the settings, or as it suits the tracker, where
        left out.
    settings : Settings, optional
        From the environment and files where left out.
    on_plan : callable, optional
        Called once, after the outcomes that the listing alone decides, with the number of runs
        found and of those to be read.
    on_outcome : callable, optional
        Called with each outcome as it comes.
    stop : threading.Event, optional
        Set it to end the pass after the runs that are being worked on.

    Returns
    -------
    Report

    Raises
    ------
    ConfigError
        When an option or the address cannot be meant.
    TrackerError
        When the tracker is not reached or refuses as a whole.
    """
    from dqi_tracking.backfill.executor import check_jobs, execute
    from dqi_tracking.backfill.plan import make_plan
    from dqi_tracking.backfill.report import Report
    from dqi_tracking.config import load_settings
    from dqi_tracking.errors import ConfigError
    from dqi_tracking.pipeline import ScoringOptions, begin
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.base import Query

    if reprocess not in ("missing", "all"):
        raise ConfigError(f"reprocess {reprocess!r} is not known", fix="use missing or all")
    settings = settings or load_settings()
    jobs = settings.jobs if jobs is None else jobs
    check_jobs(jobs)
    stop = stop or Event()
    start = time.perf_counter()
    report = Report(dry_run=dry_run)
    current = begin(
        ScoringOptions.of(settings),
        write=not dry_run,
        verify=verify,
        rescore=reprocess == "all",
        files=files,
    )
    tracker = open_tracker(address, settings=settings)
    try:

        def note(outcome: Outcome) -> None:
            report.add(outcome)
            if on_outcome:
                on_outcome(outcome)

        todo = make_plan(tracker, query or Query(), current, note)
        report.n_found = sum(report.counts.values()) + len(todo)
        if on_plan:
            on_plan(report.n_found, len(todo))
        for outcome in execute(tracker, todo, current, jobs=jobs, stop=stop):
            note(outcome)
    finally:
        tracker.close()
        report.stopped = stop.is_set()
        report.seconds = time.perf_counter() - start
    return report
