"""Ranking at the end of a backfill: which runs are ranked, what is written, what may go wrong."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import Query, backfill
from dqi_tracking.backfill.cohort_ranking import Cohorts, Standings
from dqi_tracking.cohorts.place import place_of
from dqi_tracking.config import load_settings
from dqi_tracking.errors import ConfigError, TransientTrackerError, WriteRejected
from dqi_tracking.insight.population import standing
from dqi_tracking.names import STANDING
from dqi_tracking.stamp import standing_mark
from dqi_tracking.types import RunRef, Stamp
from tests.recorder import Recorder, curve
from tests.strategies import FEW

DIGEST = "abcd1234"
AT = 1_700_000_000_000


@pytest.fixture(autouse=True)
def percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each backfill write percentiles."""
    monkeypatch.setenv("DQI_PERCENTILES", "true")


class Amender(Recorder):
    """Notes what is amended; `before_amend` is called with the run, and may raise."""

    def __init__(self) -> None:
        super().__init__()
        self.amended: list[str] = []
        self.before_amend: Callable[[RunRef], object] = lambda ref: None

    def amend(self, ref: RunRef, stamp: Stamp) -> None:
        self.before_amend(ref)
        self.amended.append(ref.run_id)
        super().amend(ref, stamp)


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Amender:
    """Give twelve runs of two models in the tracker that every address opens."""
    tracker = Amender()
    for number in range(12):
        tracker.add(
            f"r{number:02}",
            started=number,
            ended=number,
            params={"model": "ab"[number % 3 == 0]},
            loss=curve(number),
        )
    monkeypatch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
    return tracker


def percentile(tracker: Amender, run_id: str) -> float:
    stamp = tracker.runs[run_id].stamp
    return stamp.metrics.get("dqi_percentile", math.nan) if stamp else math.nan


def test_one_listing_is_all_that_a_pass_over_everything_costs(tracker: Amender) -> None:
    for _ in range(2):
        backfill("memory:")
    assert tracker.calls.count("end of list") == 2
    assert sorted(tracker.amended) == sorted(tracker.runs)


def test_a_narrower_pass_ranks_all_runs_if_it_scored_any(tracker: Amender) -> None:
    backfill("memory:", query=Query(limit=8))
    assert len(tracker.amended) == 8
    tracker.calls.clear()
    report = backfill("memory:", query=Query(limit=8))
    assert (report.standings, tracker.calls.count("end of list")) == (None, 1)
    report = backfill("memory:", query=Query(limit=9))
    assert report.counts == {"scored": 1, "unchanged": 8}
    assert report.standings is not None
    assert report.standings.n_ranked == 9
    # by a listing of its own beside that of the plan
    assert tracker.calls.count("end of list") == 3


def test_no_percentile_below_eight_runs_but_the_reason(tracker: Amender) -> None:
    report = backfill("memory:", query=Query(limit=7))
    assert report.standings is not None
    assert (tracker.amended, report.standings.n_written) == ([], 0)
    assert "7 runs" in report.standings.reason
    assert "8 are needed" in report.standings.reason


def test_a_cohort_that_shrank_below_eight_has_no_percentiles_any_more(tracker: Amender) -> None:
    backfill("memory:")
    for number in range(5):
        del tracker.runs[f"r{number:02}"]
    report = backfill("memory:")
    assert report.standings is not None
    assert report.standings.n_written == 7
    assert all(math.isnan(percentile(tracker, run_id)) for run_id in tracker.runs)
    assert all(place_of(run.stamp) is None for run in tracker.runs.values())
    tracker.amended.clear()
    backfill("memory:")
    assert tracker.amended == []


def test_runs_that_did_not_finish_and_scores_by_other_options_are_no_part_of_it(
    tracker: Amender,
) -> None:
    tracker.runs["r00"].status = "FAILED"
    raw = load_settings(units="raw")
    report = backfill("memory:", query=Query(include_failed=True))
    assert report.counts == {"scored": 12}
    assert report.standings is not None
    assert report.standings.n_ranked == 11
    assert math.isnan(percentile(tracker, "r00"))
    # three are scored in another way: eight remain, and the three have no place among them
    before = {run_id: percentile(tracker, run_id) for run_id in tracker.runs}
    backfill("memory:", query=Query(limit=3), settings=raw)
    moved = [run_id for run_id in tracker.runs if percentile(tracker, run_id) != before[run_id]]
    assert set(moved) >= {"r11", "r10", "r09"}
    assert all(math.isnan(percentile(tracker, run)) for run in ("r09", "r10", "r11"))


