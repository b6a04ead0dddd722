"""What the page over many runs is made of: one listing, at most twenty histories."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import pytest

from dqi_tracking import backfill
from dqi_tracking.backfill.failures import Failure
from dqi_tracking.errors import ConfigError, MalformedHistory, WriteRejected
from dqi_tracking.pipeline import ScoringOptions, begin, process
from dqi_tracking.report.experiment import Experiment
from dqi_tracking.reporting import experiment_at, experiment_of, report
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import RunRef, Stamp
from tests.recorder import Recorder, curve, raising
from tests.tracker_harness.base import Harness

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]


def no_failure(ref: RunRef) -> None:
    return None


def scored(n: int) -> Recorder:
    tracker = Recorder()
    for number in range(n):
        tracker.add(f"id-{number:02}", name=f"run {number}", started=number, loss=curve(number))
    list(process(tracker, list(tracker.find(Query())), begin(ScoringOptions(), files=False)))
    tracker.calls.clear()
    tracker.was_read.clear()
    return tracker


def gathered(
    tracker: Recorder, failure_of: Callable[[RunRef], Failure | None] = no_failure
) -> Experiment:
    return experiment_of(tracker, "memory:", failure_of)


def dqi_of(tracker: Recorder) -> dict[str, float]:
    return {run_id: run.stamp.metrics["dqi"] for run_id, run in tracker.runs.items() if run.stamp}


def test_only_the_ten_highest_and_the_ten_lowest_are_read_from_one_listing() -> None:
    tracker = scored(27)
    found = gathered(tracker)
    by_dqi = sorted(dqi_of(tracker), key=dqi_of(tracker).__getitem__)
    assert [drawn.run.ref.run_id for drawn in found.lowest] == by_dqi[:10]
    assert [drawn.run.ref.run_id for drawn in found.highest] == by_dqi[::-1][:10]
    assert all(drawn.history is not None for drawn in (*found.highest, *found.lowest))
    assert sorted(tracker.was_read) == sorted({*by_dqi[:10], *by_dqi[-10:]})
    assert tracker.calls.count("end of list") == 1
    assert (len(found.scored), found.n_runs) == (27, 27)


@pytest.mark.parametrize("n", [1, 20])
def test_a_few_runs_are_all_drawn_and_each_once(n: int) -> None:
    found = gathered(scored(n))
    assert (len(found.highest), list(found.lowest)) == (n, [])


def test_a_dqi_that_is_no_number_in_its_range_is_no_extreme() -> None:
    tracker = scored(3)
    for run_id, value in (("id-00", math.nan), ("id-01", 1e300)):
        stamp = tracker.runs[run_id].stamp
        assert stamp is not None
        tracker.runs[run_id].stamp = Stamp({**stamp.metrics, "dqi": value}, stamp.facts, 0)
    found = gathered(tracker)
    assert [drawn.run.ref.run_id for drawn in found.highest] == ["id-02"]
    assert len(found.scored) == 3


def test_each_run_without_a_score_has_a_reason_and_what_to_do() -> None:
    tracker = scored(2)
    tracker.add("none", accuracy=curve(1))
    tracker.add("new", loss=curve(1))
    tracker.add("newer", loss=curve(1))
    tracker.add("going", loss=curve(1), status="RUNNING")
    tracker.add("killed", loss=curve(1), status="KILLED")
    # a write that died: metrics, and no commit mark
    tracker.add("half", loss=curve(1)).stamp = Stamp({"dqi": 0.9}, {"status": "ok"}, 1)
    tracker.add("failed-run", loss=curve(1))
    failures = {
        "failed-run": Failure("no room for failed-run", "free space"),
        "id-00": Failure("no room", "free space"),
    }
    found = gathered(tracker, lambda ref: failures.get(ref.run_id))
    told = {each.reason: (each.runs, each.fix) for each in found.unscored}
    assert told == {
        "not scored yet": (2, "dqi backfill memory:"),
        "no loss and no gradient norm was logged under a known name": (
            1,
            "name the metric with --loss-key or --grad-norm-key",
        ),
        "not ended yet (RUNNING)": (1, "dqi backfill memory: --include-running"),
        "ended as KILLED": (1, "dqi backfill memory: --include-failed"),
        "the last write was not finished": (1, "dqi backfill memory:"),
        "failed: no room for …": (1, "free space"),
    }
    assert found.unscored[0].reason == "not scored yet"
    assert [run.ref.run_id for run in found.unscored[0].examples] == ["new", "newer"]
    assert (found.failed_since, found.n_runs) == (1, 9)


def test_a_run_that_cannot_be_read_keeps_its_place_and_says_why() -> None:
    tracker = scored(5)
    tracker.before_read = raising(MalformedHistory("the history is torn", fix="log it"), "id-03")
    found = gathered(tracker)
    problems = {drawn.run.ref.run_id: drawn.problem for drawn in found.highest}
    assert problems == {f"id-{n:02}": "the history is torn" if n == 3 else "" for n in range(5)}
    assert sum(drawn.history is None for drawn in found.highest) == 1


def test_a_defect_met_on_one_run_does_not_cost_the_page() -> None:
    tracker = scored(3)
    tracker.before_read = raising(RuntimeError(), "id-01")
    problems = {drawn.run.ref.run_id: drawn.problem for drawn in gathered(tracker).highest}
    assert problems == {"id-00": "", "id-01": "RuntimeError", "id-02": ""}


def test_failures_are_those_that_the_backfills_of_this_machine_met(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker = Recorder()
    for name in ("good", "refused"):
        tracker.add(name, loss=curve(1))
    tracker.before_write = raising(WriteRejected("the disk is full", fix="free it"), "refused")
    for module in ("trackers", "reporting"):
        monkeypatch.setattr(f"dqi_tracking.{module}.open_tracker", lambda *_, **__: tracker)
    backfill("memory:")
    found = experiment_at("memory:")
    assert [(each.reason, each.fix, each.runs) for each in found.unscored] == [
        ("failed: the disk is full", "free it", 1)
    ]
    tracker.before_write = lambda ref: None
    backfill("memory:")
    assert not experiment_at("memory:").unscored
    assert tracker.calls.count("close") == 4


def test_scripts_that_are_asked_for_need_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    from dqi_tracking.report import interactive

    monkeypatch.setattr("dqi_tracking.reporting.open_tracker", lambda *_, **__: scored(2))
    assert 'id="plotly"' in report("memory:", scripts=True)
    interactive._scripts.cache_clear()
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    assert "<script" not in report("memory:")
    with pytest.raises(ConfigError, match="plotly is not installed") as caught:
        report("memory:", scripts=True)
    assert "[html]" in caught.value.fix


def test_every_store_gives_a_page_with_curves_and_links(harness: Harness) -> None:
    for number in range(3):
        harness.add(f"run-{number}", {"loss": [(int(step), loss) for step, loss in curve(number)]})
    harness.add("none", {"accuracy": [(0, 0.5)]})
    harness.backfill()
    found = experiment_at(harness.address, settings=harness.settings())
    with harness.opened() as tracker:
        pages = {ref.run_id: tracker.view(ref).url for ref in tracker.find(Query())}
    assert all(drawn.history is not None for drawn in found.highest)
    assert {drawn.run.ref.run_id: drawn.run.url for drawn in found.highest}.items() <= pages.items()
    assert (len(found.highest), len(found.scored), found.n_runs) == (3, 3, 4)
