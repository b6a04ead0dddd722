"""Doing the plan: chunks of runs on threads, outcomes as they come, a clean stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dqi_tracking.errors import TransientTrackerError
from dqi_tracking.pipeline import Pass, process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import Outcome, RunRef

CHUNK = 16
"""Runs a tracker is asked to read at once."""
PATIENCE = 5
"""Failures in a row, each of the kind that passes by itself, after which the tracker counts as
down and the rest is left for another pass."""


def execute(
    tracker: Tracker, refs: Sequence[RunRef], current: Pass, *, jobs: int, stop: Event
) -> Iterator[Outcome]:
    """Process runs until they are done or a stop is asked for.

    Parameters
    ----------
    tracker : Tracker
        Shared by the threads.
    refs : sequence of RunRef
    current : Pass
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
    chunks = [refs[first : first + CHUNK] for first in range(0, len(refs), CHUNK)]
    in_a_row = 0
    last: Outcome | None = None
    for outcome in _outcomes(tracker, chunks, current, jobs, stop):
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
    tracker: Tracker,
    chunks: Sequence[Sequence[RunRef]],
    current: Pass,
    jobs: int,
    stop: Event,
) -> Iterator[Outcome]:
    if jobs == 1:
        for chunk in chunks:
            yield from _until_stopped(tracker, chunk, current, stop)
        return
    from joblib import Parallel, delayed

    parallel: Any = Parallel(n_jobs=jobs, prefer="threads", return_as="generator_unordered")
    work = delayed(_all_until_stopped)
    for done in parallel(work(tracker, chunk, current, stop) for chunk in chunks):
        yield from done


def _all_until_stopped(
    tracker: Tracker, chunk: Sequence[RunRef], current: Pass, stop: Event
) -> list[Outcome]:
    return list(_until_stopped(tracker, chunk, current, stop))


def _until_stopped(
    tracker: Tracker, chunk: Sequence[RunRef], current: Pass, stop: Event
) -> Iterator[Outcome]:
    if stop.is_set():
        return
    for outcome in process(tracker, chunk, current):
        yield outcome
        if stop.is_set():
            return
