"""Whatever becomes of the ledger or the clock, each run is scored once; and no secret gets in."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from dqi_tracking import Query, backfill
from dqi_tracking.backfill import ledger as ledger_module
from dqi_tracking.backfill import recording as recording_module
from dqi_tracking.backfill.lease import Moment, now
from dqi_tracking.backfill.ledger import Ledger, Unusable
from dqi_tracking.backfill.recording import Recording, recorded
from dqi_tracking.backfill.scope import Scope, scope_of
from dqi_tracking.backfill.status import status_of
from dqi_tracking.config import load_settings
from dqi_tracking.types import Outcome, RunRef
from tests.ledger_runs import N, failed, n_writes, refuse, status, twelve_runs
from tests.recorder import Recorder


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Give twelve runs in the tracker that every address opens."""
    tracker = twelve_runs()
    monkeypatch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
    return tracker


@pytest.fixture
def path() -> Path:
    """Give the place of the ledger."""
    return Ledger.of(load_settings(), print).path


def test_without_a_ledger_nothing_is_known_to_have_failed(tracker: Recorder, path: Path) -> None:
    assert backfill("memory:", reprocess="failed").n_found == 0
    assert backfill("memory:", reprocess="failed", dry_run=True).n_found == 0
    path.write_bytes(b"garbage" * 999)
    told: list[str] = []
    dry = backfill("memory:", reprocess="failed", dry_run=True, on_note=told.append)
    assert dry.n_found == 0
    assert len(told) == 1
    assert "write" not in tracker.calls


def remove(path: Path) -> None:
    # the pass may put a new one there at any time
    shutil.rmtree(path.parent, ignore_errors=True)


def overwrite(path: Path) -> None:
    path.write_bytes(b"not a database" * 2_000)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5_000])


def replace(path: Path) -> None:
    (new := path.with_name("new")).write_bytes(b"not a database" * 2_000)
    new.replace(path)


def wall_off(path: Path) -> None:
    while not path.parent.is_file():
        remove(path)
        with contextlib.suppress(IsADirectoryError):
            path.parent.write_text("")


@pytest.mark.parametrize(("jobs", "interval"), [(1, 60), (3, 0.001)])
@pytest.mark.parametrize("fate", [remove, overwrite, cut, replace, wall_off])
def test_whatever_becomes_of_the_ledger_in_mid_pass_each_run_is_written_once(
    tracker: Recorder,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fate: Callable[[Path], None],
    jobs: int,
    interval: float,
) -> None:
    monkeypatch.setattr(recording_module, "INTERVAL", interval)
    told: list[str] = []
    fates = iter([fate])

    def strike(ref: RunRef) -> None:
        if tracker.calls.count("write") >= N // 2:
            next(fates, str)(path)
        refuse("r00")(ref)

    tracker.before_write = strike
    report = backfill("memory:", jobs=jobs, on_note=told.append)
    assert report.counts == {"scored": N - 1, "failed": 1}
    assert len(told) <= 2
    if interval == 60:
        assert bool(told) == (fate is not remove)
    if fate is not wall_off:
        assert [(each.state, each.scored) for each in status().passes] == [("done", N - 1)]
        assert [each.run for each in status().failures] == ["r00"]
    else:
        path.parent.unlink()
    tracker.before_write = refuse()
    assert backfill("memory:").counts == {"unchanged": N - 1, "scored": 1}
    assert n_writes(tracker) == {1}


def test_a_ledger_that_another_process_keeps_locked_is_done_without(
    tracker: Recorder,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(ledger_module, "PATIENCE", 0.01)
    monkeypatch.setattr(recording_module, "INTERVAL", 0.01)
    backfill("memory:", query=Query(limit=1))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert backfill("memory:").counts == {"scored": N - 1, "unchanged": 1}
    assert n_writes(tracker) == {1}
    (line,) = [each for each in caplog.records if each.name == "dqi_tracking"]
    assert line.levelno == logging.WARNING
    assert "locked" in line.getMessage()


def test_what_could_not_be_written_comes_with_the_next_second(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope, ledger = Scope("store"), Ledger(path.parent, lambda line: None)
    with recorded(Recording(ledger, scope, "a:", Event()), Event()) as recording:
        for run_id in "xyz":
            recording.add(failed(run_id))
    recording = Recording(ledger, scope, "a:", Event())

    def locked(work: object) -> None:
        # runs go on meanwhile
        recording.add(Outcome(RunRef("b"), "scored"))
        for run_id in "cy":
            recording.add(failed(run_id))
        raise Unusable("database is locked")

    with recorded(recording, Event()):
        for run_id in "ab":
            recording.add(failed(run_id))
        for run_id in "xy":
            recording.add(Outcome(RunRef(run_id), "scored"))
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "write", locked)
            recording._write()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT run, attempts FROM failures ORDER BY run").fetchall()
    assert dict(kept) == {"a": 1, "c": 1, "y": 2, "z": 1}


def test_a_clock_set_back_changes_neither_order_nor_lease_nor_failures(path: Path) -> None:
    ledger, scope = Ledger(path.parent, print), Scope("store")
    for hours in (0, -1, -24 * 400, -2):

        def clock(hours: int = hours) -> Moment:
            at = now()
            return at._replace(wall=at.wall + hours * 3_600_000)

        stop = Event()
        with recorded(Recording(ledger, scope, f"mlflow:{hours}", stop, clock), stop) as recording:
            recording.add(failed("a"))
    found = status_of(ledger, scope, now())
    assert [each.address for each in found.passes] == [
        f"mlflow:{hours}" for hours in (-2, -24 * 400, -1, 0)
    ]
    assert all(each.state == "done" and 0 <= each.seconds < 60 for each in found.passes)
    assert found.failures[0].attempts == 4


def test_no_secret_gets_into_the_ledger(
    tracker: Recorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:hunter2@host/db?password=hunter2")

    def leak(ref: RunRef) -> None:
        raise RuntimeError("http://user:hunter2@host/api?token=hunter2")

    tracker.before_write = leak
    assert backfill("mlflow:e").counts == {"failed": N}
    # a tracker may tell what the pipeline did not word
    url = "http://user:hunter2@host"
    scope, stop = Scope(scope_of("mlflow:", load_settings()).store), Event()
    recording = Recording(Ledger(path.parent, print), scope, url, stop)

    def broken_pass() -> None:
        with recorded(recording, stop):
            recording.add(Outcome(RunRef("a"), "failed", reason=url, fix=url))
            raise RuntimeError(url)

    with pytest.raises(RuntimeError):
        broken_pass()
    content = path.read_bytes()
    assert b"hunter2" not in content
    assert b"postgresql://host/db" in content
