"""A backfill ranks runs at its end, over every tracker the same."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dqi_tracking import Query, backfill
from dqi_tracking.names import COHORT_FACTS, LISTED_FACTS, STANDING
from dqi_tracking.pipeline import ScoringOptions, begin, process
from dqi_tracking.stamp import is_whole, standing_mark
from dqi_tracking.types import RunRef, Stamp
from tests.test_tracker_contract_pipeline import curve
from tests.tracker_harness.base import Harness

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

N_RUNS = 9


@pytest.fixture(autouse=True)
def percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each backfill write percentiles."""
    monkeypatch.setenv("DQI_PERCENTILES", "true")


def fill(harness: Harness, number: int = N_RUNS) -> list[str]:
    return [
        harness.add(
            f"r{n}",
            {"loss": curve(40 + 3 * n, seed=n), "grad_norm": curve(40 + 3 * n, seed=n + 50)},
            params={"model": "small" if n else "large"},
        )
        for n in range(number)
    ]


def places(harness: Harness) -> dict[str, tuple[float | str, ...]]:
    """Return where each run stands, as its listing tells it."""
    found = {}
    for ref in harness.find():
        stamp = ref.stamp or Stamp({}, {})
        numbers = [stamp.metrics.get(name, math.nan) for name in STANDING]
        words = [stamp.facts.get(fact, "") for fact in COHORT_FACTS]
        found[ref.run_id] = (*(round(each, 1) for each in numbers), *words)
    return found


def everything(harness: Harness) -> str:
    return repr(harness.find())


def mid_ranks(size: int) -> list[float]:
    return [round(100 * (place + 0.5) / size, 1) for place in range(size)]


def test_percentiles_are_written_at_the_end_and_a_second_pass_writes_nothing(
    harness: Harness,
) -> None:
    runs = fill(harness)
    owned = [harness.owned(run) for run in runs]
    report, _ = harness.backfill()
    assert report.standings is not None
    assert (report.standings.n_ranked, report.standings.n_written) == (N_RUNS, N_RUNS)
    group = harness.ref(runs[0]).group
    found = places(harness)
    for column in range(3):
        assert sorted(each[column] for each in found.values()) == mid_ranks(N_RUNS)
    assert {each[3:] for each in found.values()} == {(group, str(N_RUNS))}
    # the score beside it stands as it was
    assert all(standing_mark(ref) for ref in harness.find())
    assert [harness.owned(run) for run in runs] == owned
    before, writes = everything(harness), harness.writes()
    report, _ = harness.backfill()
    assert report.counts == {"unchanged": N_RUNS}
    assert (harness.writes(), everything(harness)) == (writes, before)


def test_a_run_more_moves_the_others_and_a_new_score_has_no_place_until_the_end(
    harness: Harness,
) -> None:
    runs = fill(harness)
    harness.backfill()
    harness.extend(runs[2], "loss", [(46, 0.5), (47, 0.25)])
    current = begin(ScoringOptions.of(harness.settings()))
    with harness.opened() as tracker:
        (grown,) = [ref for ref in tracker.find(Query()) if ref.run_id == runs[2]]
        (outcome,) = process(tracker, [grown], current)
    assert outcome.outcome == "scored"
    # no percentile of the older score is left looking like one of this
    assert repr(places(harness)[runs[2]]) == repr((math.nan,) * 3 + ("", ""))
    runs.append(harness.add("late", {"loss": curve(90, seed=77)}))
    report, _ = harness.backfill()
    assert report.counts == {"scored": 1, "unchanged": N_RUNS}
    found = places(harness)
    assert sorted(each[0] for each in found.values()) == mid_ranks(N_RUNS + 1)
    # the late one has no gradient norm: the others are ranked without it
    assert sorted(each[2] for each in found.values() if each[2] == each[2]) == mid_ranks(N_RUNS)
    assert math.isnan(found[runs[-1]][2])
    assert all(is_whole(ref.stamp) for ref in harness.find() if ref.stamp)
    writes = harness.writes()
    harness.backfill()
    assert harness.writes() == writes


def test_cohorts_are_the_runs_that_share_the_value_of_a_column(harness: Harness) -> None:
    runs = fill(harness)
    harness.backfill()
    column = harness.param_column.format("model")
    narrowed = harness.settings(cohort=column)
    report = backfill(harness.address, settings=narrowed)
    # eight small ones; the large one has no cohort to speak of, and its old place goes
    assert report.standings is not None
    assert (report.standings.n_ranked, report.standings.n_cohorts) == (N_RUNS - 1, 1)
    found = places(harness)
    assert repr(found.pop(runs[0])) == repr((math.nan,) * 3 + ("", ""))
    assert sorted(each[0] for each in found.values()) == mid_ranks(N_RUNS - 1)
    assert {each[3:] for each in found.values()} == {("small", str(N_RUNS - 1))}
    writes = harness.writes()
    assert backfill(harness.address, settings=narrowed).counts == {"unchanged": N_RUNS}
    assert harness.writes() == writes
    # a mistyped name takes nothing off
    mistyped = backfill(harness.address, settings=harness.settings(cohort=f"{column}s"))
    assert mistyped.standings is not None
    assert mistyped.standings.n_failed == N_RUNS
    assert f"{column}s" in mistyped.standings.reason
    assert harness.writes() == writes


def test_what_is_taken_off_leaves_no_place(harness: Harness) -> None:
    runs = fill(harness)
    harness.backfill()
    with harness.opened() as tracker:
        (ref,) = [ref for ref in tracker.find(Query()) if ref.run_id == runs[4]]
        tracker.erase(ref)
    stamp = harness.ref(runs[4]).stamp
    assert stamp is None or not any(stamp.facts.get(fact) for fact in LISTED_FACTS)
    assert harness.backfill()[0].counts == {"scored": 1, "unchanged": N_RUNS - 1}
    assert sorted(each[0] for each in places(harness).values()) == mid_ranks(N_RUNS)


def test_a_run_that_is_gone_or_was_scored_again_meanwhile(harness: Harness) -> None:
    runs = fill(harness, 2)
    harness.backfill()
    ref, change = harness.ref(runs[0]), Stamp({"dqi_percentile": 25.0}, {"cohort": "c"})
    assert ref.stamp is not None
    change = replace(change, standing_at=ref.stamp.timestamp)
    with harness.opened() as tracker:
        tracker.amend(ref, change)
    after = harness.ref(runs[0])
    assert after.stamp is not None
    assert after.stamp.metrics["dqi_percentile"] == 25.0
    assert after.stamp.facts == {**ref.stamp.facts, "cohort": "c"}
    assert standing_mark(after) == standing_mark(ref)
    harness.delete(runs[0])
    with harness.opened() as tracker, pytest.raises(Exception, match=runs[0]):
        tracker.amend(RunRef(runs[0], stamp=ref.stamp), change)
