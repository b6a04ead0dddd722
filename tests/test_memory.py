"""The tracker in memory keeps the protocol that users' own tests rely on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dqi_tracking.config import Settings
from dqi_tracking.errors import ConfigError, MissingMetric, RunNotFound
from dqi_tracking.trackers.base import Query, View
from dqi_tracking.trackers.memory import MemoryTracker
from dqi_tracking.types import Stamp

STAMP = Stamp({"dqi": 0.5}, {"fingerprint": "a-b"}, 7)


def ids(tracker: MemoryTracker, **query: object) -> list[str]:
    return [ref.run_id for ref in tracker.find(Query(**query))]


@pytest.fixture
def tracker() -> MemoryTracker:
    """Give one run of each status, started at 1 … 5 and, once it is over, ended 10 later."""
    tracker = MemoryTracker()
    for number, status in enumerate(("FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED"), 1):
        ended = 0 if status in ("RUNNING", "SCHEDULED") else number + 10
        tracker.add(status, status=status, started=number, ended=ended, loss=[(0, 1), (1, 0.5)])
    return tracker


def test_only_finished_runs_are_found_unless_others_are_asked_for(tracker: MemoryTracker) -> None:
    assert ids(tracker) == ["FINISHED"]
    assert ids(tracker, include_failed=True) == ["KILLED", "FAILED", "FINISHED"]
    assert ids(tracker, include_running=True) == ["SCHEDULED", "RUNNING", "FINISHED"]


def test_runs_are_found_newest_first_and_the_limit_keeps_the_newest(tracker: MemoryTracker) -> None:
    everything = {"include_failed": True, "include_running": True}
    assert ids(tracker, **everything) == ["SCHEDULED", "RUNNING", "KILLED", "FAILED", "FINISHED"]
    assert ids(tracker, limit=2, **everything) == ["SCHEDULED", "RUNNING"]
    assert ids(tracker, limit=0, **everything) == []


def test_since_means_the_end_of_a_run_and_the_start_of_one_that_still_runs(
    tracker: MemoryTracker,
) -> None:
    asked = {"include_failed": True, "include_running": True}
    assert ids(tracker, since=13, **asked) == ["KILLED"]
    assert ids(tracker, since=5, **asked) == ["SCHEDULED", "KILLED", "FAILED", "FINISHED"]


def test_there_is_no_filter_language(tracker: MemoryTracker) -> None:
    with pytest.raises(ConfigError, match="no filters"):
        list(tracker.find(Query("metrics.dqi > 0.3")))


def test_a_history_is_what_was_added_under_the_name_it_was_added_by() -> None:
    tracker = MemoryTracker()
    points = [(0, 3.0), (10, float("nan")), (10, 2.0), (5, 1.0)]
    tracker.add("r", **{"train/loss": points, "grad_norm": [(0, 9.0)], "accuracy": [(0, 0.1)]})
    (reading,) = tracker.read(list(tracker.find(Query())))
    history = reading.found()
    assert history.step.tolist() == [0, 10, 10, 5]
    assert np.array_equal(history.loss, [3.0, np.nan, 2.0, 1.0], equal_nan=True)
    assert history.grad_norm.tolist() == [9.0]
    assert history.grad_step.tolist() == [0]
    assert (history.loss_key, history.grad_norm_key) == ("train/loss", "grad_norm")


def test_metrics_may_be_any_iterable_and_are_read_as_often_as_wanted() -> None:
    tracker = MemoryTracker()
    tracker.add("r", loss=((step, 1.0 / (step + 1)) for step in range(5)))
    refs = list(tracker.find(Query()))
    assert [reading.found().step.size for _ in range(2) for reading in tracker.read(refs)] == [5, 5]


def test_a_run_without_a_known_metric_gives_its_error_and_the_others_are_read() -> None:
    tracker = MemoryTracker()
    tracker.add("none", accuracy=[(0, 1.0)])
    tracker.add("empty", loss=[])
    tracker.add("some", loss=[(0, 1.0)])
    gone = replace(next(tracker.find(Query())), run_id="gone")
    readings = {r.ref.run_id: r for r in tracker.read([*tracker.find(Query()), gone])}
    assert list(readings) == ["none", "empty", "some", "gone"]
    for run_id, error in (("none", MissingMetric), ("empty", MissingMetric), ("gone", RunNotFound)):
        with pytest.raises(error):
            readings[run_id].found()
    assert readings["some"].found().loss.tolist() == [1.0]


def test_a_chosen_key_beats_the_aliases() -> None:
    tracker = MemoryTracker(Settings(loss_key="mine"))
    tracker.add("r", loss=[(0, 1.0)] * 9, mine=[(0, 2.0)])
    (reading,) = tracker.read(list(tracker.find(Query())))
    assert reading.found().loss_key == "mine"


def test_settings_come_from_the_environment_and_wrong_ones_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DQI_UNITS", "metric")
    with pytest.raises(ConfigError, match="units"):
        MemoryTracker()


def test_the_listing_changes_with_any_point_and_not_without(tracker: MemoryTracker) -> None:
    before, again = (next(tracker.find(Query())) for _ in range(2))
    assert before == again
    # the same value, even at the same step, is a point all the same
    tracker.runs["FINISHED"].metrics["loss"].append((1, 0.5))
    assert next(tracker.find(Query())).latest != before.latest


def test_writing_keeps_stamp_and_files_and_counts_itself(tracker: MemoryTracker) -> None:
    ref = next(tracker.find(Query()))
    assert (ref.stamp, tracker.runs["FINISHED"].n_writes) == (None, 0)
    tracker.write(ref, STAMP, {"phases.json": b"{}"})
    tracker.write(ref, STAMP, {})
    run = tracker.runs["FINISHED"]
    assert (run.stamp, run.files, run.n_writes) == (STAMP, {"phases.json": b"{}"}, 2)
    assert next(tracker.find(Query())).stamp == STAMP
    assert (run.status, run.started, run.ended) == ("FINISHED", 1, 11)


def test_writing_on_a_run_that_is_gone_is_refused(tracker: MemoryTracker) -> None:
    ref = next(tracker.find(Query()))
    del tracker.runs["FINISHED"]
    with pytest.raises(RunNotFound) as caught:
        tracker.write(ref, STAMP, {})
    assert caught.value.run == "FINISHED"


def test_there_is_no_page_to_show_and_closing_keeps_the_runs(tracker: MemoryTracker) -> None:
    assert tracker.view() == tracker.view(next(tracker.find(Query()))) == View("", "")
    tracker.close()
    assert ids(tracker) == ["FINISHED"]
