"""Twelve runs in memory that are backfilled, and what the ledger then knows."""

from __future__ import annotations

from collections.abc import Callable

from dqi_tracking.backfill.lease import now
from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.backfill.scope import scope_of
from dqi_tracking.backfill.status import Status, status_of
from dqi_tracking.config import load_settings
from dqi_tracking.errors import WriteRejected
from dqi_tracking.types import Outcome, RunRef
from tests.recorder import Recorder, curve

N = 12
ALL = {f"r{number:02}" for number in range(N)}


def twelve_runs() -> Recorder:
    """Return a tracker that holds them."""
    tracker = Recorder()
    for number, run_id in enumerate(sorted(ALL)):
        tracker.add(run_id, started=number, ended=number, loss=curve(number))
    return tracker


def status() -> Status:
    settings = load_settings()
    return status_of(Ledger.of(settings, print), scope_of("memory:", settings), now())


def refuse(*run_ids: str, error: type[Exception] = WriteRejected) -> Callable[[RunRef], None]:
    def hook(ref: RunRef) -> None:
        if ref.run_id in run_ids:
            raise error("the disk is full", fix="free space", run=ref.run_id)

    return hook


def failed(run_id: str) -> Outcome:
    return Outcome(RunRef(run_id), "failed", "full", "free space")


def n_writes(tracker: Recorder) -> set[int]:
    return {run.n_writes for run in tracker.runs.values()}
