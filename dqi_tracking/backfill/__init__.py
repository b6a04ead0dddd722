"""Scoring everything at an address that is not scored yet.

`plan` says what there is to do, `executor` does it, `scoring_process` scores beside, `report`
counts it; `ledger` is this machine's memory of it, `recording` what a pass writes there, `lease`
keeps a second one off, `status` tells what is known; `cohort_ranking` ranks the runs, and
`standing` writes that at the end; `checking` holds the population that runs are checked against.
`backfill` is all of it together, and light to import.
"""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dqi_tracking.backfill.report import Report
    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Query
    from dqi_tracking.types import Outcome

__all__ = ["backfill"]

REPROCESS = ("missing", "failed", "all")
_LOGGER = logging.getLogger("dqi_tracking")


def backfill(
    address: str,
    *,
    query: Query | None = None,
    dry_run: bool = False,
    reprocess: str = "missing",
    verify: bool = False,
    files: bool = True,
    forecast: bool = False,
    population: str | None = None,
    jobs: int | None = None,
    engine: str = "threads",
    scheduler: str | None = None,
    settings: Settings | None = None,
    on_plan: Callable[[int, int], None] | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    on_note: Callable[[str], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Score the runs at an address that are not scored yet, and write the scores back.

    Runs whose listing says that nothing changed since they were scored are neither read nor
    written. A run that fails stops no other.

    What is scored stands on the runs. This machine remembers beside it, in `Settings.state_dir`,
    which passes there were and which runs failed; and of two backfills that overlap, only one
    works at a time. Where that memory is lost or cannot be used, the backfill does without.

    On MLflow, `Settings.view` also keeps a saved view "DQI" on the experiments.

    With `Settings.percentiles`, a pass at its end ranks all finished runs of the address that are
    scored with these options, whichever the query means: each within its experiment or project, or
    with `Settings.cohort` within the runs of it that share the value of a column. Percentiles are
    written where they moved by a point or more. A pass with a narrower query that scored nothing
    leaves them alone, and so does one over the address of a single run.

    Parameters
    ----------
    address : str
        As in `open_tracker`: ``mlflow:EXPERIMENT``, ``wandb:ENTITY/PROJECT``, a folder, ….
    query : Query, optional
        Which of the runs; the finished ones where left out.
    dry_run : bool
        Read and score, but write nothing.
    reprocess : {"missing", "failed", "all"}
        ``"missing"``: what is new or changed. ``"failed"``: of these, only runs that failed in
        an earlier pass on this machine and were not scored since. ``"all"`` scores and writes
        again what is already scored.
    verify : bool
        Also read runs that look unchanged, and compare their full fingerprint.
    files : bool
        Whether `phases.json` and `phases.html` are made at all; `Settings.artifact` says where
        they go.
    forecast : bool
        Also write `dqi_forecast`, `dqi_forecast_gain` and `dqi_forecast_step` on runs that are not
        finished: the loss to expect, its gain over now, and the step of both, which is the last
        one by the run's own params, config or tags (`context.plans.PLANNED_STEPS`), else twice
        the steps so far. Running runs are then part of the pass. Scoring a run again without this
        takes them off.
    population : str, optional
        ``FILE`` or ``FILE:COHORT`` of a saved population that holds curves: each run is checked
        against those of its cohort, too. The file is part of the fingerprint; a run of a cohort
        that the file has no curves of gets a warning.
    jobs : int, optional
        Runs worked on at the same time; from the settings, or as it suits the tracker, where
        left out.
    engine : {"threads", "processes", "dask", "joblib"}
        What works on the runs: threads of this process, processes of this machine, the workers of
        a dask cluster, or whatever joblib's active `parallel_config` says (ray, spark, …).
    scheduler : str, optional
        ``tcp://HOST:PORT`` of the dask cluster.
    settings : Settings, optional
        From the environment and files where left out.
    on_plan : callable, optional
        Called once, after the outcomes that the listing alone decides, with the number of runs
        found and of those to be read.
    on_outcome : callable, optional
        Called with each outcome as it comes.
    on_note : callable, optional
        Called with a line that a person should see, such as that this machine's memory cannot be
        used; possibly from another thread. Logged as a warning where left out.
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
        When another backfill on this machine is at work on the same runs; never for a dry run.
    TrackerError
        When the tracker is not reached or refuses as a whole.
    """
    from dqi_tracking.backfill.checking import Checking
    from dqi_tracking.backfill.engines import check_engine
    from dqi_tracking.backfill.executor import check_jobs, execute
    from dqi_tracking.backfill.ledger import Ledger
    from dqi_tracking.backfill.plan import make_plan
    from dqi_tracking.backfill.recording import Recording, recorded
    from dqi_tracking.backfill.report import Report
    from dqi_tracking.backfill.scope import scope_of
    from dqi_tracking.backfill.standing import RankingAtEnd
    from dqi_tracking.backfill.status import failed_before
    from dqi_tracking.config import load_settings
    from dqi_tracking.context.phase_plan import phase_columns
    from dqi_tracking.context.plans import planned_columns
    from dqi_tracking.errors import ConfigError
    from dqi_tracking.pipeline import ScoringOptions, begin
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.base import Query
    from dqi_tracking.trackers.keeping import kept_view

    if reprocess not in REPROCESS:
        raise ConfigError(
            f"reprocess {reprocess!r} is not known", fix=f"use one of {', '.join(REPROCESS)}"
        )
    settings = settings or load_settings()
    jobs = settings.jobs if jobs is None else jobs
    check_jobs(jobs)
    check_engine(engine, scheduler, address, settings)
    stop = stop or Event()
    start = time.perf_counter()
    report = Report(dry_run=dry_run)
    checking = Checking(population, settings)
    current = begin(
        ScoringOptions.of(settings),
        population=checking.population,
        write=not dry_run,
        verify=verify,
        rescore=reprocess == "all",
        files=files,
        forecast=forecast,
    )
    tell = on_note or _LOGGER.warning
    ledger = Ledger.of(settings, tell)
    scope = scope_of(address, settings)
    recording = None if dry_run else Recording(ledger, scope, address, stop)
    query = query or Query()
    told = phase_columns(settings.phases) + checking.columns
    query = replace(query, columns=(*query.columns, *told))
    if forecast:
        # offline runs are read to their ends for a column, and all of them count as finished
        columns = () if scope.kind == "path" else planned_columns()
        query = replace(query, include_running=True, columns=(*query.columns, *columns))
    ranking = RankingAtEnd(
        current,
        query,
        scope.kind,
        settings.cohort,
        is_wanted=settings.percentiles or settings.cohort is not None,
        is_part=reprocess == "failed",
    )

    def note(outcome: Outcome) -> None:
        report.add(outcome)
        checking.note(outcome)
        ranking.note(outcome)
        if recording:
            recording.add(outcome)
        if on_outcome:
            on_outcome(outcome)

    with recorded(recording, stop) if recording else nullcontext():
        wanted = failed_before(ledger, scope) if reprocess == "failed" else None
        # opening a tracker may take seconds, so the lease was asked for first
        tracker = open_tracker(address, settings=settings)
        try:
            todo = make_plan(tracker, ranking.query, current, note, wanted)
            report.n_found = sum(report.counts.values()) + len(todo)
            if recording:
                recording.n_found = report.n_found
            if on_plan:
                on_plan(report.n_found, len(todo))
            done = execute(
                tracker,
                todo,
                current,
                jobs=jobs,
                stop=stop,
                engine=engine,
                scheduler=scheduler,
                address=address,
                settings=settings,
            )
            for outcome in done:
                note(outcome)
            is_scored = report.counts["scored"] or report.counts["unchanged"]
            if is_scored and settings.view and not (dry_run or stop.is_set()):
                report.view = kept_view(tracker)
            checking.tell(tell)
            report.standings = ranking.write(tracker, jobs=jobs, stop=stop)
        finally:
            tracker.close()
            report.stopped = stop.is_set()
            report.seconds = time.perf_counter() - start
    return report
