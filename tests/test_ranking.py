"""The table of scored runs, from what is written on them."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from dqi_tracking import rank
from dqi_tracking.errors import ConfigError
from dqi_tracking.names import KEY_OF_FACT, METRICS
from dqi_tracking.pipeline import ScoringOptions, begin, process
from dqi_tracking.ranking import COLUMNS, rank_runs
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import Stamp
from tests.recorder import Recorder, curve


def stamped(tracker: Recorder, run_id: str, dqi: float, **facts: str) -> None:
    run = tracker.add(run_id, name=f"name of {run_id}", loss=curve(1))
    run.stamp = Stamp({"dqi": dqi}, {"status": "ok", "fingerprint": "a-b", **facts})


@pytest.fixture
def tracker() -> Recorder:
    tracker = Recorder()
    for run_id, dqi in (("mid", 0.5), ("nan", math.nan), ("low", 0.1), ("high", 0.9)):
        stamped(tracker, run_id, dqi, weakest=f"w{run_id}")
    return tracker


def order(table: pd.DataFrame) -> list[str]:
    return table["run"].tolist()


def test_the_highest_comes_first_and_runs_without_a_number_last(tracker: Recorder) -> None:
    table = rank_runs(tracker)
    assert order(table) == ["high", "mid", "low", "nan"]
    assert table.index.tolist() == [0, 1, 2, 3]
    assert order(rank_runs(tracker, ascending=True)) == ["low", "mid", "high", "nan"]


def test_every_column_is_what_stands_on_the_run() -> None:
    tracker = Recorder()
    twice = [*curve(1), curve(1)[-1]]
    tracker.add("r", name="a name", loss=twice, grad_norm=[(step, 1.0) for step, _ in twice])
    (outcome,) = process(tracker, list(tracker.find(Query())), begin(ScoringOptions()))
    (row,) = rank_runs(tracker).to_dict("records")
    assert tuple(row) == COLUMNS
    assert (row["run"], row["name"], row["group"]) == ("r", "a name", "memory")
    assert {name: row[name] for name in METRICS} == outcome.stamp.metrics
    for fact in (
        "status",
        "weakest",
        "state",
        "checks",
        "signal",
        "phases",
        "version",
        "scored_at",
    ):
        assert row[KEY_OF_FACT[fact]] == outcome.stamp.facts[fact]
    assert (row["dqi_checks"], row["dqi_findings"]) == (1.0, "duplicated_steps")


def test_nothing_is_read_or_written(tracker: Recorder) -> None:
    before = {run_id: run.stamp for run_id, run in tracker.runs.items()}
    rank_runs(tracker)
    assert (tracker.was_read, set(tracker.calls)) == ([], {"list", "end of list"})
    assert {run_id: run.stamp for run_id, run in tracker.runs.items()} == before


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_can_be_sorted_by_in_both_directions(tracker: Recorder, column: str) -> None:
    for ascending in (True, False):
        values = rank_runs(tracker, sort=column, ascending=ascending)[column].dropna().tolist()
        assert values == sorted(values, reverse=not ascending)
        assert len(values) in (0, 3, 4)


def test_equal_scores_are_in_the_order_of_their_names() -> None:
    tracker = Recorder()
    for run_id in ("b", "c", "a"):
        stamped(tracker, run_id, 0.5)
    assert order(rank_runs(tracker)) == order(rank_runs(tracker, ascending=True)) == ["a", "b", "c"]


def test_the_top_is_taken_after_sorting(tracker: Recorder) -> None:
    assert order(rank_runs(tracker, top=2)) == ["high", "mid"]
    assert order(rank_runs(tracker, top=9)) == ["high", "mid", "low", "nan"]


def test_runs_that_are_not_scored_are_counted_where_a_backfill_could_score_them(
    tracker: Recorder,
) -> None:
    tracker.add("new", loss=curve(1))
    tracker.add("none", accuracy=curve(1))
    # a write that died: metrics, and no commit mark
    tracker.add("half", loss=curve(1)).stamp = Stamp({"dqi": 0.9}, {"status": "ok"}, 1)
    table = rank_runs(tracker)
    assert order(table) == ["high", "mid", "low", "nan"]
    assert table.attrs["n_unscored"] == 2


def test_failed_and_running_runs_are_ranked_where_they_are_scored(tracker: Recorder) -> None:
    tracker.runs["high"].status = "FAILED"
    tracker.runs["mid"].status = "RUNNING"
    assert order(rank_runs(tracker)) == ["high", "mid", "low", "nan"]


def test_an_empty_tracker_gives_an_empty_table_with_all_columns() -> None:
    table = rank_runs(Recorder())
    assert (len(table), tuple(table.columns), table.attrs["n_unscored"]) == (0, COLUMNS, 0)


def test_an_unknown_column_is_refused_with_those_there_are(tracker: Recorder) -> None:
    with pytest.raises(ConfigError, match="`loss`") as caught:
        rank_runs(tracker, sort="loss")
    assert "dqi_early_coverage" in caught.value.fix
    assert tracker.calls == []


def test_ranking_an_address_closes_what_it_opened(
    tracker: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dqi_tracking.ranking.open_tracker", lambda *_, **__: tracker)
    assert order(rank("memory:", top=1)) == ["high"]
    with pytest.raises(ConfigError, match="no filters"):
        rank("memory:", where="metrics.dqi > 0.3")
    assert tracker.calls.count("close") == 2


def test_a_curve_file_has_no_scored_runs(tmp_path: Path) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("step,loss\n0,1\n1,2\n")
    table = rank(str(path))
    assert (len(table), table.attrs["n_unscored"]) == (0, 1)
