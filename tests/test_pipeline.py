"""read → score → write of runs: what becomes of each, and what stands on it afterwards."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from dqi_tracking.config import Settings
from dqi_tracking.engine import score
from dqi_tracking.errors import (
    ConfigError,
    MissingMetric,
    ReadRejected,
    TransientTrackerError,
    WriteRejected,
)
from dqi_tracking.pipeline import ScoringOptions, begin, examine, process
from dqi_tracking.stamp import fingerprint_of, seen
from dqi_tracking.trackers.base import Query, Reading
from dqi_tracking.trackers.memory import MemoryTracker
from dqi_tracking.types import Outcome, RunRef, Stamp
from tests.recorder import Recorder, curve, raising

OPTIONS = ScoringOptions()


@pytest.fixture
def tracker() -> Recorder:
    """Give three runs with curves of their own."""
    tracker = Recorder()
    for number, run_id in enumerate("abc"):
        tracker.add(run_id, loss=curve(number))
    return tracker


def run_pass(
    tracker: MemoryTracker, options: ScoringOptions = OPTIONS, **given: bool
) -> dict[str, Outcome]:
    refs = list(tracker.find(Query(include_failed=True, include_running=True)))
    return {each.ref.run_id: each for each in process(tracker, refs, begin(options, **given))}


def outcomes(tracker: MemoryTracker, **given: object) -> dict[str, str]:
    return {run_id: each.outcome for run_id, each in run_pass(tracker, **given).items()}


def test_a_run_is_scored_and_the_score_stands_on_it(tracker: Recorder) -> None:
    outcome = run_pass(tracker)["a"]
    (ref, *_) = tracker.find(Query())
    assert (outcome.outcome, outcome.reason, outcome.fix) == ("scored", "", "")
    assert outcome.stamp == ref.stamp
    history, scored, insight, _ = examine(tracker, ref, OPTIONS)
    assert repr(outcome.score) == repr(scored)
    assert ref.stamp.metrics["dqi"] == scored.dqi == score(history).dqi > 0
    assert ref.stamp.facts["fingerprint"] == fingerprint_of(history, OPTIONS.digest)
    assert ref.stamp.facts["seen"] == seen(ref, "loss")
    assert ref.stamp.facts["state"] == insight.state.name


def test_each_kind_of_run_has_its_outcome() -> None:
    tracker = MemoryTracker()
    tracker.add("good", loss=curve(0))
    tracker.add("nan", loss=[*curve(0), (99, math.nan)])
    tracker.add("flat", loss=[(step, 2.0) for step in range(9)])
    tracker.add("short", loss=[(0, 2.0), (1, 1.0)])
    tracker.add("norm", grad_norm=curve(0))
    tracker.add("none", accuracy=curve(0))
    tracker.add("empty", loss=[])
    tracker.add("broken", loss=[(0, 1.0), (math.nan, 2.0)])
    found = run_pass(tracker)
    statuses = {run_id: each.score.status for run_id, each in found.items() if each.score}
    alike = {"good": "ok", "norm": "ok", "nan": "nan", "flat": "flat", "short": "too_short"}
    assert statuses == alike
    for run_id in ("none", "empty"):
        assert (found[run_id].outcome, found[run_id].stamp) == ("skipped", None)
        assert "no loss and no gradient norm" in found[run_id].reason
        assert tracker.runs[run_id].n_writes == 0
    assert (found["broken"].outcome, found["broken"].transient) == ("failed", False)
    assert "not finite" in found["broken"].reason
    assert found["broken"].fix


def test_a_second_pass_reads_nothing_and_writes_nothing(tracker: Recorder) -> None:
    run_pass(tracker)
    tracker.add("none", accuracy=curve(0))
    stamps = {run_id: run.stamp for run_id, run in tracker.runs.items()}
    tracker.was_read.clear()
    again = {"a": "unchanged", "b": "unchanged", "c": "unchanged", "none": "skipped"}
    assert outcomes(tracker) == again
    assert tracker.was_read == []
    assert {run_id: tracker.runs[run_id].stamp for run_id in stamps} == stamps
    assert [run.n_writes for run in tracker.runs.values()] == [1, 1, 1, 0]


def test_late_points_are_scored_and_dated_after_what_stood_there(tracker: Recorder) -> None:
    before = run_pass(tracker)["b"].stamp
    tracker.runs["b"].metrics["loss"].extend((30 + step, 0.0) for step in range(60))
    tracker.was_read.clear()
    assert outcomes(tracker) == {"a": "unchanged", "b": "scored", "c": "unchanged"}
    assert tracker.was_read == ["b"]
    after = tracker.runs["b"].stamp
    assert after.timestamp > before.timestamp
    assert after.facts["fingerprint"] != before.facts["fingerprint"]
    assert set(outcomes(tracker).values()) == {"unchanged"}


def test_late_points_of_the_gradient_norm_alone_are_read_and_scored() -> None:
    tracker = Recorder()
    run = tracker.add("r", loss=[(step, 1.0 + step % 2) for step in range(60)], grad_norm=curve(0))
    before = run_pass(tracker)["r"].stamp
    run.metrics["grad_norm"].extend((30 + step, 100.0) for step in range(30))
    after = run_pass(tracker)["r"]
    assert (after.outcome, run.n_writes) == ("scored", 2)
    assert after.stamp.metrics["dqi"] == before.metrics["dqi"]
    assert after.stamp.metrics["dqi_grad_late"] == pytest.approx(math.log(100))
    assert (before.facts["state"], after.stamp.facts["state"]) == ("plateau", "stuck")
    assert outcomes(tracker) == {"r": "unchanged"}


def test_a_stamp_from_before_there_was_insight_is_replaced(
    tracker: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("dqi_tracking.pipeline.options.INSIGHT_VERSION", "0")
        run_pass(tracker)
    assert set(outcomes(tracker).values()) == {"scored"}
    assert set(outcomes(tracker).values()) == {"unchanged"}


def test_a_loss_that_comes_after_the_gradient_norm_was_scored_takes_its_place() -> None:
    tracker = MemoryTracker()
    run = tracker.add("r", grad_norm=curve(0))
    assert run_pass(tracker)["r"].stamp.facts["signal"] == "grad_norm"
    run.metrics["loss"] = curve(0)
    assert run_pass(tracker)["r"].stamp.facts["signal"] == "loss"


def test_another_option_scores_again_and_the_first_again_too(tracker: Recorder) -> None:
    first = run_pass(tracker)["a"].stamp
    raw = ScoringOptions(units="raw")
    second = run_pass(tracker, raw)["a"]
    assert second.outcome == "scored"
    assert second.stamp.facts["fingerprint"] != first.facts["fingerprint"]
    assert outcomes(tracker, options=raw)["a"] == "unchanged"
    third = run_pass(tracker)["a"]
    assert third.stamp.metrics == first.metrics
    assert third.stamp.facts["fingerprint"] == first.facts["fingerprint"]


@pytest.mark.parametrize(
    "changed",
    [{"version": "0", "fingerprint": "0-0"}, {"fingerprint": ""}],
    ids=["another engine", "no commit mark"],
)
def test_a_stamp_of_another_engine_or_without_its_commit_mark_is_replaced(
    tracker: Recorder, changed: dict[str, str]
) -> None:
    first = run_pass(tracker)["a"].stamp
    tracker.runs["a"].stamp = Stamp(first.metrics, {**first.facts, **changed})
    assert outcomes(tracker) == {"a": "scored", "b": "unchanged", "c": "unchanged"}
    assert tracker.runs["a"].stamp.facts["fingerprint"] == first.facts["fingerprint"]


def test_verifying_reads_everything_and_writes_only_what_the_listing_hid(
    tracker: Recorder,
) -> None:
    run_pass(tracker)
    # a point in the middle was replaced: the last one and their number are as before
    tracker.runs["c"].metrics["loss"][9] = (9, 9.0)
    tracker.was_read.clear()
    assert set(outcomes(tracker).values()) == {"unchanged"}
    assert outcomes(tracker, verify=True) == {"a": "unchanged", "b": "unchanged", "c": "scored"}
    assert tracker.was_read == ["a", "b", "c"]
    assert [run.n_writes for run in tracker.runs.values()] == [1, 1, 2]


def test_rescoring_writes_everything_again_under_a_later_time(tracker: Recorder) -> None:
    before = {run_id: each.stamp for run_id, each in run_pass(tracker).items()}
    assert set(outcomes(tracker, rescore=True).values()) == {"scored"}
    for run_id, run in tracker.runs.items():
        assert run.n_writes == 2
        assert run.stamp.metrics == before[run_id].metrics
        assert run.stamp.timestamp > before[run_id].timestamp


def test_a_pass_that_does_not_write_scores_all_the_same(tracker: Recorder) -> None:
    found = run_pass(tracker, write=False)
    assert {each.outcome for each in found.values()} == {"scored"}
    assert all(each.stamp.metrics["dqi"] > 0 for each in found.values())
    assert all(
        (run.stamp, run.files, run.n_writes) == (None, {}, 0) for run in tracker.runs.values()
    )


def test_the_files_say_what_the_stamp_says_and_may_be_left_out(tracker: Recorder) -> None:
    run_pass(tracker, files=False)
    assert [(run.files, run.n_writes) for run in tracker.runs.values()] == [({}, 1)] * 3
    stamp = run_pass(tracker, rescore=True)["a"].stamp
    files = tracker.runs["a"].files
    assert set(files) == {"phases.json", "phases.html"}
    told = json.loads(files["phases.json"])
    assert told["dqi"] == stamp.metrics["dqi"]
    assert told["fingerprint"] == stamp.facts["fingerprint"]
    assert told["scored_at"] == stamp.facts["scored_at"]
    assert told["state"]["name"] == stamp.facts["state"]
    assert len(told["findings"]) == stamp.metrics["dqi_checks"]
    assert files["phases.html"].lower().startswith(b"<!doctype html>")


ERRORS = [
    (WriteRejected("the disk is full", fix="free space"), "the disk is full", False),
    (ReadRejected("no answer of use", fix="ask again"), "no answer of use", False),
    (TransientTrackerError("it is down", fix="wait"), "it is down", True),
    (ValueError("bad value"), "unexpected ValueError: bad value", False),
    (RuntimeError("at https://me:secret@host/"), "at https://***@host/", False),
]


@pytest.mark.parametrize("where", ["before_read", "before_write"])
@pytest.mark.parametrize(("error", "reason", "transient"), ERRORS, ids=lambda value: str(value)[:9])
def test_what_is_raised_on_one_run_is_its_outcome_and_the_others_are_done(
    tracker: Recorder, where: str, error: Exception, reason: str, transient: bool
) -> None:
    setattr(tracker, where, raising(error, on="b"))
    found = run_pass(tracker)
    assert [each.outcome for each in found.values()] == ["scored", "failed", "scored"]
    assert reason in found["b"].reason
    assert (found["b"].fix != "", found["b"].transient) == (True, transient)
    assert tracker.runs["b"].stamp is None
    setattr(tracker, where, lambda ref: None)
    assert outcomes(tracker) == {"a": "unchanged", "b": "scored", "c": "unchanged"}


def test_a_run_for_which_the_tracker_gives_nothing_fails(
    tracker: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = tracker.read
    monkeypatch.setattr(tracker, "read", lambda refs: read(refs[:1]))
    assert outcomes(tracker) == {"a": "scored", "b": "failed", "c": "failed"}


def test_a_failed_run_keeps_what_stands_on_it(tracker: Recorder) -> None:
    before = run_pass(tracker)["a"].stamp
    tracker.before_write = raising(WriteRejected("read-only", fix="get access"), on="a")
    outcome = run_pass(tracker, rescore=True)["a"]
    assert outcome.stamp == tracker.runs["a"].stamp == before


def test_examining_raises_what_is_wrong_with_the_run() -> None:
    tracker = MemoryTracker()
    tracker.add("none", accuracy=curve(0))
    with pytest.raises(MissingMetric):
        examine(tracker, next(tracker.find(Query())), OPTIONS)


def test_options_that_cannot_be_meant_are_refused_before_any_run() -> None:
    with pytest.raises(ConfigError, match="weights"):
        ScoringOptions.of(Settings(weights=(1, 1, 1)))


class Unlisted(Recorder):
    """Its listing tells how much was logged, and only reading tells under which names."""

    def find(self, query: Query) -> Iterator[RunRef]:
        for ref in super().find(query):
            n_points = sum(map(len, self.runs[ref.run_id].metrics.values()))
            bare = {"loss_keys": (), "grad_norm_keys": (), "latest": {}}
            yield replace(ref, **bare, listed=False, revision=str(n_points))

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        known = {ref.run_id: ref for ref in MemoryTracker.find(self, Query())}
        names = ("loss_keys", "grad_norm_keys", "latest")
        for ref in refs:
            told = {name: getattr(known[ref.run_id], name) for name in names}
            yield from super().read([replace(ref, **told)])


def test_a_run_whose_metrics_are_not_listed_is_read_and_read_again_only_with_new_data() -> None:
    tracker = Unlisted()
    tracker.add("a", loss=curve(0))
    tracker.add("none", accuracy=curve(0))
    assert outcomes(tracker) == {"a": "scored", "none": "skipped"}
    assert tracker.was_read == ["a", "none"]
    # of a run that could not be scored nothing is remembered
    assert outcomes(tracker) == {"a": "unchanged", "none": "skipped"}
    assert tracker.was_read == ["a", "none", "none"]
    tracker.runs["a"].metrics["loss"].append((99, 0.0))
    tracker.runs["none"].metrics["loss"] = curve(1)
    assert outcomes(tracker) == {"a": "scored", "none": "scored"}
    assert set(outcomes(tracker).values()) == {"unchanged"}
    assert tracker.was_read[3:] == ["a", "none"]


def test_data_that_has_no_part_in_the_score_is_read_and_not_written() -> None:
    tracker = Unlisted()
    run = tracker.add("a", loss=curve(0))
    outcomes(tracker)
    run.metrics["accuracy"] = curve(1)
    assert (outcomes(tracker), run.n_writes) == ({"a": "unchanged"}, 1)


def test_a_mark_older_than_the_metrics_beside_it_is_no_mark(tracker: Recorder) -> None:
    run_pass(tracker)
    stamp = tracker.runs["b"].stamp
    # what a crash between the metrics and the facts of a later write would leave
    tracker.runs["b"].stamp = Stamp(
        {**stamp.metrics, "dqi": 0.99}, stamp.facts, stamp.timestamp + 1
    )
    assert outcomes(tracker) == {"a": "unchanged", "b": "scored", "c": "unchanged"}
    assert tracker.runs["b"].stamp.metrics == stamp.metrics
    assert outcomes(tracker) == {"a": "unchanged", "b": "unchanged", "c": "unchanged"}
