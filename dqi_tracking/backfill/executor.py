"""Doing the plan: chunks of runs on threads, outcomes as they come, a clean stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dqi_tracking.errors import ConfigError, TransientTrackerError
from dqi_tracking.pipeline import Pass, process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import Outcome, RunRef

    Work = Callable[[Sequence[RunRef]], Iterator[Outcome]]

PATIENCE = 5
"""Failures in a row, each of the kind that passes by itself, after which the tracker counts as
down and the rest is left for another pass."""


def execute(
    tracker: Tracker, refs: Sequence[RunRef], current: Pass, *, jobs: int | None, stop: Event
) -> Iterator[Outcome]:
    """Read, score and write runs until they are done or a stop is asked for; see `carry_out`."""

    def work(chunk: Sequence[RunRef]) -> Iterator[Outcome]:
        return process(tracker, chunk, current)

    yield from carry_out(work, refs, batch=tracker.batch, jobs=jobs or tracker.jobs, stop=stop)


def check_jobs(jobs: int | None) -> None:
    """Raise a `ConfigError` where a number of threads cannot be meant."""
    if jobs is not None and jobs < 1:
        raise ConfigError(f"{jobs} jobs do nothing", fix="use 1 or more")


def carry_out(
    work: Work, refs: Sequence[RunRef], *, batch: int, jobs: int, stop: Event
) -> Iterator[Outcome]:
    """Do something to runs until they are done or a stop is asked for.

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
    # few runs are shared out so that no thread is without work
    size = max(1, min(batch, len(refs) // (2 * jobs)))
    chunks = [refs[first : first + size] for first in range(0, len(refs), size)]
    in_a_row = 0
    last: Outcome | None = None
    for outcome in _outcomes(work, chunks, jobs, stop):
        yield outcome
        in_a_row = in_a_row + 1 if outcome.transient else 0
        if in_a_row == PATIENCE:
            # the other threads end their runs, and those are told as well
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

    parallel: Any = Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
    all_of = delayed(_all_until_stopped)
    for done in parallel(all_of(work, chunk, stop) for chunk in chunks):
        yield from done


def _all_until_stopped(work: Work, chunk: Sequence[RunRef], stop: Event) -> list[Outcome]:
    return list(_until_stopped(work, chunk, stop))


def _until_stopped(work: Work, chunk: Sequence[RunRef], stop: Event) -> Iterator[Outcome]:
    if stop.is_set():
        return
    for outcome in work(chunk):
        yield outcome
        if stop.is_set():
            return
