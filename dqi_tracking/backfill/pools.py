"""Chunks of runs on processes of this machine, or on the workers of a dask cluster.

A chunk whose worker died is done again. That is harmless without a look at what the dead one
wrote: whatever a pass writes on a run carries the time at which the pass started, so the same is
written once more. Listing the runs afresh instead would cost requests for all of them.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dqi_tracking.backfill.worker import begin_process, close_tracker, given_up, run_chunk
from dqi_tracking.errors import ConfigError, DQIError, TrackerError, TransientTrackerError, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Executor, Future
    from threading import Event

    from distributed import Client

    from dqi_tracking.backfill.worker import Done, Job
    from dqi_tracking.types import RunRef

    Chunk = Sequence[RunRef]

TRIES = 3
"""Times that a run is worked on whose worker process dies."""
AHEAD = 2
"""Chunks in flight for each worker: none waits for work, and a stop drains soon."""
IDLE_SECONDS = 60
"""After which a worker process ends that gets no work, as when its starter was killed."""
CONNECT_SECONDS = 10.0
"""To reach a scheduler, and for its first worker to be there."""
WORKER_SECONDS = 60.0
"""How long a cluster may be without any worker in mid-job."""

_TALK = ("distributed", "distributed.client")


def shared_out(refs: Sequence[RunRef], batch: int, jobs: int) -> list[Chunk]:
    """Cut runs into chunks: few runs so that no worker is without any."""
    size = max(1, min(batch, len(refs) // (2 * jobs)))
    return [refs[first : first + size] for first in range(0, len(refs), size)]


def by_processes(
    job: Job, refs: Sequence[RunRef], batch: int, jobs: int, stop: Event
) -> Iterator[Done]:
    """Yield what becomes of chunks on a pool of so many processes.

    When one dies, so does the pool; the runs in flight are then worked on one by one, in which
    the one that kills its worker is found. After three times it has failed.
    """
    from joblib.externals.loky import ProcessPoolExecutor

    many: deque[Chunk] = deque(shared_out(refs, batch, jobs))
    single: deque[Chunk] = deque()
    deaths: Counter[str] = Counter()
    while (many or single) and not stop.is_set():
        feed, workers, room = (single, 1, 1) if single else (many, jobs, AHEAD * jobs)
        # left early, it waits for what is in flight
        with ProcessPoolExecutor(workers, timeout=IDLE_SECONDS, initializer=begin_process) as pool:
            for chunk, future in _in_flight(pool, job, feed, lambda n=room: n, stop):
                if not isinstance(future.exception(), BrokenExecutor):
                    yield _done(future)
                    continue
                deaths.update(ref.run_id for ref in chunk)
                single.extend([ref] for ref in chunk if deaths[ref.run_id] < TRIES)
                lost = [ref for ref in chunk if deaths[ref.run_id] >= TRIES]
                if lost:
                    yield _lost(lost)


def by_dask(
    job: Job,
    refs: Sequence[RunRef],
    batch: int,
    jobs: int | None,
    scheduler: str,
    stop: Event,
) -> Iterator[Done]:
    """Yield what becomes of chunks on a cluster, whose workers may come and go meanwhile.

    Where dask gives a chunk up, its runs are worked on one by one, to find the one that kills.
    """
    from distributed import KilledWorker

    with _connected(scheduler) as client:
        feed: deque[Chunk] = deque(shared_out(refs, batch, jobs or _threads(client)))
        seen = time.monotonic()
        suspects: set[str] = set()

        def room() -> int:
            nonlocal seen
            threads, now = _threads(client), time.monotonic()
            seen = now if threads else seen
            if now - seen > WORKER_SECONDS:
                raise TransientTrackerError(
                    f"no worker is left at {scheduler}",
                    fix=f"`dask worker {scheduler}`, then run this again: it goes on from here",
                )
            alone = bool(feed) and feed[0][0].run_id in suspects
            return min(1 if alone else jobs or AHEAD * threads, AHEAD * threads)

        pool: Executor = client.get_executor(pure=False)
        for chunk, future in _in_flight(pool, job, feed, room, stop):
            # dask itself gave it to other workers before, as often as `allowed-failures` says
            if future.cancelled() or not isinstance(future.exception(), KilledWorker):
                yield _done(future)
            elif chunk[0].run_id in suspects:
                yield _lost(chunk)
            else:
                suspects.update(ref.run_id for ref in chunk)
                feed.extendleft([ref] for ref in chunk)
        client.run(close_tracker, job.token, on_error="ignore")


def _in_flight(
    pool: Executor, job: Job, feed: deque[Chunk], room: Callable[[], int], stop: Event
) -> Iterator[tuple[Chunk, Future[Done]]]:
    """Yield chunks with their futures as they are done; no more are out than there is room."""
    out: dict[Future[Done], Chunk] = {}
    while True:
        while feed and not stop.is_set() and len(out) < room():
            chunk = feed.popleft()
            try:
                out[pool.submit(run_chunk, job, chunk)] = chunk
            except BrokenExecutor:
                feed.appendleft(chunk)
                break
        if out:
            done, _ = wait(out, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                yield out.pop(future), future
            if not done and not room() and stop.is_set():
                # no worker is there that might have begun them
                return
        elif not feed or stop.is_set() or room():
            return
        else:
            stop.wait(1)


def _done(future: Future[Done]) -> Done:
    if future.cancelled():
        return _scheduler_lost()
    error = future.exception()
    if error is None:
        return future.result()
    said = masked(f"{type(error).__name__}: {error}")
    return TrackerError(
        f"a worker could not begin: {said}",
        fix="install on the workers what is installed here, in the same versions",
    )


def _scheduler_lost(why: str = "") -> TransientTrackerError:
    return TransientTrackerError(
        f"the dask scheduler was lost{why}",
        fix="start it, then run this again: it goes on from here",
    )


def _lost(refs: Sequence[RunRef]) -> Done:
    reason = "its worker process died, each time it was tried"
    fix = "see whether the run is too large for the worker's memory, and run this again"
    return [given_up(ref, reason, fix) for ref in refs]


@contextmanager
def _connected(scheduler: str) -> Generator[Client]:
    client = _client(scheduler)
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in _TALK}
    # what dask has to say of lost connections becomes an error here
    for logger in levels:
        logger.setLevel(logging.CRITICAL)
    try:
        _wait_for_worker(client, scheduler)
        yield client
    except DQIError:
        raise
    except Exception as error:
        # dask raises what it likes once it has closed itself
        if client.status == "running" and not isinstance(error, OSError):
            raise
        raise _scheduler_lost(f": {error}") from error
    finally:
        # one whose scheduler is lost closes itself too, and dask fails where the two meet
        with suppress(OSError, RuntimeError):
            client.close()
    # a client that ended otherwise goes on talking in its own thread
    for logger, level in levels.items():
        logger.setLevel(level)


def _client(scheduler: str) -> Client:
    from distributed import Client

    parts = urlsplit(scheduler)
    try:
        # dask's own client goes on trying where nothing listens
        socket.create_connection((parts.hostname or "", parts.port or 0), CONNECT_SECONDS).close()
        return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise TransientTrackerError(
            f"the scheduler {scheduler} is not reached: {error}",
            fix="start it with `dask scheduler`, or correct --scheduler",
        ) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the scheduler {scheduler} cannot be used: {error}", fix="correct --scheduler"
        ) from error


def _wait_for_worker(client: Client, scheduler: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError as error:
        raise TransientTrackerError(
            f"the scheduler {scheduler} has no workers",
            fix=f"start one or more: `dask worker {scheduler}`",
        ) from error


def _threads(client: Client) -> int:
    threads: Any = client.nthreads()
    return sum(threads.values())
