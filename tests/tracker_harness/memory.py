"""Runs in a dictionary; the trackers that are opened at it share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dqi_tracking.config import Settings
from dqi_tracking.trackers.base import Reading
from dqi_tracking.trackers.memory import MemoryRun, MemoryTracker
from dqi_tracking.types import RunRef
from tests.tracker_harness.base import Harness, Points

ENTRY = f"{__name__}:SharedMemory"


class SharedMemory(MemoryTracker):
    """The tracker in memory, behind an address."""

    store: dict[str, MemoryRun] = {}  # noqa: RUF012 - one store at a time, emptied by the harness
    n_read = 0

    @classmethod
    def open(cls, address: str, settings: Settings) -> SharedMemory:
        tracker = cls(settings)
        tracker.runs = cls.store
        return tracker

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        SharedMemory.n_read += len(refs)
        yield from super().read(refs)


class MemoryHarness(Harness):
    address = "memory:"
    cannot = {"text": "points are numbers"}  # noqa: RUF012

    def __init__(self) -> None:
        SharedMemory.store.clear()
        SharedMemory.n_read = 0

    def add(
        self,
        name: str,
        metrics: Mapping[str, Points],
        *,
        status: str = "FINISHED",
        params: Mapping[str, str] | None = None,
    ) -> str:
        started = 1_000_000 * (len(SharedMemory.store) + 1)
        ended = 0 if status == "RUNNING" else started + 1_000
        run = MemoryRun(f"id-{name}", name, status=status, started=started, ended=ended)
        run.metrics = {key: list(points) for key, points in metrics.items()}
        run.params = dict(params or {})
        SharedMemory.store[run.run_id] = run
        return run.run_id

    def extend(self, run: str, key: str, points: Points) -> None:
        SharedMemory.store[run].metrics[key] += points

    def delete(self, run: str) -> None:
        del SharedMemory.store[run]

    def owned(self, run: str) -> object:
        found = SharedMemory.store[run]
        fields = ("run_id", "name", "group", "status", "started", "ended", "metrics")
        return repr([getattr(found, name) for name in fields])

    def files(self, run: str) -> dict[str, bytes]:
        return dict(SharedMemory.store[run].files)

    def writes(self) -> object:
        return sum(run.n_writes + run.n_amended for run in SharedMemory.store.values())

    def n_histories(self) -> int:
        return SharedMemory.n_read