def test_too_few_points_are_no_low_score(tracker: Amender) -> None:
    tracker.add("short", loss=[(0, 1.0), (1, 2.0)])
    tracker.add("flat", loss=[(step, 1.0) for step in range(30)])
    report = backfill("memory:")
    assert report.standings is not None
    assert report.standings.n_ranked == 13
    assert math.isnan(percentile(tracker, "short"))
    assert percentile(tracker, "flat") == round(100 * 0.5 / 13, 2)


def test_a_dry_run_writes_no_place_and_a_stop_ends_the_ranking(tracker: Amender) -> None:
    assert backfill("memory:", dry_run=True).standings is None
    assert tracker.amended == []
    stop = threading.Event()
    tracker.before_amend = lambda ref: stop.set() if len(tracker.amended) == 4 else None
    report = backfill("memory:", stop=stop)
    assert (report.stopped, report.counts, len(tracker.amended)) == (True, {"scored": 12}, 5)
    tracker.before_amend = lambda ref: None
    assert backfill("memory:").counts == {"unchanged": 12}
    assert sorted(tracker.amended) == sorted(tracker.runs)


def test_a_refused_run_stops_no_other_and_the_next_pass_writes_it(tracker: Amender) -> None:
    def refuse(ref: RunRef) -> None:
        if ref.run_id == "r03":
            raise WriteRejected("read-only", fix="get access", run=ref.run_id)

    tracker.before_amend = refuse
    report = backfill("memory:")
    assert report.counts == {"scored": 12}
    assert report.standings == Standings(12, 1, 11, 1, "read-only", "get access")
    tracker.before_amend = lambda ref: None
    tracker.amended.clear()
    report = backfill("memory:")
    assert (report.counts, tracker.amended) == ({"unchanged": 12}, ["r03"])


def test_a_tracker_that_is_down_leaves_the_scores_and_the_rest_to_the_next_pass(
    tracker: Amender,
) -> None:
    def down(ref: RunRef) -> None:
        if len(tracker.amended) >= 4:
            raise TransientTrackerError("connection refused", fix="check that it is up")

    tracker.before_amend = down
    report = backfill("memory:")
    assert (report.counts, report.stopped) == ({"scored": 12}, False)
    assert report.standings is not None
    assert (report.standings.n_written, report.standings.n_failed) == (4, 8)
    assert "connection refused" in report.standings.reason
    tracker.before_amend = lambda ref: None
    assert backfill("memory:").counts == {"unchanged": 12}
    assert sorted(tracker.amended) == sorted(tracker.runs)


def test_a_clock_that_was_set_back_does_not_hide_what_is_new() -> None:
    stamp = scored(0.5)
    later = replace(stamp, standing_at=AT + 5_000)
    cohorts = Cohorts(DIGEST)
    for number in range(8):
        cohorts.add(RunRef(f"r{number}", group="g"), later if number else stamp)
    changes = cohorts.changes(AT, Standings())
    assert [change.standing_at for _, change in changes] == [AT, *[AT + 5_001] * 7]


def scored(dqi: float, loss: float = math.nan, grad: float = math.nan, **facts: str) -> Stamp:
    metrics = {"dqi": dqi, "dqi_loss_lowest": loss, "dqi_grad_late": grad}
    return Stamp(metrics, {"status": "ok", "fingerprint": f"{DIGEST}-1", **facts})


NUMBERS = st.one_of(st.just(math.nan), st.sampled_from((0.0, 0.25, 0.5)), st.floats(0, 1))
RUNS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.sampled_from(("", "a", "b\x1b[2J")),
                          st.sampled_from(("", "adam", "SGD"))), max_size=60)  # fmt: skip


