"""Which engine carries out the runs, and whether it can at this address.

Threads share the tracker that is open (see `executor`). A process cannot: it gets a `Job`, opens a
tracker of its own at the address, and hands back outcomes, never a history. `pools` are the
processes of this machine and the workers of a dask cluster; joblib's active backend is here.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dqi_tracking.backfill.pools import AHEAD, by_dask, by_processes, shared_out
from dqi_tracking.backfill.worker import Job, close_tracker, run_chunk
from dqi_tracking.errors import ConfigError, DQIError, TransientTrackerError, masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from threading import Event

    from dqi_tracking.backfill.worker import Done
    from dqi_tracking.config import Settings
    from dqi_tracking.pipeline import Pass
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import Outcome, RunRef

ENGINES = ("threads", "processes", "dask", "joblib")
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def check_engine(
    engine: str, scheduler: str | None, address: str, settings: Settings | None
) -> None:
    """Refuse what cannot be meant, before anything is listed.

    Parameters
    ----------
    engine : {"threads", "processes", "dask", "joblib"}
        Threads of this process; processes of this machine; the workers of a dask cluster; or
        whatever joblib's active `parallel_config` says.
    scheduler : str, optional
        ``tcp://HOST:PORT``, for dask and no other.
    address : str
        As in `open_tracker`.
    settings : Settings or None

    Raises
    ------
    ConfigError
    """
    if engine not in ENGINES:
        raise ConfigError(
            f"engine `{engine}` is not known", fix=f"use {', '.join(ENGINES[:-1])} or {ENGINES[-1]}"
        )
    if scheduler and engine != "dask":
        raise ConfigError(
            f"engine {engine} has no scheduler", fix="add --engine dask, or leave --scheduler out"
        )
    if engine == "threads":
        return
    scheme = address.partition(":")[0]
    if not address or settings is None or scheme == "memory":
        raise ConfigError(
            f"`{address or 'an open tracker'}` lives in this process alone", fix="use threads"
        )
    if scheme == "wandb":
        raise ConfigError(
            f"engine {engine} is not for W&B: the pace of requests and the run that logs Artifacts "
            "belong to one process",
            fix="use --engine threads, with --jobs for more runs at the same time",
        )
    if engine == "dask":
        _check_dask(scheduler, address, settings)


def _check_dask(scheduler: str | None, address: str, settings: Settings) -> None:
    if find_spec("distributed") is None:
        raise ConfigError("dask is not installed", fix="`pip install 'dqi-tracking[dask]'`")
    if not scheduler:
        raise ConfigError(
            "engine dask has no scheduler",
            fix="add --scheduler tcp://HOST:8786; on this machine alone, use --engine processes",
        )
    try:
        parts = urlsplit(scheduler)
        known = bool(parts.hostname and parts.port)
    except ValueError:
        known = False
    if not known:
        raise ConfigError(
            f"the scheduler `{scheduler}` has no host and port", fix="use tcp://HOST:8786"
        )
    disk = _on_disk(address, settings)
    if disk is not None and not Path(disk).is_absolute():
        raise ConfigError(
            f"`{disk}` may be another file for each worker",
            fix="give an absolute path, on a disk that all workers see",
        )
    uri = _tracking_uri(address, settings) or ""
    if uri.startswith("sqlite") and urlsplit(scheduler).hostname not in _THIS_MACHINE:
        raise ConfigError(
            f"the workers of {scheduler} cannot share the SQLite store of one machine",
            fix="go through its `mlflow server`, or use --engine processes",
        )


def _tracking_uri(address: str, settings: Settings) -> str | None:
    if address.partition(":")[0] not in ("mlflow", "runs"):
        return settings.tracking_uri
    import mlflow

    return settings.tracking_uri or str(mlflow.get_tracking_uri())


def _on_disk(address: str, settings: Settings) -> str | None:
    """Return the path that an address means, absolute or not; None where it is a server's."""
    if address.partition(":")[0] not in ("mlflow", "runs"):
        return address
    uri = _tracking_uri(address, settings) or ""
    if uri.startswith("sqlite"):
        return uri.partition(":///")[2].partition("?")[0]
    scheme, colon, rest = uri.partition(":")
    if not colon:
        return uri
    return rest.removeprefix("//") if scheme == "file" else None


def job_of(tracker: Tracker, current: Pass, address: str, settings: Settings) -> Job:
    """Return what worker processes need to do the same as the tracker that is open here."""
    # a worker has another environment, and other defaults
    uri = _tracking_uri(address, settings)
    portable = settings.model_copy(update={"tracking_uri": uri})
    return Job(address, portable, current, opens=tracker.address)


def on_workers(
    job: Job,
    refs: Sequence[RunRef],
    *,
    engine: str,
    scheduler: str | None,
    batch: int,
    jobs: int | None,
    stop: Event,
) -> Iterator[list[Outcome]]:
    """Carry out runs by an engine other than threads.

    Parameters
    ----------
    job : Job
    refs : sequence of RunRef
    engine, scheduler
        As in `check_engine`.
    batch : int
        Runs in a chunk, at most.
    jobs : int, optional
        Chunks worked on at the same time, ≥ 1. Where left out: one by processes, as many as the
        cluster has threads by dask, and what the active configuration says by joblib.
    stop : Event
        Once set, no chunk is begun, and those in flight are finished.

    Yields
    ------
    list of Outcome
        Those of a chunk, in the order of completion.

    Raises
    ------
    DQIError
        When the cluster is not reached or lost, or a worker cannot open the tracker; after the
        outcomes of what was in flight.
    """
    if engine == "dask":
        done = by_dask(job, refs, batch, jobs, scheduler or "", stop)
    elif engine == "joblib":
        done = _by_joblib(job, refs, batch, jobs, stop)
    else:
        done = by_processes(job, refs, batch, jobs or 1, stop)
    failure: DQIError | None = None
    for each in done:
        if isinstance(each, DQIError):
            stop.set()
            failure = failure or each
        else:
            yield each
    if failure is not None:
        raise failure


def _by_joblib(
    job: Job, refs: Sequence[RunRef], batch: int, jobs: int | None, stop: Event
) -> Iterator[Done]:
    import joblib

    def until_stopped(chunks: Sequence[Sequence[RunRef]]) -> Iterator[Any]:
        for chunk in chunks:
            if stop.is_set():
                return
            yield joblib.delayed(run_chunk)(job, chunk)

    # joblib's annotations are narrower than what it takes
    library: Any = joblib
    try:
        workers: int = library.effective_n_jobs(jobs)
        chunks = shared_out(refs, batch, workers)
        try:
            parallel = library.Parallel(jobs, batch_size=1, return_as="generator_unordered")
            wave = max(1, len(chunks))
        except ValueError:
            # ray and spark hand back nothing before all that they were given is done
            parallel, wave = library.Parallel(jobs, batch_size=1), AHEAD * workers
        for first in range(0, len(chunks), wave):
            yield from parallel(until_stopped(chunks[first : first + wave]))
    except Exception as error:  # noqa: BLE001 - each backend has errors of its own
        yield TransientTrackerError(
            masked(f"joblib's backend failed: {type(error).__name__}: {error}"),
            fix="see that its workers run, then run this again: it goes on from here",
        )
    finally:
        # a backend may work in this very process; other ones close when they end
        close_tracker(job.token)
