"""What a worker process does: open a tracker of its own, carry out chunks, hand back outcomes."""

from __future__ import annotations

import atexit
import logging
import signal
import socket
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

import dqi_tracking
from dqi_tracking.errors import ConfigError, DQIError, TrackerError, TransientTrackerError, masked
from dqi_tracking.garbage import collect_seldom
from dqi_tracking.pipeline import Pass, process
from dqi_tracking.trackers import open_tracker
from dqi_tracking.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef

    Done = list[Outcome] | DQIError

PATIENCE = 5
"""Failures in a row, each of the kind that passes by itself, after which the tracker counts as
down and the rest is left for another pass."""
MAX_OPEN = 8

_OPEN: dict[str, Tracker] = {}
_LOCK = Lock()


@dataclass(frozen=True, slots=True)
class Job:
    """One pass as a worker process needs it: small, and pickled with every chunk.

    Attributes
    ----------
    address : str
    settings : Settings
    current : Pass
    opens : str
        What the starter's tracker opened, without credentials; a worker that opens something
        else writes nothing.
    version : str
        Of this package where the pass was started.
    token : str
        The same for all chunks of the pass.
    """

    address: str
    # a tracking URI may hold a password, and clusters log what they are given
    settings: Settings = field(repr=False)
    current: Pass
    opens: str
    version: str = dqi_tracking.__version__
    token: str = field(default_factory=lambda: uuid4().hex)


def run_chunk(job: Job, chunk: Sequence[RunRef]) -> Done:
    """Read, score and write runs in this process.

    Parameters
    ----------
    job : Job
    chunk : sequence of RunRef

    Returns
    -------
    list of Outcome or DQIError
        One outcome for each run, fewer where the tracker seems to be down; or the error for
        which none can be worked on here, as a value: not all backends of joblib carry exceptions.
    """
    try:
        tracker = _tracker_of(job)
    except TransientTrackerError as error:
        failed = (given_up(ref, error.message, error.fix) for ref in chunk)
        return list(until_down(failed))
    except DQIError as error:
        return type(error)(f"worker {socket.gethostname()}: {error.message}", fix=error.fix)
    except Exception as error:  # noqa: BLE001 - an exception of a driver may not be picklable
        return TrackerError(
            f"worker {socket.gethostname()} cannot open the tracker: "
            + masked(f"{type(error).__name__}: {error}"),
            fix="install there what is installed here, or use --engine threads",
        )
    return list(until_down(process(tracker, chunk, job.current)))


def until_down(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield outcomes up to the one by which the tracker counts as down."""
    in_a_row = 0
    for outcome in outcomes:
        yield outcome
        in_a_row = in_a_row + 1 if outcome.transient else 0
        if in_a_row == PATIENCE:
            return


def given_up(ref: RunRef, reason: str, fix: str) -> Outcome:
    """Return the outcome of a run that was not reached, and may be the next time."""
    return Outcome(ref, "failed", reason=reason, fix=fix, stamp=ref.stamp, transient=True)


def close_tracker(token: str) -> None:
    """Close what this process opened for a pass."""
    with _LOCK:
        tracker = _OPEN.pop(token, None)
    if tracker is not None:
        tracker.close()


def begin_process() -> None:
    """Make this process one that works for another and does nothing else."""
    # Ctrl-C and systemd's stop reach all processes: the starter alone decides when work ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    collect_seldom()
    # what went wrong stands in the outcomes
    logging.disable(logging.CRITICAL)
    atexit.register(_close_all)


def _close_all() -> None:
    for token in list(_OPEN):
        close_tracker(token)


def _tracker_of(job: Job) -> Tracker:
    # threads of one worker share it
    with _LOCK:
        if job.token not in _OPEN:
            _OPEN[job.token] = _opened(job)
        tracker = _OPEN[job.token]
        over = list(_OPEN)[:-MAX_OPEN]
    # of passes long over: not every backend says when one ends
    for token in over:
        close_tracker(token)
    return tracker


def _opened(job: Job) -> Tracker:
    if job.version != dqi_tracking.__version__:
        raise ConfigError(
            f"it has dqi-tracking {dqi_tracking.__version__}, this pass {job.version}",
            fix=f"`pip install dqi-tracking=={job.version}` on the workers",
        )
    tracker = open_tracker(job.address, settings=job.settings)
    if tracker.address != job.opens:
        tracker.close()
        raise ConfigError(
            f"`{job.address}` is {tracker.address} there, {job.opens} here",
            fix="start the workers with the same variables, or name the store: --tracking-uri",
        )
    return tracker
