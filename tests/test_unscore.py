"""Taking scores off again: what goes, what stays, and that the runs can be scored anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import Outcome, Query, Report, backfill, open_tracker, unscore
from dqi_tracking.backfill.executor import PATIENCE
from dqi_tracking.config import Settings
from dqi_tracking.errors import (
    ConfigError,
    RunNotFound,
    TransientTrackerError,
    WriteRejected,
)
from dqi_tracking.ranking import rank_runs
from dqi_tracking.trackers.memory import MemoryTracker
from dqi_tracking.types import RunRef, Stamp
from tests.recorder import Hook, Recorder, curve, raising
from tests.strategies import FEW

STATUSES = ("FINISHED", "FAILED", "KILLED", "RUNNING", "SCHEDULED")
STAMP = Stamp({"dqi": 0.5}, {"status": "ok", "fingerprint": "f"}, 1_000)
ALONE = Stamp({"dqi": 0.5}, {}, 1_000)


class Eraser(Recorder):
    """Also notes what is erased; `before_erase` is called with the run, and may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.before_erase: Hook = lambda ref: None

    def erase(self, ref: RunRef) -> str:
        self.before_erase(ref)
        self.calls.append("erase")
        return super().erase(ref)


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Eraser:
    """Give fifty scored runs of every status in the tracker that every address opens."""
    tracker = Eraser()
    for number in range(50):
        run = tracker.add(f"r{number:02}", status=STATUSES[number % 5], loss=curve(number))
        run.stamp, run.files = STAMP, {"phases.json": b"{}"}
    for module in ("trackers", "unscoring"):
        monkeypatch.setattr(f"dqi_tracking.{module}.open_tracker", lambda *_, **__: tracker)
    return tracker


def told(**given: object) -> tuple[Report, dict[str, Outcome]]:
    """Unscore, and return the report with the outcome of each run."""
    outcomes: list[Outcome] = []
    report = unscore("memory:", on_outcome=outcomes.append, **given)
    by_run = {outcome.ref.run_id: outcome for outcome in outcomes}
    assert len(by_run) == len(outcomes), "a run came twice"
    return report, by_run


def scored(tracker: MemoryTracker) -> set[str]:
    return {run_id for run_id, run in tracker.runs.items() if run.stamp or run.files}


def test_runs_of_any_status_are_as_if_never_scored(tracker: Eraser) -> None:
    report, outcomes = told()
    assert scored(tracker) == set()
    assert {run.status for run in tracker.runs.values()} == set(STATUSES)
    assert (report.counts, report.n_found) == ({"unscored": 50}, 50)
    assert {(each.reason, each.stamp) for each in outcomes.values()} == {("", None)}
    assert rank_runs(tracker).attrs["n_unscored"] == 10
    everything = Query(include_failed=True, include_running=True)
    assert backfill("memory:", query=everything).counts == {"scored": 50}


def test_the_listing_is_walked_to_its_end_before_the_first_is_taken_off(tracker: Eraser) -> None:
    unscore("memory:")
    assert tracker.calls == ["list"] * 50 + ["end of list"] + ["erase"] * 50 + ["close"]


def test_runs_without_facts_are_told_and_not_touched(tracker: Eraser) -> None:
    tracker.add("never", loss=curve(1))
    tracker.add("before", loss=curve(2)).stamp = ALONE
    report, outcomes = told()
    assert report.counts == {"unscored": 50, "unchanged": 2}
    assert outcomes["never"].reason == "not scored"
    assert outcomes["before"].reason == "not scored, old metrics stay"
    assert outcomes["before"].stamp == tracker.runs["before"].stamp == ALONE


def test_a_second_time_there_is_nothing_left(tracker: Eraser) -> None:
    unscore("memory:")
    tracker.calls.clear()
    assert unscore("memory:").counts == {"unchanged": 50}
    assert "erase" not in tracker.calls


def test_a_dry_run_says_which_and_takes_off_nothing(tracker: Eraser) -> None:
    tracker.add("never", loss=curve(1))
    report, outcomes = told(dry_run=True)
    assert (report.dry_run, report.counts) == (True, {"unscored": 50, "unchanged": 1})
    assert {run for run, each in outcomes.items() if each.outcome == "unscored"} == scored(tracker)
    assert "erase" not in tracker.calls


@pytest.mark.parametrize(
    ("error", "reason", "transient"),
    [
        (WriteRejected("read-only", fix="get access"), "read-only", False),
        (TransientTrackerError("it is busy", fix="wait"), "it is busy", True),
        (ValueError("http://me:pw@host"), "unexpected ValueError: http://***@host", False),
    ],
    ids=["lasting", "transient", "unexpected"],
)
def test_one_failed_run_stops_no_other_and_the_next_time_it_is_done(
    tracker: Eraser, error: Exception, reason: str, transient: bool
) -> None:
    tracker.before_erase = raising(error, on="r07")
    report, outcomes = told()
    assert (report.counts, scored(tracker)) == ({"unscored": 49, "failed": 1}, {"r07"})
    failure = outcomes["r07"]
    assert report.failures == [failure]
    assert (failure.reason, failure.transient) == (reason, transient)
    assert failure.fix
    tracker.before_erase = lambda ref: None
    assert unscore("memory:").counts == {"unscored": 1, "unchanged": 49}


