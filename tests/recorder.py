"""A tracker in memory that remembers what was done with it, and in which order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from dqi_tracking.trackers.base import Query, Reading
from dqi_tracking.trackers.memory import MemoryTracker
from dqi_tracking.types import RunRef, Stamp

Hook = Callable[[RunRef], object]


class Recorder(MemoryTracker):
    """Notes every call; `before_read` and `before_write` are called with the run, and may raise.

    A write that `before_write` ends has left its files, as that of a real tracker may.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.was_read: list[str] = []
        self.before_read: Hook = lambda ref: None
        self.before_write: Hook = lambda ref: None

    def find(self, query: Query) -> Iterator[RunRef]:
        for ref in super().find(query):
            self.calls.append("list")
            yield ref
        self.calls.append("end of list")

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        for ref in refs:
            self.was_read.append(ref.run_id)
            self.before_read(ref)
            yield from super().read([ref])

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        self.runs[ref.run_id].files.update(files)
        self.before_write(ref)
        self.calls.append("write")
        super().write(ref, stamp, files)

    def close(self) -> None:
        self.calls.append("close")


def raising(error: Exception, on: str) -> Hook:
    """Return a hook that raises the error on one run."""

    def hook(ref: RunRef) -> None:
        if ref.run_id == on:
            raise error

    return hook


def curve(seed: int, points: int = 30) -> list[tuple[float, float]]:
    """Return a falling loss with a wave of its own."""
    return [(step, math.exp(-step / 9) + math.sin(seed + step) / 20) for step in range(points)]
