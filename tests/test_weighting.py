"""Phase scores and outcomes from a listing: who takes part, who does not, and why."""

from __future__ import annotations

import math

import pytest

from dqi_tracking import ConfigError
from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.fitting.weighting import NO_OUTCOME, Scored, scored_runs
from dqi_tracking.stamp import iso_time
from dqi_tracking.trackers.memory import MemoryRun, MemoryTracker
from dqi_tracking.types import Stamp
from tests.recorder import Recorder, curve

NAN = math.nan
WRITTEN = 1_790_000_000_000


def stamp(early: float = 0.1, mid: float = 0.2, late: float = 0.3, **facts: str) -> Stamp:
    told = {
        "status": "ok",
        "version": ENGINE_VERSION,
        "scored_at": iso_time(WRITTEN),
        "fingerprint": "01234567-89ab",
    }
    metrics = {"dqi": 0.2, "dqi_early": early, "dqi_mid": mid, "dqi_late": late}
    return Stamp(metrics, {**told, **facts}, WRITTEN)


def add(
    tracker: MemoryTracker,
    run_id: str,
    *,
    val: float | None = 1.0,
    written: Stamp | None = None,
    **params: str,
) -> MemoryRun:
    """Add a scored run with a validation loss."""
    values = {} if val is None else {"val_loss": [(0, 9.0), (1, val)]}
    run = tracker.add(run_id, loss=curve(1), params={"data": "a", **params}, **values)
    run.stamp = written or stamp()
    return run


def collected(tracker: MemoryTracker, **given: object) -> Scored:
    return scored_runs(tracker, "metrics.val_loss", group="params.data", **given)


def test_scores_outcomes_and_groups_come_from_the_listing_alone() -> None:
    tracker = Recorder()
    add(tracker, "r1", val=0.1 + 0.2, written=stamp(0.5, 0.25, 0.125))
    add(tracker, "r2", val=-math.inf, data="b")
    found = collected(tracker)
    rows = dict(
        zip(found.groups, zip(found.phases.tolist(), found.outcomes, strict=True), strict=True)
    )
    assert rows == {"a": ([0.5, 0.25, 0.125], 0.1 + 0.2), "b": ([0.1, 0.2, 0.3], -math.inf)}
    assert (found.n_listed, found.left_out, found.n_options) == (2, {}, 1)
    assert (tracker.was_read, set(tracker.calls)) == ([], {"list", "end of list"})


def test_without_a_group_it_is_the_experiment() -> None:
    tracker = MemoryTracker()
    add(tracker, "r1")
    add(tracker, "r2").group = "another"
    assert sorted(scored_runs(tracker, "metrics.val_loss").groups) == ["another", "memory"]


def test_every_run_that_is_left_out_has_its_reason() -> None:
    tracker = MemoryTracker()
    add(tracker, "fine")
    add(tracker, "flat", written=stamp(0, 0, 0, status="flat"))
    for number in range(3):
        add(tracker, f"no outcome {number}", val=None)
    add(tracker, "nan", val=NAN)
    add(tracker, "no group").params.clear()
    tracker.add("never scored", loss=curve(1))
    add(tracker, "half written", written=stamp(scored_at=iso_time(WRITTEN - 1)))
    add(tracker, "old engine", written=stamp(version="0.0"))
    add(tracker, "short", written=stamp(0, 0, 0, status="too_short"))
    add(tracker, "nan score", written=stamp(late=NAN))
    found = collected(tracker)
    assert found.outcomes.tolist() == [1.0, 1.0]
    assert found.left_out == {
        NO_OUTCOME: 3,
        "with an outcome that is no number": 1,
        "without a group": 1,
        "not scored": 2,
        "scored by another engine version": 1,
        "without a score that is a number": 2,
    }
    assert sum(found.left_out.values()) + 2 == found.n_listed == 12


def test_failed_runs_take_part_only_where_they_are_asked_for() -> None:
    tracker = MemoryTracker()
    add(tracker, "done")
    add(tracker, "failed", val=7.0).status = "FAILED"
    add(tracker, "going", val=8.0).status = "RUNNING"
    assert collected(tracker).outcomes.tolist() == [1.0]
    assert sorted(collected(tracker, include_failed=True).outcomes) == [1.0, 7.0]


def test_scores_of_other_options_are_counted() -> None:
    tracker = MemoryTracker()
    for number, mark in enumerate(("aaaaaaaa-1", "aaaaaaaa-2", "bbbbbbbb-3")):
        add(tracker, f"r{number}", written=stamp(fingerprint=mark))
    assert collected(tracker).n_options == 2


def test_an_unknown_outcome_is_an_error_that_names_the_likeliest() -> None:
    tracker = MemoryTracker()
    add(tracker, "r1", optimizer="adam", seed="3")
    tracker.runs["r1"].metrics["dqi_own"] = [(0, 1.0)]
    with pytest.raises(ConfigError, match=r"no run has `metrics\.vall_loss`") as refusal:
        scored_runs(tracker, "metrics.vall_loss")
    assert refusal.value.fix == (
        "name one that is there: `metrics.val_loss`, `metrics.loss`, `params.seed`"
    )
    with pytest.raises(ConfigError, match=r"no run has `params\.dat`") as refusal:
        scored_runs(tracker, "metrics.val_loss", group="params.dat")
    assert refusal.value.fix.startswith("name one that is there: `params.data`, ")
    assert "params.optimizer" in refusal.value.fix


def test_hostile_names_do_not_reach_the_terminal() -> None:
    tracker = MemoryTracker()
    add(tracker, "r1", **{"bad\x1b[31m\nname": "5"})
    with pytest.raises(ConfigError) as refusal:
        scored_runs(tracker, "params.bad\x1b[2Jnam")
    assert "bad" in refusal.value.fix
    assert not {"\x1b", "\n"}.intersection(refusal.value.message + refusal.value.fix)


@pytest.mark.parametrize("n_runs", [0, 1])
def test_an_address_without_scores_is_an_error(n_runs: int) -> None:
    tracker = MemoryTracker()
    for number in range(n_runs):
        add(tracker, f"r{number}").stamp = None
    with pytest.raises(ConfigError, match=f"none of {n_runs} runs is scored") as refusal:
        collected(tracker)
    assert "dqi backfill" in refusal.value.fix
