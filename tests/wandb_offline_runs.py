"""A short way to offline runs of W&B: what an address holds, and what reading it gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dqi_tracking.config import Settings
from dqi_tracking.names import METRICS
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query, Reading
from dqi_tracking.trackers.wandb_offline import WandbOfflineTracker
from dqi_tracking.types import History, RunRef, Stamp
from tests.wandb_logs import (
    LogWriter,
    exit_record,
    put,
    run_record,
)

ALL = Query(include_failed=True, include_running=True)
CURVE = [float(np.exp(-i / 12) + 0.05 * np.sin(i**2)) for i in range(60)]
"""The loss of the runs that the client made, as it was logged."""
STAMP = Stamp(
    dict.fromkeys(METRICS, 0.25) | {"dqi_mid": float("nan")},
    {"status": "ok", "signal": "loss", "fingerprint": "f-1"},
)
FILES = {"phases.json": b"{}", "phases.html": b"<p>"}


def opened(path: Path, **given) -> WandbOfflineTracker:
    tracker = open_tracker(str(path), settings=Settings(**given))
    assert isinstance(tracker, WandbOfflineTracker)
    return tracker


def find(path: Path, query: Query = ALL) -> list[RunRef]:
    return list(opened(path).find(query))


def readings(path: Path, **given) -> dict[str, Reading]:
    tracker = opened(path, **given)
    found = {reading.ref.name: reading for reading in tracker.read(list(tracker.find(ALL)))}
    tracker.close()
    return found


def history(path: Path, **given) -> History:
    (reading,) = readings(path, **given).values()
    return reading.found()


def rows(path: Path, **given) -> list[tuple[float, float]]:
    found = history(path, **given)
    assert found.loss is not None
    return list(zip(found.step.tolist(), found.loss.tolist(), strict=True))


def one_run(tmp_path: Path, *records: bytes, end: bytes | None = exit_record()) -> Path:
    writer = LogWriter()
    for record in (run_record("made"), *records, *([end] if end else [])):
        writer.add(record)
    return put(tmp_path, bytes(writer.content))
