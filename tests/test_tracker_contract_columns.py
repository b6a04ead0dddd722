"""Columns that a listing brings along: the same from every tracker, by its own names."""

from __future__ import annotations

import math
from dataclasses import replace

from dqi_tracking import Query
from dqi_tracking.fitting.weighting import NO_OUTCOME, scored_runs
from dqi_tracking.trackers.columns import EVERY
from dqi_tracking.types import PHASES, Stamp
from tests.tracker_harness.base import Harness

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

LOSS = {"loss": [(0, 3.0), (1, 2.0), (2, 1.25)]}


def columns(harness: Harness, *names: str) -> dict[str, dict[str, str]]:
    """Return what a listing brings along, by the run's name."""
    return {ref.name: dict(ref.columns) for ref in harness.find(Query(columns=names))}


def test_metrics_and_params_come_by_the_names_that_were_asked_for(harness: Harness) -> None:
    values = {"val loss": [(0, 0.5), (7, 0.1 + 0.2)], "grad/norm.total": [(2, 1e-7)]}
    harness.add("a", {**LOSS, **values}, params={"model": "gpt <b>", "data.set": "ä;,'"})
    harness.add("b", LOSS, params={"model": "7"})
    total, loss = (harness.metric_column.format(key) for key in ("grad/norm.total", "val loss"))
    model, data = (harness.param_column.format(key) for key in ("model", "data.set"))
    assert columns(harness, loss, model, data, total) == {
        "a": {loss: repr(0.1 + 0.2), total: "1e-07", model: "gpt <b>", data: "ä;,'"},
        "b": {model: "7"},
    }


def test_a_name_may_stand_in_quotes(harness: Harness) -> None:
    harness.add("a", {**LOSS, "val loss": [(0, 0.5)]}, params={"model": "gpt"})
    names = harness.metric_column.format("`val loss`"), harness.param_column.format('"model"')
    assert columns(harness, *names) == {"a": dict(zip(names, ("0.5", "gpt"), strict=True))}


def test_nothing_comes_that_was_not_asked_for_or_is_not_there(harness: Harness) -> None:
    harness.add("a", LOSS, params={"model": "gpt"})
    harness.add("b", LOSS)
    model = harness.param_column.format("model")
    assert columns(harness) == {"a": {}, "b": {}}
    strange = ("", ".", "model", "params.", "nothing.model", "loss", f"{model}.x", "config", "``")
    assert columns(harness, *strange) == {"a": {}, "b": {}}
    assert columns(harness, *strange, model) == {"a": {model: "gpt"}, "b": {}}


def test_a_number_that_is_none_is_told_as_one(harness: Harness) -> None:
    values = {"odd": [(0, 1.0), (1, math.nan)], "far": [(0, 1.0), (1, -math.inf)]}
    harness.add("a", {**LOSS, **values})
    names = [harness.metric_column.format(key) for key in values]
    found = [float(columns(harness, *names)["a"][name]) for name in names]
    assert math.isnan(found[0])
    # MLflow keeps the largest number there is in the place of infinity
    assert found[1] < -1.7e308


def test_all_that_there_is_can_be_named(harness: Harness) -> None:
    harness.add("a", {**LOSS, "acc": [(0, 0.5)]}, params={"model": "gpt"})
    told = columns(harness, EVERY)["a"]
    wanted = {
        harness.metric_column.format("acc"): "0.5",
        harness.metric_column.format("loss"): "1.25",
        harness.param_column.format("model"): "gpt",
    }
    assert wanted.items() <= told.items()
    assert columns(harness, *told) == {"a": told}


def test_the_rest_of_the_listing_is_the_same(harness: Harness) -> None:
    for number in range(3):
        run = harness.add(f"r{number}", LOSS, params={"model": "gpt"})
    with harness.opened() as tracker:
        tracker.write(
            harness.ref(run), Stamp({"dqi": 0.5}, {"status": "ok", "fingerprint": "f"}), {}
        )
    names = harness.param_column.format("model"), harness.metric_column.format("loss")
    for asked in (names, (EVERY,)):
        found = harness.find(Query(columns=asked))
        assert [replace(ref, columns={}) for ref in found] == harness.find()
    assert [ref.name for ref in harness.find(Query(columns=names, limit=1))] == ["r2"]


def test_no_history_is_read_for_them_and_nothing_is_written(harness: Harness) -> None:
    for number in range(4):
        harness.add(f"r{number}", LOSS, params={"model": "gpt"})
    asked = Query(columns=(harness.param_column.format("model"),))
    writes = harness.writes()
    assert len(harness.find(asked)) == 4
    assert harness.writes() == writes
    before = harness.n_histories()
    harness.find(asked)
    assert harness.n_histories() == before


def test_a_run_that_is_gone_is_not_listed(harness: Harness) -> None:
    harness.add("kept", LOSS, params={"model": "gpt"})
    harness.delete(harness.add("gone", LOSS, params={"model": "gpt"}))
    model = harness.param_column.format("model")
    assert columns(harness, model) == {"kept": {model: "gpt"}}


def test_they_cost_no_request_a_run(harness: Harness) -> None:
    asked = Query(columns=tuple(map(harness.param_column.format, ("model", "lr"))))
    counts: list[int] = []
    for number in range(1, 7):
        harness.add(f"r{number}", LOSS, params={"model": "gpt"})
        before = harness.n_requests()
        assert len(harness.find(asked)) == number
        counts.append(harness.n_requests() - before)
    before = harness.n_requests()
    harness.find()
    # a statement more for params in a database, nothing more over HTTP
    assert set(counts) <= {harness.n_requests() - before, harness.n_requests() - before + 1}


def test_scores_and_outcomes_come_from_one_listing(harness: Harness) -> None:
    """What phase weights are learned from."""
    values = {"a": 0.5, "b": 0.1 + 0.2, "c": None}
    for name, value in values.items():
        loss = {"loss": [(step, 1 / (step + 1) + ord(name)) for step in range(12)]}
        final = {} if value is None else {"final": [(0, value)]}
        harness.add(name, loss | final, params={"data": f"set {name}"})
    harness.backfill()
    stamps = {ref.name: ref.stamp for ref in harness.find()}
    outcome, group = harness.metric_column.format("final"), harness.param_column.format("data")
    before = harness.writes()
    with harness.opened() as tracker:
        found = scored_runs(tracker, outcome, group=group)
    assert harness.writes() == before
    assert (found.n_listed, found.left_out) == (3, {NO_OUTCOME: 1})
    assert dict(zip(found.groups, found.outcomes, strict=True)) == {
        "set a": 0.5,
        "set b": 0.1 + 0.2,
    }
    for label, phases in zip(found.groups, found.phases, strict=True):
        stamp = stamps[label[-1]]
        assert stamp is not None
        assert phases.tolist() == [stamp.metrics[f"dqi_{phase}"] for phase in PHASES]
