"""Backfills, ranking and unscoring give the same over every tracker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from dqi_tracking import History, Query, Report, Score, score, unscore
from dqi_tracking.names import FILES, METRICS
from dqi_tracking.report.artifact import read_phases
from dqi_tracking.stamp import standing_mark
from dqi_tracking.types import RunRef
from tests.stamps import stamp_for
from tests.tracker_harness.base import Harness, Points

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

NAN, INF = math.nan, math.inf


def curve(points: int = 40, seed: int = 0, spread: int = 1) -> list[tuple[int, float]]:
    """Return a noisy, falling series."""
    noise = np.random.default_rng(seed).normal(scale=0.05, size=points)
    values = np.exp(-np.linspace(0, 4, points)) + 1 + noise
    return list(zip(range(0, points * spread, spread), values.tolist(), strict=True))


def spoilt(value: float) -> list[tuple[int, float]]:
    points = curve(seed=5)
    points[20] = (20, value)
    return points


GAPS = list(zip(np.cumsum(range(30)).tolist(), [y for _, y in curve(30, 3)], strict=True))
PARTS = {f"train/{name}_loss": curve(30, seed) for seed, name in enumerate(("box", "cls", "dfl"))}
TOTAL = [
    (step, sum(value for _, value in points))
    for step, points in enumerate(zip(*PARTS.values(), strict=True))
]
# what is logged, and the points and the key that are read of it
RUNS: dict[str, tuple[Mapping[str, Points], Points, str]] = {
    "long": ({"loss": curve(600, 1, 50)}, curve(600, 1, 50), "loss"),
    "gaps": ({"train/loss": GAPS, "lr": curve(9)}, GAPS, "train/loss"),
    "both": ({"loss": curve(60, 4), "grad_norm": curve(20, 5, 3)}, curve(60, 4), "loss"),
    "far": ({"loss": curve(10, 2, 10**9)}, curve(10, 2, 10**9), "loss"),
    "tiny": ({"loss": [(n, y * 1e-300) for n, y in curve()]},
             [(n, y * 1e-300) for n, y in curve()], "loss"),
    "flat": ({"loss": [(n, 2.0) for n in range(20)]}, [(n, 2.0) for n in range(20)], "loss"),
    "short": ({"loss": [(0, 2.0), (1, 1.0)]}, [(0, 2.0), (1, 1.0)], "loss"),
    "nan": ({"loss": spoilt(NAN)}, spoilt(NAN), "loss"),
    "infinite": ({"loss": spoilt(INF)}, spoilt(INF), "loss"),
    "sum": (PARTS, TOTAL, " + ".join(PARTS)),
    "forked": ({"train_loss_step": curve(50, 6), "train_loss_epoch": curve(3, 7, 20)},
               curve(50, 6), "train_loss_step"),
    "norm": ({"grad_norm": curve(30, 8), "val_loss": curve(40, 9)}, curve(30, 8), "grad_norm"),
}  # fmt: skip


def expected(name: str) -> Score:
    return score(read(name))


def read(name: str) -> History:
    """Return the history that every tracker should read from a run."""
    _, points, key = RUNS[name]
    step, value = zip(*points, strict=True)
    if key == "grad_norm":
        return History(step, grad_norm=value)
    beside = RUNS[name][0].get("grad_norm")
    if beside is None:
        return History(step, value, loss_key=key)
    grad_step, grad_norm = zip(*beside, strict=True)
    return History(step, value, grad_norm, grad_step=grad_step, loss_key=key)


def numbers_of(ref: RunRef) -> dict[str, float]:
    """Return the numbers that stand on a run, NaN for those that do not."""
    assert ref.stamp is not None
    return {name: ref.stamp.metrics.get(name, NAN) for name in METRICS}


def close_to(numbers: Mapping[str, float]) -> object:
    return pytest.approx(dict(numbers), rel=1e-12, abs=1e-12, nan_ok=True)


def unscored(harness: Harness) -> Report:
    return unscore(harness.address, settings=harness.settings())


def marks(harness: Harness) -> dict[str, str | None]:
    return {ref.run_id: standing_mark(ref) for ref in harness.find()}


def test_a_score_is_the_same_wherever_its_history_lies(harness: Harness) -> None:
    for name, (metrics, _, _) in RUNS.items():
        harness.add(name, metrics)
    report, _ = harness.backfill()
    assert report.counts == {"scored": len(RUNS)}
    for ref in harness.find():
        wanted = stamp_for(read(ref.name), replace(ref, stamp=None))
        assert numbers_of(ref) == close_to(wanted.metrics), ref.name
        names = ("status", "weakest", "state", "checks", "signal", "version")
        facts = {name: wanted.facts[name] for name in names}
        told = {name: ref.stamp.facts.get(name, "") for name in facts}
        assert told == facts, ref.name


def test_a_second_pass_reads_nothing_and_writes_nothing(harness: Harness) -> None:
    runs = [harness.add(f"r{n}", {"loss": curve(seed=n), "grad_norm": curve(9)}) for n in range(3)]
    runs.append(harness.add("nan", {"loss": spoilt(NAN)}))
    unwritten = harness.writes()
    _, outcomes = harness.backfill()
    assert {run: each.outcome for run, each in outcomes.items()} == dict.fromkeys(runs, "scored")
    # as text, in which NaN is equal to itself
    before, writes = repr(harness.find()), harness.writes()
    assert writes != unwritten
    report, _ = harness.backfill()
    assert (report.counts, harness.writes()) == ({"unchanged": 4}, writes)
    assert repr(harness.find()) == before
    n_read = harness.n_histories()
    assert n_read >= 4
    harness.backfill()
    assert harness.n_histories() == n_read


def test_both_files_tell_what_stands_on_the_run(harness: Harness) -> None:
    run = harness.add("run", RUNS["long"][0])
    harness.backfill()
    files, wanted = harness.files(run), expected("long")
    assert sorted(files) == sorted(FILES)
    told = read_phases(files["phases.json"])
    assert (told.n_points, told.fingerprint) == (600, standing_mark(harness.ref(run)))
    assert told.dqi == pytest.approx(wanted.dqi, rel=1e-12)
    assert told.scored_at.encode() in files["phases.html"]


def test_runs_that_got_points_are_scored_again_and_no_other(harness: Harness) -> None:
    grown, same = harness.add("grown", {"loss": curve()}), harness.add("same", {"loss": curve()})
    harness.backfill()
    before, owned = marks(harness), harness.owned(same)
    late = [(40, 0.5), (41, 9.0), (42, 0.25)]
    harness.extend(grown, "loss", late)
    _, outcomes = harness.backfill()
    assert {run: each.outcome for run, each in outcomes.items()} == {
        grown: "scored", same: "unchanged",
    }  # fmt: skip
    after = marks(harness)
    assert (after[same], harness.owned(same)) == (before[same], owned)
    assert after[grown] not in (None, before[grown])
    step, loss = zip(*curve(), *late, strict=True)
    wanted = stamp_for(History(step, loss), replace(harness.ref(grown), stamp=None)).metrics
    assert numbers_of(harness.ref(grown)) == close_to(wanted)
    assert harness.backfill()[0].counts == {"unchanged": 2}


def test_runs_that_did_not_finish_are_scored_where_they_are_asked_for(harness: Harness) -> None:
    harness.add("done", {"loss": curve()})
    harness.add("bad", {"loss": curve()}, status="FAILED")
    assert harness.backfill()[0].counts == {"scored": 1}
    report, _ = harness.backfill(query=Query(include_failed=True))
    assert report.counts == {"scored": 1, "unchanged": 1}


def test_a_run_without_a_known_metric_is_skipped_and_left_alone(harness: Harness) -> None:
    run = harness.add("run", {"accuracy": curve(), "val_loss": curve()})
    before, writes = harness.owned(run), harness.writes()
    report, outcomes = harness.backfill()
    assert report.counts == {"skipped": 1}
    assert "no loss" in outcomes[run].reason
    assert (harness.owned(run), harness.writes()) == (before, writes)


def test_a_dry_run_tells_the_scores_and_writes_nothing(harness: Harness) -> None:
    run = harness.add("run", RUNS["gaps"][0])
    writes = harness.writes()
    _, outcomes = harness.backfill(dry_run=True)
    assert outcomes[run].score == expected("gaps")
    assert (harness.writes(), harness.ref(run).stamp) == (writes, None)


def test_a_run_that_is_deleted_meanwhile_stops_no_other(harness: Harness) -> None:
    runs = [harness.add(f"r{number}", {"loss": curve(seed=number)}) for number in range(4)]
    report, outcomes = harness.backfill(on_plan=lambda *_: harness.delete(runs[1]))
    assert (report.counts, report.n_found) == ({"scored": 3, "failed": 1}, 4)
    assert (outcomes[runs[1]].outcome, outcomes[runs[1]].transient) == ("failed", False)
    assert outcomes[runs[1]].fix
    assert harness.backfill()[0].counts == {"unchanged": 3}


def test_four_threads_score_as_one_does(harness: Harness) -> None:
    for number in range(20):
        harness.add(f"r{number}", {"loss": curve(20 + number, number)})
    report, _ = harness.backfill(jobs=4)
    assert report.counts == {"scored": 20}
    for ref in harness.find():
        number = int(ref.name[1:])
        step, loss = zip(*curve(20 + number, number), strict=True)
        wanted = stamp_for(History(step, loss), replace(ref, stamp=None)).metrics
        assert numbers_of(ref) == close_to(wanted), ref.name
    assert harness.backfill(jobs=4)[0].counts == {"unchanged": 20}


def test_the_table_holds_what_was_written_the_best_first(harness: Harness) -> None:
    for name, (metrics, _, _) in RUNS.items():
        harness.add(name, metrics)
    harness.backfill()
    harness.add("later", {"loss": curve()})
    table = harness.rank()
    scores = {name: expected(name).dqi for name in RUNS}
    best = sorted((name for name in RUNS if scores[name] > 0), key=lambda n: -scores[n])
    assert table["name"].tolist()[: len(best)] == best
    assert dict(zip(table["name"], table["dqi"], strict=True)) == close_to(scores)
    assert dict(zip(table["name"], table["dqi_signal"], strict=True)) == {
        name: key for name, (_, _, key) in RUNS.items()
    }
    assert table["dqi"].isna().tolist() == [False] * (len(RUNS) - 2) + [True] * 2


def test_what_was_taken_off_is_scored_again_as_before(harness: Harness) -> None:
    both = [{"loss": curve(seed=number), "grad_norm": curve(seed=9)} for number in range(3)]
    runs = [harness.add(f"r{number}", metrics) for number, metrics in enumerate(both)]
    before = [harness.owned(run) for run in runs]
    harness.backfill()
    first = {ref.run_id: numbers_of(ref) for ref in harness.find()}
    assert unscored(harness).counts == {"unscored": 3}
    assert [harness.owned(run) for run in runs] == before
    assert [harness.files(run) for run in runs] == [{}, {}, {}]
    assert (marks(harness), len(harness.rank())) == (dict.fromkeys(runs), 0)
    assert unscored(harness).counts == {"unchanged": 3}
    assert harness.backfill()[0].counts == {"scored": 3}
    assert {ref.run_id: numbers_of(ref) for ref in harness.find()} == first
    assert [sorted(harness.files(run)) for run in runs] == [sorted(FILES)] * 3