@FEW
@given(RUNS)
def test_what_is_written_is_the_standing_and_stays_as_it_is(
    runs: list[tuple[float, float, float, str, str]],
) -> None:
    stamps = {f"r{n}": scored(*run[:3]) for n, run in enumerate(runs)}
    refs = [
        RunRef(f"r{n}", group="g", columns={"params.model": label, "params.optim": name})
        for n, (*_, label, name) in enumerate(runs)
    ]

    def changes() -> tuple[list[tuple[RunRef, Stamp]], Standings]:
        cohorts, found = Cohorts(DIGEST, "params.model"), Standings()
        for ref in refs:
            cohorts.add(ref, stamps[ref.run_id])
        if not any(label for *_, label, _ in runs):
            with pytest.raises(ConfigError, match=r"params\.model"):
                cohorts.changes(AT, found)
            return [], found
        return cohorts.changes(AT, found), found

    for ref, change in changes()[0]:
        before = stamps[ref.run_id]
        metrics, facts = {**before.metrics, **change.metrics}, {**before.facts, **change.facts}
        stamps[ref.run_id] = Stamp(metrics, facts, standing_at=change.standing_at)
    again, found = changes()
    assert again == []
    wanted = standing(
        [dqi if label else math.nan for dqi, _, _, label, _ in runs], [run[3] for run in runs]
    ).percentile
    told = [stamps[ref.run_id].metrics.get("dqi_percentile", math.nan) for ref in refs]
    assert told == pytest.approx(wanted.tolist(), abs=0.005, nan_ok=True)
    places = [place_of(stamps[ref.run_id]) for ref in refs]
    assert found.n_ranked == sum(place is not None for place in places)
    for (*_, label, _), place in zip(runs, places, strict=True):
        if place is not None:
            assert place.cohort == label.strip()
            assert min(place.sizes.values()) >= 0
            assert all(place.sizes[name] >= 8 for name in STANDING if place.percentiles[name] >= 0)


def test_gradient_norms_are_ranked_among_runs_of_one_optimizer() -> None:
    cohorts = Cohorts(DIGEST)
    for number in range(20):
        name = {"config.optimizer.name": "AdamW"} if number < 12 else {"config.optim": "adamw"}
        other = {"params.optimizer": '{"lr": 1}'} if number == 0 else {}
        cohorts.add(
            RunRef(f"r{number}", group="g", columns=name if number else other),
            scored(0.5, 1.0 + number, float(number)),
        )
    told = {ref.run_id: change for ref, change in cohorts.changes(AT, Standings())}
    # the dictionary of the first names none, so it is by itself
    assert "dqi_grad_percentile" not in told["r0"].metrics
    assert told["r0"].facts["cohort_size"] == "20"
    assert told["r1"].metrics["dqi_grad_percentile"] == round(50 / 19, 2)
    assert told["r1"].facts["cohort_size"] == "20; grad 19"
    assert told["r19"].metrics["dqi_loss_percentile"] == 97.5


def test_groups_and_names_are_never_taken_for_each_other() -> None:
    cohorts = Cohorts(DIGEST, "params.m")
    for number in range(16):
        group, label = ("a b", "c") if number % 2 else ("a", "b c")
        columns = {"params.m": label}
        cohorts.add(RunRef(f"r{number}", group=group, columns=columns), scored(number / 20))
    found = Standings()
    cohorts.changes(AT, found)
    assert (found.n_ranked, found.n_cohorts) == (16, 2)


def test_every_run_keeps_its_mark(tracker: Amender) -> None:
    backfill("memory:", settings=load_settings(cohort="params.model"))
    labels = {run_id: run.stamp.facts.get("cohort", "") for run_id, run in tracker.runs.items()}
    # eight of one model, four of the other
    assert sorted(labels.values()) == [""] * 4 + ["a"] * 8
    assert all(standing_mark(ref) for ref in tracker.find(Query()))


def test_percentiles_are_written_only_where_they_are_asked_for(
    tracker: Amender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DQI_PERCENTILES")
    assert backfill("memory:").standings is None
    assert backfill("memory:", settings=load_settings(percentiles=True)).standings is not None
