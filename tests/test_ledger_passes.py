"""What a pass leaves in the ledger, and what the next one makes of it."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from pathlib import Path
from threading import Event

import pytest

from dqi_tracking import Query, backfill
from dqi_tracking.backfill import recording as recording_module
from dqi_tracking.backfill.lease import now
from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.backfill.recording import FORGET_AFTER, Recording, recorded
from dqi_tracking.backfill.scope import Scope, scope_of
from dqi_tracking.backfill.status import status_of
from dqi_tracking.config import load_settings
from dqi_tracking.errors import ConfigError, TransientTrackerError
from dqi_tracking.types import Outcome, RunRef
from tests.ledger_runs import ALL, N, failed, n_writes, refuse, status, twelve_runs
from tests.recorder import Recorder, curve


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


def test_a_pass_is_kept_with_its_counts_and_how_it_ended(tracker: Recorder) -> None:
    tracker.add("none", started=99, accuracy=curve(1))
    tracker.before_write = refuse("r03")
    backfill("memory:")
    backfill("memory:", query=Query(limit=2))
    last, first = status().passes
    assert (first.state, first.n_found, first.scored, first.skipped) == ("done", N + 1, N - 1, 1)
    assert (first.failed, first.unchanged) == (1, 0)
    assert (last.n_found, last.unchanged, last.skipped) == (2, 1, 1)
    assert first.address == "memory:"
    assert math.isnan(first.age)
    assert 0 < first.seconds < 60
    assert first.started <= last.started <= now().wall


def test_only_what_failed_has_a_row_of_its_own(tracker: Recorder, path: Path) -> None:
    tracker.before_write = refuse("r03", "r07")
    backfill("memory:")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT run FROM failures").fetchall() == [("r03",), ("r07",)]
        assert connection.execute("SELECT COUNT(*) FROM passes").fetchone() == (1,)


def test_attempts_are_counted_until_the_run_is_scored(tracker: Recorder) -> None:
    tracker.before_write = refuse("r03", "r07")
    for attempts in (1, 2, 3):
        backfill("memory:")
        (failures,) = status().failures
        assert (failures.runs, failures.attempts) == (2, attempts)
    assert (failures.reason, failures.fix) == ("the disk is full", "free space")
    assert failures.run in ("r03", "r07")
    assert failures.first <= failures.last
    tracker.before_write = refuse("r07")
    backfill("memory:")
    assert [(each.runs, each.attempts, each.run) for each in status().failures] == [(1, 4, "r07")]
    tracker.before_write = refuse()
    backfill("memory:")
    assert status().failures == []
    tracker.before_write = refuse("r07")
    backfill("memory:", reprocess="all")
    assert status().failures[0].attempts == 1


def test_a_run_that_is_found_scored_or_without_a_loss_no_longer_counts_as_failed(
    tracker: Recorder, path: Path
) -> None:
    tracker.before_write = refuse("r03", "r07")
    backfill("memory:")
    # another machine scores one of them
    kept = path.rename(path.with_name("kept"))
    tracker.before_write = refuse("r07")
    backfill("memory:")
    kept.replace(path)
    tracker.runs["r07"].metrics = {"accuracy": curve(1)}
    backfill("memory:")
    assert status().failures == []


def test_failed_are_tried_again_and_no_others(tracker: Recorder) -> None:
    tracker.before_write = refuse("r03", "r07", "r11")
    backfill("memory:", files=False)
    tracker.add("new", started=100, loss=curve(100))
    del tracker.runs["r11"]
    tracker.before_write = refuse("r07")
    tracker.was_read.clear()
    dry = backfill("memory:", reprocess="failed", dry_run=True)
    assert (dry.n_found, dry.counts) == (2, {"scored": 2})
    assert backfill("memory:", reprocess="failed", query=Query(limit=1)).counts == {"failed": 1}
    assert backfill("memory:", reprocess="failed").counts == {"scored": 1, "failed": 1}
    assert set(tracker.was_read) == {"r03", "r07"}
    assert tracker.runs["new"].n_writes == 0
    tracker.before_write = refuse()
    assert backfill("memory:", reprocess="failed").counts == {"scored": 1}
    assert backfill("memory:", reprocess="failed").counts == {}
    assert backfill("memory:").counts == {"unchanged": N - 1, "scored": 1}
    assert n_writes(tracker) == {1}


def test_a_dry_run_leaves_no_trace_and_asks_for_no_lease(tracker: Recorder, path: Path) -> None:
    backfill("memory:", dry_run=True)
    assert not path.parent.exists()
    held = Recording(Ledger(path.parent, print), scope_of("memory:", load_settings()), "", Event())
    with recorded(held, Event()):
        assert backfill("memory:", dry_run=True).counts == {"scored": N}


def test_a_pass_that_ends_before_its_time_says_how(tracker: Recorder) -> None:
    def interrupt(ref: RunRef) -> None:
        raise KeyboardInterrupt

    stop = Event()
    tracker.before_write = lambda ref: stop.set()
    backfill("memory:", stop=stop)
    tracker.before_write = refuse(*ALL, error=TransientTrackerError)
    with pytest.raises(TransientTrackerError):
        backfill("memory:")
    tracker.before_write = interrupt
    with pytest.raises(KeyboardInterrupt):
        backfill("memory:")
    assert [each.state for each in status().passes] == ["stopped", "failed", "stopped"]
    assert "in a row failed" in status().passes[1].reason


def test_an_address_that_cannot_be_meant_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError):
        backfill("memory:")
    assert status().passes == []


def test_old_passes_and_failures_that_nobody_met_again_are_forgotten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "MAX_PASSES", 3)
    monkeypatch.setattr(recording_module, "MAX_FAILURES", 2)
    ledger, scope, stop = Ledger(path.parent, print), Scope("store"), Event()
    with recorded(Recording(ledger, scope, "a:", stop), stop) as recording:
        for run_id in "abc":
            recording.add(failed(run_id))
    assert status_of(ledger, scope, now()).failures[0].runs == 2
    later = now()._replace(wall=now().wall + FORGET_AFTER + 1_000)
    for _ in range(5):
        with recorded(Recording(ledger, scope, "a:", stop, lambda: later), stop):
            pass
    assert len(status_of(ledger, scope, now()).passes) == 3
    assert status_of(ledger, scope, now()).failures == []


def test_a_hundred_thousand_scored_runs_cost_the_ledger_nothing(path: Path) -> None:
    ledger, stop = Ledger(path.parent, print), Event()
    outcome = Outcome(RunRef("a"), "scored")
    with recorded(Recording(ledger, Scope("store"), "a:", stop), stop) as recording:
        size = path.stat().st_size
        for _ in range(100_000):
            recording.add(outcome)
    assert path.stat().st_size == size
    assert status_of(ledger, Scope("store"), now()).passes[0].scored == 100_000
