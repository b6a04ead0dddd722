"""Short ways to put runs into the loopback W&B server, and to score them through the package."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dqi_tracking.backfill import backfill
from dqi_tracking.backfill.report import Report
from dqi_tracking.config import load_settings
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query
from dqi_tracking.trackers.wandb import WandbTracker
from dqi_tracking.types import History, Outcome, RunRef
from tests.wandb_server.client import PATH, P
from tests.wandb_server.server import WandbServer

ADDRESS = f"wandb:{PATH}"


def falling(points: int = 40, spread: int = 1, key: str = "loss") -> list[dict[str, float]]:
    """Return rows of a falling loss with a wave, steps `spread` apart."""
    return [
        {"_step": step * spread, key: math.exp(-step / 9) + math.sin(step) / 20}
        for step in range(points)
    ]


@contextmanager
def tracker_of(address: str = ADDRESS, **settings: Any) -> Iterator[WandbTracker]:
    """Open the tracker, and close it at the end."""
    tracker = open_tracker(address, settings=load_settings(**settings))
    assert isinstance(tracker, WandbTracker)
    try:
        yield tracker
    finally:
        tracker.close()


def listed(address: str = ADDRESS, query: Query | None = None, **settings: Any) -> list[RunRef]:
    """Return the runs that an address lists."""
    with tracker_of(address, **settings) as tracker:
        return list(tracker.find(query or Query()))


def history_of(run_id: str, **settings: Any) -> History:
    """Read one run's history."""
    with tracker_of(f"{ADDRESS}/{run_id}", **settings) as tracker:
        (reading,) = tracker.read(list(tracker.find(Query())))
        return reading.found()


def score_all(
    address: str = ADDRESS,
    *,
    artifact: bool = False,
    files: bool = True,
    query: Query | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    jobs: int = 1,
    verify: bool = False,
    reprocess: str = "missing",
    **settings: Any,
) -> Report:
    """Backfill an address; without Artifacts unless they are asked for."""
    return backfill(
        address,
        query=query,
        files=files,
        jobs=jobs,
        verify=verify,
        reprocess=reprocess,
        on_outcome=on_outcome,
        settings=load_settings(artifact=artifact, **settings),
    )


def failure_of(report: Report) -> Outcome:
    """Return the one failure of a pass."""
    (failure,) = report.failures
    return failure


def add_runs(server: WandbServer, *run_ids: str, **given: Any) -> None:
    """Put finished runs with a falling loss into the project."""
    for run_id in run_ids:
        server.add_run(P, run_id, history=falling(), **given)
