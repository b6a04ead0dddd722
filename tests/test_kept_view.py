"""Trackers without saved views: what they return when they are asked to keep one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dqi_tracking import backfill, open_tracker
from dqi_tracking.trackers.base import Tracker
from dqi_tracking.trackers.keeping import kept_view
from dqi_tracking.trackers.memory import MemoryTracker


@pytest.fixture(params=["memory", "curves", "offline"])
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Tracker:
    if request.param == "memory":
        return MemoryTracker()
    (tmp_path / "curves.csv").write_text("step,loss\n0,1.0\n1,0.5\n2,0.25\n")
    return open_tracker(str(tmp_path / "curves.csv" if request.param == "curves" else tmp_path))


def test_one_without_views_keeps_none_and_returns_what_it_has(tracker: Tracker) -> None:
    assert not tracker.keeps_view
    assert kept_view(tracker) is None
    assert tracker.save_view() == tracker.view()
    tracker.drop_view()


def test_a_backfill_there_has_no_view_to_tell_of(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = MemoryTracker()
    tracker.add("r", loss=((step, 1 / (step + 1)) for step in range(30)))
    monkeypatch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
    report = backfill("memory:")
    assert (report.counts, report.view) == ({"scored": 1}, None)
