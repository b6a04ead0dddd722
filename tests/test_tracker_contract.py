"""What `Tracker` promises, kept by every tracker: one suite, run unchanged over all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from dqi_tracking import ConfigError, Query, RunNotFound, TrackerError
from dqi_tracking.names import FILES, METRICS
from dqi_tracking.stamp import iso_time, standing_mark
from dqi_tracking.types import RunRef, Stamp
from tests.tracker_harness.base import Harness

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

NAN, INF = math.nan, math.inf
LOSS = {"loss": [(0, 3.0), (1, 2.0), (2, 1.5), (3, 1.25)]}
CONTENTS = {"phases.json": b'{"dqi": 0.5}', "phases.html": b"<p>\xc3\xa9</p>"}
WRITTEN = 1_790_000_000_000


def stamp(dqi: float = 0.5, *, timestamp: int = WRITTEN, **facts: str) -> Stamp:
    """Return a whole stamp, every metric of it another number."""
    metrics = {name: dqi * (1 + place / 7) for place, name in enumerate(METRICS)}
    told = {
        "status": "ok",
        "weakest": "variation",
        "signal": "train/loss",
        "version": "1.0",
        "seen": "0123456789abcdef",
        "scored_at": iso_time(timestamp),
        "fingerprint": "01234567-89abcdef",
    }
    return Stamp(metrics, {**told, **facts}, timestamp)


def metrics_of(ref: RunRef) -> Mapping[str, float]:
    """Return the numbers that stand on a run, NaN for those that do not."""
    assert ref.stamp is not None
    return {name: ref.stamp.metrics.get(name, NAN) for name in METRICS}


def same(left: Mapping[str, float], right: Mapping[str, float]) -> bool:
    return left.keys() == right.keys() and np.array_equal(
        list(left.values()), list(right.values()), equal_nan=True
    )


def put(harness: Harness, run: str, written: Stamp, files: Mapping[str, bytes] = CONTENTS) -> None:
    with harness.opened() as tracker:
        tracker.write(harness.ref(run), written, files)


def erase(harness: Harness, run: str) -> None:
    with harness.opened() as tracker:
        tracker.erase(harness.ref(run))


class TestFind:
    def test_runs_come_newest_first_and_the_limit_keeps_the_newest(self, harness: Harness) -> None:
        runs = [harness.add(name, LOSS) for name in ("old", "newer", "newest")]
        assert [ref.run_id for ref in harness.find()] == runs[::-1]
        assert [ref.run_id for ref in harness.find(Query(limit=2))] == runs[:0:-1]
        assert harness.find(Query(limit=0)) == []

    def test_failed_runs_come_only_where_they_are_asked_for(self, harness: Harness) -> None:
        done, failed = harness.add("done", LOSS), harness.add("bad", LOSS, status="FAILED")
        assert [ref.run_id for ref in harness.find()] == [done]
        found = harness.find(Query(include_failed=True))
        assert [(ref.run_id, ref.status) for ref in found] == [
            (failed, "FAILED"), (done, "FINISHED"),
        ]  # fmt: skip

    def test_running_ones_come_only_where_they_are_asked_for(self, harness: Harness) -> None:
        harness.needs("running")
        done, running = harness.add("done", LOSS), harness.add("going", LOSS, status="RUNNING")
        assert [ref.run_id for ref in harness.find(Query(include_failed=True))] == [done]
        found = harness.find(Query(include_running=True))
        assert [ref.run_id for ref in found] == [running, done]

    def test_since_leaves_out_what_ended_before(self, harness: Harness) -> None:
        for name in ("old", "newer", "newest"):
            harness.add(name, LOSS)
        newest, newer, old = harness.find()
        assert newest.ended > newer.ended > old.ended >= old.started > 0
        assert harness.find(Query(since=newer.ended)) == [newest, newer]
        assert harness.find(Query(since=newer.ended + 1)) == [newest]

    def test_since_means_the_start_of_a_run_that_goes_on(self, harness: Harness) -> None:
        harness.needs("running")
        harness.add("going", LOSS, status="RUNNING")
        harness.add("done", LOSS)
        done, going = harness.find(Query(include_running=True))
        asked = Query(include_running=True, since=going.started)
        assert harness.find(asked) == [done, going]
        assert harness.find(replace(asked, since=going.started + 1)) == [done]

    def test_a_filter_means_what_it_says_or_is_refused(self, harness: Harness) -> None:
        harness.add("one", LOSS)
        wanted = harness.add("two", LOSS)
        where = harness.filter_for("two")
        if where is not None:
            assert [ref.run_id for ref in harness.find(Query(where))] == [wanted]
        with pytest.raises((ConfigError, TrackerError)) as refusal:
            harness.find(Query("(no filter in any language"))
        assert refusal.value.fix

    def test_names_and_times_are_told_and_stay_the_same(self, harness: Harness) -> None:
        run = harness.add("läuft <b>", LOSS)
        (ref,) = harness.find()
        assert (ref.run_id, ref.name, ref.status, ref.stamp) == (run, "läuft <b>", "FINISHED", None)
        assert harness.find() == [ref]

    def test_candidates_are_told_best_first(self, harness: Harness) -> None:
        points = [(step, 1.0) for step in range(5)]
        names = ("my_loss", "val_loss", "train/loss", "lr", "dqi_loss", "grad_norm", "loss")
        harness.add("run", dict.fromkeys(names, points))
        (ref,) = harness.find()
        if not ref.listed:
            # where the listing names no metric, reading does
            ref = harness.read([ref])[0].ref
        assert [(str(key), key.tier) for key in ref.loss_keys] == [
            ("loss", 1), ("train/loss", 1), ("my_loss", 2),
        ]  # fmt: skip
        assert [str(key) for key in ref.grad_norm_keys] == ["grad_norm"]

    def test_no_history_is_read_and_nothing_is_written(self, harness: Harness) -> None:
        for number in range(5):
            harness.add(f"r{number}", LOSS)
        writes = harness.writes()
        assert len(harness.find(Query(include_failed=True, include_running=True))) == 5
        assert harness.writes() == writes
        before = harness.n_histories()
        harness.find()
        assert harness.n_histories() == before

    def test_the_listing_changes_with_a_point_and_not_without_one(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        before = harness.ref(run)
        assert harness.ref(run) == before
        harness.extend(run, "loss", [(4, 1.125)])
        after = harness.ref(run)
        assert (after.latest, after.revision) != (before.latest, before.revision)


class TestWrite:
    def test_what_was_written_is_what_find_tells(self, harness: Harness) -> None:
        run, other = harness.add("run", LOSS), harness.add("other", LOSS)
        written = stamp()
        put(harness, run, written)
        ref = harness.ref(run)
        assert ref.stamp is not None
        assert same(metrics_of(ref), written.metrics)
        assert ref.stamp.facts == written.facts
        assert standing_mark(ref) == "01234567-89abcdef"
        assert harness.files(run) == CONTENTS
        assert (harness.ref(other).stamp, harness.files(other)) == (None, {})

    def test_nothing_of_a_persons_is_changed(self, harness: Harness) -> None:
        runs = [
            harness.add("run", {**LOSS, "odd": [(0, NAN), (1, INF), (2, -INF)]}),
            harness.add("bad", LOSS, status="FAILED"),
        ]
        before = [harness.owned(run) for run in runs]
        for run in runs:
            put(harness, run, stamp())
            put(harness, run, stamp(0.25, timestamp=WRITTEN + 1))
        assert [harness.owned(run) for run in runs] == before
        erase(harness, runs[0])
        assert [harness.owned(run) for run in runs] == before

    def test_a_lower_score_takes_the_place_of_a_higher_one(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        for number, dqi in enumerate((0.9, 0.1, 0.5)):
            written = stamp(dqi, timestamp=WRITTEN + number, fingerprint=f"f-{number}")
            put(harness, run, written, {"phases.json": b"%d" % number})
            assert same(metrics_of(harness.ref(run)), written.metrics)
            assert standing_mark(harness.ref(run)) == f"f-{number}"
            assert harness.files(run) == {"phases.json": b"%d" % number}

    def test_a_score_that_is_none_leaves_no_number(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        put(harness, run, stamp(0.9))
        none = replace(stamp(timestamp=WRITTEN + 1, status="nan", weakest=""))
        none = replace(none, metrics=dict.fromkeys(METRICS, NAN))
        put(harness, run, none)
        ref = harness.ref(run)
        assert all(math.isnan(value) for value in metrics_of(ref).values())
        assert (ref.stamp.facts["status"], ref.stamp.facts.get("weakest", "")) == ("nan", "")
        assert standing_mark(ref) is not None

    def test_a_stamp_without_its_mark_counts_as_no_score(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        facts = {key: value for key, value in stamp().facts.items() if key != "fingerprint"}
        put(harness, run, replace(stamp(), facts=facts), {})
        assert standing_mark(harness.ref(run)) is None

    def test_no_files_are_written_where_none_are_given(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        put(harness, run, stamp(), {})
        assert (harness.files(run), standing_mark(harness.ref(run))) == ({}, "01234567-89abcdef")


class TestErase:
    def test_the_run_counts_as_never_scored_and_can_be_scored_again(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        put(harness, run, stamp())
        erase(harness, run)
        ref = harness.ref(run)
        assert standing_mark(ref) is None
        assert not (ref.stamp and ref.stamp.facts)
        assert harness.files(run) == {}
        put(harness, run, stamp(0.1, timestamp=WRITTEN + 1))
        assert same(metrics_of(harness.ref(run)), stamp(0.1).metrics)
        assert harness.files(run) == CONTENTS

    def test_a_second_time_there_is_nothing_to_do(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        put(harness, run, stamp())
        erase(harness, run)
        before = harness.writes()
        erase(harness, run)
        assert harness.writes() == before

    def test_a_run_that_was_never_scored_stays_as_it_is(self, harness: Harness) -> None:
        run = harness.add("run", LOSS)
        before = harness.owned(run)
        erase(harness, run)
        assert (harness.owned(run), harness.ref(run).stamp) == (before, None)


@pytest.mark.parametrize("files", [CONTENTS, {}], ids=["with files", "without files"])
def test_a_run_that_is_gone_is_told_by_name(harness: Harness, files: Mapping[str, bytes]) -> None:
    run = harness.add("run", LOSS)
    harness.add("other", LOSS)
    ref = harness.ref(run)
    harness.delete(run)
    with harness.opened() as tracker:
        (reading,) = tracker.read([ref])
        for call in (
            reading.found,
            lambda: tracker.write(ref, stamp(), files),
            lambda: tracker.erase(ref),
        ):
            with pytest.raises(RunNotFound) as refusal:
                call()
            assert (refusal.value.run, refusal.value.transient) == (run, False)
            assert refusal.value.fix
    assert run not in [found.run_id for found in harness.find()]


def test_the_files_are_named_as_the_package_names_them() -> None:
    assert set(CONTENTS) == set(FILES)