def test_a_run_that_is_deleted_meanwhile_is_skipped(tracker: Eraser) -> None:
    report, outcomes = told(on_plan=lambda *_: tracker.runs.pop("r07"))
    assert report.counts == {"unscored": 49, "skipped": 1}
    assert (outcomes["r07"].outcome, outcomes["r07"].reason) == ("skipped", "no run `r07`")


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_stop_finishes_the_runs_at_work_and_the_next_time_the_rest_is_done(
    tracker: Eraser, jobs: int
) -> None:
    stop = threading.Event()

    def stop_at_third(ref: RunRef) -> None:
        if tracker.calls.count("erase") >= 2:
            stop.set()

    tracker.before_erase = stop_at_third
    report, _ = told(stop=stop, settings=Settings(jobs=jobs))
    n_left = len(scored(tracker))
    assert report.stopped
    assert 3 <= 50 - n_left <= 2 + 2 * jobs
    assert (report.counts, report.n_left) == ({"unscored": 50 - n_left}, n_left)
    tracker.before_erase = lambda ref: None
    assert unscore("memory:").counts == {"unscored": n_left, "unchanged": 50 - n_left}


def test_a_tracker_that_is_down_ends_the_pass(tracker: Eraser) -> None:
    def refuse(ref: RunRef) -> None:
        raise TransientTrackerError("connection refused", fix="check that it is up")

    tracker.before_erase = refuse
    seen: list[Outcome] = []
    with pytest.raises(TransientTrackerError, match="connection refused") as caught:
        unscore("memory:", on_outcome=seen.append)
    assert (len(seen), caught.value.fix) == (PATIENCE, "check that it is up")
    assert tracker.calls[-1] == "close"


def test_the_plan_is_told_and_no_jobs_are_refused_before_anything_is_listed(
    tracker: Eraser,
) -> None:
    tracker.add("never", loss=curve(1))
    planned: list[tuple[int, int]] = []
    unscore("memory:", on_plan=lambda *numbers: planned.append(numbers))
    assert planned == [(51, 50)]
    tracker.calls.clear()
    with pytest.raises(ConfigError, match="0 jobs"):
        unscore("memory:", settings=Settings(jobs=0))
    assert tracker.calls == []


@FEW
@given(st.lists(st.sampled_from((None, STAMP, ALONE)), max_size=30), st.data())
def test_however_often_it_is_broken_off_it_ends_with_every_fact_gone(
    stamps: list[Stamp | None], data: st.DataObject
) -> None:
    tracker = Eraser()
    for number, stamp in enumerate(stamps):
        tracker.add(str(number), status=STATUSES[number % 5], loss=curve(1)).stamp = stamp
    n_scored = stamps.count(STAMP)
    n_done = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dqi_tracking.unscoring.open_tracker", lambda *_, **__: tracker)
        while n_done < n_scored:
            refused = data.draw(st.sets(st.integers(0, 29), max_size=3))
            fails: Iterator[bool] = iter([n in refused for n in range(30)])

            def refuse(ref: RunRef, fails: Iterator[bool] = fails) -> None:
                if next(fails):
                    raise WriteRejected("read-only", fix="get access")

            tracker.before_erase = refuse
            report = unscore("memory:")
            assert report.n_found == sum(report.counts.values()) == len(stamps)
            assert report.counts["unscored"] + report.counts["failed"] == n_scored - n_done
            n_done += report.counts["unscored"]
        assert unscore("memory:").counts["unchanged"] == len(stamps)
    kept = [run.stamp for run in tracker.runs.values()]
    assert kept == [ALONE if stamp is ALONE else None for stamp in stamps]


def test_the_tracker_in_memory_forgets_stamp_and_files_and_knows_a_run_that_is_gone() -> None:
    tracker = MemoryTracker()
    run = tracker.add("r", loss=curve(1))
    (ref,) = tracker.find(Query())
    tracker.write(ref, STAMP, {"phases.json": b"{}"})
    assert tracker.erase(ref) == ""
    assert (run.stamp, run.files, len(run.metrics["loss"])) == (None, {}, 30)
    del tracker.runs["r"]
    with pytest.raises(RunNotFound) as refusal:
        tracker.erase(ref)
    assert refusal.value.run == "r"


def test_a_curve_file_has_no_scores_to_take_off(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("step,loss\n0,3\n1,2\n2,1\n")
    tracker = open_tracker(str(path))
    (ref,) = tracker.find(Query())
    with pytest.raises(WriteRejected, match="holds no scores") as refusal:
        tracker.erase(ref)
    assert refusal.value.fix
    assert unscore(str(path)).counts == {"unchanged": 1}
    assert path.read_text() == "step,loss\n0,3\n1,2\n2,1\n"
