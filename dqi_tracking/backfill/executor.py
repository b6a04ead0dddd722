"""Doing the plan: chunks of runs on an engine, outcomes as they come, a clean stop."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from dqi_tracking.backfill.engines import check_engine, job_of, on_workers
from dqi_tracking.backfill.pools import shared_out
from dqi_tracking.backfill.scoring_process import scoring_process
from dqi_tracking.backfill.worker import PATIENCE, until_down
from dqi_tracking.errors import ConfigError, TransientTrackerError
from dqi_tracking.pipeline import Pass, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from threading import Event

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import Outcome, RunRef

    Work = Callable[[Sequence[RunRef]], Iterator[Outcome]]


def execute(
    tracker: Tracker,
    refs: Sequence[RunRef],
    current: Pass,
    *,
    jobs: int | None,
    stop: Event,
    engine: str = "threads",
    scheduler: str | None = None,
    address: str = "",
    settings: Settings | None = None,
) -> Iterator[Outcome]:
    """Read, score and write runs until they are done or a stop is asked for.

    Parameters
    ----------
    tracker : Tracker
        Threads share it; other engines open their own at the same address.
    refs : sequence of RunRef
    current : Pass
    jobs : int, optional
        Runs worked on at the same time, ≥ 1; as it suits the tracker, or all of a cluster, where
        left out.
    stop : Event
        Once set, runs that are being worked on are finished and no others begun; processes and
        clusters finish the chunks that are in flight.
    engine : {"threads", "processes", "dask", "joblib"}
    scheduler : str, optional
        ``tcp://HOST:PORT`` of the dask cluster.
    address, settings
        From which the tracker was opened; for all engines but threads.

    Yields
    ------
    Outcome
        In the order of completion.

    Raises
    ------
    ConfigError
        As `check_engine`.
    TransientTrackerError
        When the tracker seems to be down, or the cluster is.
    TrackerError
        When a worker cannot open the tracker.
    """
    check_engine(engine, scheduler, address, settings)
    if engine == "threads" or settings is None:
        with scoring_process(current, len(refs)) as scorer:

            def work(chunk: Sequence[RunRef]) -> Iterator[Outcome]:
                return process(tracker, chunk, current, scorer)

            jobs = jobs or tracker.jobs
            yield from carry_out(work, refs, batch=tracker.batch, jobs=jobs, stop=stop)
        return
    done = on_workers(
        job_of(tracker, current, address, settings),
        refs,
        engine=engine,
        scheduler=scheduler,
        batch=tracker.batch,
        jobs=jobs or tracker.jobs if engine == "processes" else jobs,
        stop=stop,
    )
    yield from _while_it_answers(chain.from_iterable(done), stop)


def check_jobs(jobs: int | None) -> None:
    """Raise a `ConfigError` where a number of threads cannot be meant."""
    if jobs is not None and jobs < 1:
        raise ConfigError(f"{jobs} jobs do nothing", fix="use 1 or more")


def carry_out(
    work: Work, refs: Sequence[RunRef], *, batch: int, jobs: int, stop: Event
) -> Iterator[Outcome]:
    """Do something to runs on threads until they are done or a stop is asked for.

    Parameters
    ----------
    work : callable
        Yields one outcome for each run it is given, in order, as it is done; shared by the
        threads.
    refs : sequence of RunRef
    batch : int
        Runs in a chunk, at most.
    jobs : int
        Threads, ≥ 1.
    stop : Event
        Once set, runs that are being worked on are finished and no others begun.

    Yields
    ------
    Outcome
        In the order of completion.

    Raises
    ------
    TransientTrackerError
        When the tracker seems to be down.
    """
    chunks = shared_out(refs, batch, jobs)
    yield from _while_it_answers(_outcomes(work, chunks, jobs, stop), stop)


def _while_it_answers(outcomes: Iterable[Outcome], stop: Event) -> Iterator[Outcome]:
    """Yield outcomes until the tracker seems to be down, and then those of the runs at work."""
    in_a_row = 0
    last: Outcome | None = None
    for outcome in outcomes:
        yield outcome
        in_a_row = in_a_row + 1 if outcome.transient else 0
        if in_a_row == PATIENCE:
            # the other workers end their runs, and those are told as well
            stop.set()
            last = outcome
    if last is not None:
        raise TransientTrackerError(
            f"{PATIENCE} runs in a row failed, so the rest was left: {last.reason}",
            fix=last.fix,
        )


def _outcomes(
    work: Work, chunks: Sequence[Sequence[RunRef]], jobs: int, stop: Event
) -> Iterator[Outcome]:
    if jobs == 1:
        for chunk in chunks:
            yield from _until_stopped(work, chunk, stop)
        return
    from joblib import Parallel, delayed

    # not merely preferred: an active `parallel_config` would send the open tracker elsewhere
    parallel: Any = Parallel(jobs, backend="threading", return_as="generator_unordered")
    all_of = delayed(_all_until_stopped)
    for done in parallel(all_of(work, chunk, stop) for chunk in chunks):
        yield from done


def _all_until_stopped(work: Work, chunk: Sequence[RunRef], stop: Event) -> list[Outcome]:
    return list(until_down(_until_stopped(work, chunk, stop)))


def _until_stopped(work: Work, chunk: Sequence[RunRef], stop: Event) -> Iterator[Outcome]:
    if stop.is_set():
        return
    for outcome in work(chunk):
        yield outcome
        if stop.is_set():
            return
