"""The backfill: its plan, its executor and its report, on the tracker in memory."""

from __future__ import annotations

import math
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import Report, backfill
from dqi_tracking.backfill.executor import PATIENCE, execute
from dqi_tracking.backfill.plan import make_plan
from dqi_tracking.backfill.report import MAX_FAILURES
from dqi_tracking.errors import ConfigError, TransientTrackerError, WriteRejected
from dqi_tracking.pipeline import ScoringOptions, begin
from dqi_tracking.trackers.base import Query
from dqi_tracking.trackers.memory import MemoryTracker
from dqi_tracking.types import Outcome, RunRef
from tests.recorder import Recorder, curve
from tests.strategies import FEW


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Give a hundred runs in the tracker that every address opens."""
    tracker = Recorder()
    for number in range(100):
        tracker.add(f"r{number:02}", started=number, ended=number, loss=curve(number))
    monkeypatch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
    return tracker


def scores(tracker: MemoryTracker) -> dict[str, str | None]:
    # as text: a NaN that comes from another process is not the same object, so not equal
    return {
        run_id: run.stamp and f"{run.stamp.metrics} {run.stamp.facts['fingerprint']}"
        for run_id, run in tracker.runs.items()
    }


def execute_all(tracker: MemoryTracker, jobs: int) -> list[Outcome]:
    current = begin(ScoringOptions())
    refs = list(tracker.find(Query()))
    return list(execute(tracker, refs, current, jobs=jobs, stop=threading.Event()))


def test_the_listing_is_walked_to_its_end_before_the_first_write(tracker: Recorder) -> None:
    backfill("memory:")
    assert tracker.calls == ["list"] * 100 + ["end of list"] + ["write"] * 100 + ["close"]


def test_the_plan_tells_runs_to_read_from_those_known_from_the_listing() -> None:
    tracker = MemoryTracker()
    tracker.add("done", loss=curve(1))
    current = begin(ScoringOptions())
    assert [each.outcome for each in execute_all(tracker, jobs=1)] == ["scored"]
    tracker.add("new", started=1, loss=curve(2))
    tracker.add("none", started=2, accuracy=curve(3))
    tracker.add("failed", started=3, status="FAILED", loss=curve(4))
    known: list[Outcome] = []
    assert [ref.run_id for ref in make_plan(tracker, Query(), current, known.append)] == ["new"]
    found = {each.ref.run_id: each.outcome for each in known}
    assert found == {"none": "skipped", "done": "unchanged"}
    wider = make_plan(tracker, Query(include_failed=True), current, known.append)
    assert [ref.run_id for ref in wider] == ["failed", "new"]
    verifying = make_plan(tracker, Query(), current._replace(verify=True), known.append)
    assert [ref.run_id for ref in verifying] == ["new", "done"]


def test_any_number_of_jobs_leaves_the_same_behind(tracker: Recorder) -> None:
    assert Counter(each.outcome for each in execute_all(tracker, jobs=1)) == {"scored": 100}
    one = scores(tracker)
    for run in tracker.runs.values():
        run.stamp = None
    done = execute_all(tracker, jobs=4)
    assert sorted(each.ref.run_id for each in done) == sorted(tracker.runs)
    assert scores(tracker) == one
    assert {run.n_writes for run in tracker.runs.values()} == {2}


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_stop_finishes_the_runs_at_work_and_begins_no_others(
    tracker: Recorder, jobs: int
) -> None:
    stop = threading.Event()

    def stop_at_third(ref: RunRef) -> None:
        if tracker.calls.count("write") >= 2:
            stop.set()

    tracker.before_write = stop_at_third
    report = backfill("memory:", jobs=jobs, stop=stop)
    written = [run for run in tracker.runs.values() if run.stamp]
    assert report.stopped
    # each thread may be at work on a run when the third is written, and on the one before
    assert 3 <= len(written) <= 2 + 2 * jobs
    assert report.counts == {"scored": len(written)}
    assert report.n_left == 100 - len(written)
    tracker.before_write = lambda ref: None
    assert backfill("memory:").counts == {"scored": report.n_left, "unchanged": len(written)}
    assert {run.n_writes for run in tracker.runs.values()} == {1}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("jobs", [1, 4])
def test_a_tracker_that_is_down_ends_the_pass_and_the_next_one_goes_on(
    tracker: Recorder, jobs: int
) -> None:
    def refuse(ref: RunRef) -> None:
        if tracker.calls.count("write") >= 20:
            raise TransientTrackerError("connection refused", fix="check that it is up")

    tracker.before_write = refuse
    seen: list[Outcome] = []
    with pytest.raises(TransientTrackerError, match="connection refused") as caught:
        backfill("memory:", jobs=jobs, on_outcome=seen.append)
    assert f"{PATIENCE} runs in a row" in caught.value.message
    assert caught.value.fix == "check that it is up"
    # the runs at work end and are told, no others are begun
    assert {each.ref.run_id for each in seen if each.outcome == "scored"} == {
        run_id for run_id, run in tracker.runs.items() if run.stamp
    }
    assert PATIENCE <= sum(each.transient for each in seen) <= jobs * MemoryTracker.batch
    assert tracker.calls[-1] == "close"
    tracker.before_write = lambda ref: None
    assert backfill("memory:").counts == {"scored": 80, "unchanged": 20}


def test_failures_that_pass_by_themselves_only_count_in_a_row(tracker: Recorder) -> None:
    def refuse(ref: RunRef) -> None:
        if int(ref.run_id[1:]) % PATIENCE:
            raise TransientTrackerError("busy", fix="wait")

    tracker.before_write = refuse
    report = backfill("memory:", jobs=1)
    assert report.counts == {"failed": 80, "scored": 20}


def test_lasting_failures_never_end_the_pass(tracker: Recorder) -> None:
    def refuse(ref: RunRef) -> None:
        if ref.run_id != "r00":
            raise WriteRejected(f"no place for {ref.run_id}", fix="free space", run=ref.run_id)

    tracker.before_write = refuse
    report = backfill("memory:")
    assert report.counts == {"failed": 99, "scored": 1}
    assert {each.ref.run_id for each in report.failures} == set(tracker.runs) - {"r00"}
    assert report.reasons["failed", "no place for r07"] == 1
    assert report.n_left == 0


def test_the_report_says_what_was_done_and_why_not(tracker: Recorder) -> None:
    tracker.add("flat", loss=[(step, 1.0) for step in range(9)])
    tracker.add("nan", loss=[*curve(1), (99, math.nan)])
    tracker.add("none", accuracy=curve(1))
    planned: list[tuple[int, int]] = []
    report = backfill("memory:", on_plan=lambda *numbers: planned.append(numbers))
    assert planned == [(103, 102)]
    assert report.counts == {"scored": 102, "skipped": 1}
    skipped = "no loss and no gradient norm was logged under a known name"
    assert report.reasons == {
        ("scored", ""): 100,
        ("scored", "status flat"): 1,
        ("scored", "status nan"): 1,
        ("skipped", skipped): 1,
    }
    assert (report.failures, report.stopped, report.dry_run) == ([], False, False)
    assert report.seconds > 0


def test_only_the_first_thousand_failures_are_kept() -> None:
    report = Report()
    for number in range(MAX_FAILURES + 5):
        report.add(Outcome(RunRef(str(number)), "failed", reason="full", fix="free space"))
    assert len(report.failures) == MAX_FAILURES
    assert report.counts["failed"] == report.reasons["failed", "full"] == MAX_FAILURES + 5


def test_a_dry_run_scores_and_writes_nothing(tracker: Recorder) -> None:
    report = backfill("memory:", dry_run=True)
    assert (report.dry_run, report.counts) == (True, {"scored": 100})
    assert "write" not in tracker.calls


def test_everything_may_be_processed_again_and_the_query_narrows_it(tracker: Recorder) -> None:
    backfill("memory:", files=False)
    newest = Query(limit=2, since=10)
    assert backfill("memory:", query=newest, reprocess="all").counts == {"scored": 2}
    again = [run_id for run_id, run in tracker.runs.items() if run.n_writes == 2]
    assert again == ["r98", "r99"]
    assert [bool(tracker.runs[run_id].files) for run_id in ("r97", "r98")] == [False, True]
    tracker.runs["r05"].metrics["loss"][3] = (3, 7.0)
    assert backfill("memory:", verify=True).counts == {"unchanged": 99, "scored": 1}


def test_options_that_cannot_be_meant_are_refused_before_anything_is_listed(
    tracker: Recorder,
) -> None:
    for given_wrong in ({"jobs": 0}, {"reprocess": "some"}):
        with pytest.raises(ConfigError):
            backfill("memory:", **given_wrong)
    assert tracker.calls == []


KINDS = st.sampled_from(("good", "nan", "flat", "short", "empty", "none", "broken", "refused"))


@FEW
@given(st.lists(KINDS, max_size=40), st.sampled_from((1, 3)))
def test_for_any_mix_of_runs_the_counts_add_up_and_a_second_pass_writes_nothing(
    kinds: list[str], jobs: int
) -> None:
    tracker = Recorder()
    metrics = {
        "good": {"loss": curve(1)},
        "nan": {"loss": [(0, 1.0), (1, math.nan), (2, 3.0)]},
        "flat": {"loss": [(0, 1.0)] * 5},
        "short": {"loss": [(0, 1.0)]},
        "empty": {"loss": []},
        "none": {"accuracy": curve(1)},
        "broken": {"loss": [(math.inf, 1.0)]},
        "refused": {"grad_norm": curve(2)},
    }
    for number, kind in enumerate(kinds):
        tracker.add(f"{kind}-{number}", **metrics[kind])

    def refuse(ref: RunRef) -> None:
        if ref.run_id.startswith("refused"):
            raise WriteRejected("read-only", fix="get access")

    tracker.before_write = refuse
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
        first, second = (backfill("memory:", jobs=jobs) for _ in range(2))
    n = Counter(kinds)
    expected = {
        "scored": n["good"] + n["nan"] + n["flat"] + n["short"],
        "skipped": n["empty"] + n["none"],
        "failed": n["broken"] + n["refused"],
    }
    assert first.counts == Counter(expected)
    assert sum(first.reasons.values()) == first.n_found == len(kinds)
    assert len(first.failures) == expected["failed"]
    assert second.counts == Counter({**expected, "scored": 0, "unchanged": expected["scored"]})
    assert first.n_left == second.n_left == 0
    assert tracker.calls.count("write") == expected["scored"]
