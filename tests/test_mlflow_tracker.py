"""Listing the runs of an MLflow store, and where its UI shows them."""

from __future__ import annotations

import shlex
from itertools import pairwise

import pytest
from mlflow import MlflowClient

from dqi_tracking import Query
from dqi_tracking.trackers.base import View
from dqi_tracking.trackers.mlflow import listing as module
from tests.conftest import Experiment
from tests.mlflow_runs import (
    IN_PROCESS,
    SERVED,
    LogRun,
    MakeExperiment,
    found,
    opened,
    through,
)
from tests.proxy import FaultProxy
from tests.stores import Store


def _empty_runs(store: Store, experiment: Experiment, n: int) -> list[str]:
    client = MlflowClient(tracking_uri=store.uri)
    runs = [client.create_run(experiment.id, start_time=k + 1).info.run_id for k in range(n)]
    for run in runs:
        client.set_terminated(run)
    return runs


def test_only_finished_runs_are_found_newest_first(store: Store, experiment: Experiment) -> None:
    client = MlflowClient(tracking_uri=store.uri)
    statuses = ["FINISHED", "FAILED", "RUNNING", "KILLED", "FINISHED", "SCHEDULED", "FINISHED"]
    runs: list[str] = []
    for number, status in enumerate(statuses):
        runs.append(client.create_run(experiment.id, start_time=1_000 + number).info.run_id)
        client.update_run(runs[-1], status)
    client.delete_run(runs[4])

    def statuses_of(**query: bool) -> list[str]:
        refs = found(store, experiment, Query(**query))
        assert all(newer.started > older.started for newer, older in pairwise(refs))
        return [ref.status for ref in refs]

    assert [ref.run_id for ref in found(store, experiment)] == [runs[6], runs[0]]
    assert statuses_of(include_failed=True) == ["FINISHED", "KILLED", "FAILED", "FINISHED"]
    assert statuses_of(include_running=True) == ["FINISHED", "SCHEDULED", "RUNNING", "FINISHED"]
    both = statuses_of(include_failed=True, include_running=True)
    assert both == ["FINISHED", "SCHEDULED", "KILLED", "RUNNING", "FAILED", "FINISHED"]


def test_a_listing_of_many_pages_gives_each_run_once(
    store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    runs = _empty_runs(store, experiment, 10)
    assert [ref.run_id for ref in found(store, experiment)] == runs[::-1]
    assert [ref.run_id for ref in found(store, experiment, Query(limit=4))] == runs[:5:-1]
    assert found(store, experiment, Query(limit=0)) == []


def test_all_experiments_are_found_over_many_requests(
    fresh_sqlite: Store, make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(module, "EXPERIMENTS_A_REQUEST", 2)
    experiments = [make_experiment(fresh_sqlite) for _ in range(5)]
    runs = {run for made in experiments for run in _empty_runs(fresh_sqlite, made, 3)}
    refs = found(fresh_sqlite, "mlflow:")
    assert len(refs) == 15
    assert {ref.run_id for ref in refs} == runs
    assert {ref.group for ref in refs} == {made.name for made in experiments}
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    client.delete_experiment(experiments[0].id)
    assert len(found(fresh_sqlite, "mlflow:")) == 12


def test_a_run_is_described_by_its_listing(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    points = [(0, 2.0, 1_000), (10, 0.25, 3_000), (5, float("nan"), 2_000)]
    run_id = log_run(
        store,
        experiment.id,
        name="a name",
        metrics={"train/loss": points, "grad_norm": [(1, 7.0, 9)], "accuracy": [(0, 1.0)]},
    )
    (ref,) = found(store, experiment)
    info = MlflowClient(tracking_uri=store.uri).get_run(run_id).info
    assert (ref.run_id, ref.name, ref.group) == (run_id, "a name", experiment.name)
    assert (ref.started, ref.ended, ref.stamp) == (info.start_time, info.end_time, None)
    assert [str(key) for key in ref.loss_keys] == ["train/loss"]
    assert ref.latest == {"grad_norm": "7.0@1/9", "train/loss": "0.25@10/3000"}


def test_an_experiment_is_found_by_name_or_id(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id)
    assert [ref.run_id for ref in found(store, f"mlflow:{experiment.id}")] == [run_id]
    assert [ref.run_id for ref in found(store, f"runs:/{run_id}")] == [run_id]


def test_where_and_since_narrow_the_listing(store: Store, experiment: Experiment) -> None:
    client = MlflowClient(tracking_uri=store.uri)
    runs = [client.create_run(experiment.id, start_time=n, tags={"n": str(n)}) for n in (1, 2, 3)]
    for ended, run in zip((10, 30, 20), runs, strict=True):
        client.set_terminated(run.info.run_id, end_time=ended)
    refs = found(store, experiment, Query("tags.n != '2'"))
    assert [ref.started for ref in refs] == [3, 1]
    assert [ref.ended for ref in found(store, experiment, Query(since=20))] == [20, 30]
    refs = found(store, experiment, Query("tags.n != '2'", since=20, include_failed=True))
    assert [ref.ended for ref in refs] == [20]


def test_a_listing_costs_no_request_a_run(
    fault_proxy: FaultProxy, http_sqlite: Store, make_experiment: MakeExperiment
) -> None:
    client = MlflowClient(tracking_uri=http_sqlite.uri)

    def requests(n: int) -> int:
        experiment = make_experiment(http_sqlite)
        for _ in range(n):
            client.create_run(experiment.id)
        fault_proxy.reset()
        query = Query(include_running=True)
        assert len(found(through(fault_proxy), experiment, query)) == n
        return fault_proxy.counts.total()

    assert requests(30) == requests(3)


@SERVED
def test_a_server_shows_runs_and_the_sorted_table_itself(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id)
    tracker = opened(store, experiment)
    (ref,) = tracker.find(Query())
    table = f"{store.uri}/#/experiments/{experiment.id}/runs"
    assert tracker.view(ref) == View(f"{table}/{run_id}", "")
    assert tracker.view() == View(f"{table}?orderByKey=metrics.%60dqi%60&orderByAsc=false", "")
    single = opened(store, f"runs:/{run_id}")
    assert [single.view(found).url for found in single.find(Query())] == [f"{table}/{run_id}"]


@IN_PROCESS
def test_a_store_without_a_server_says_how_to_start_its_ui(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id)
    tracker = opened(store, experiment)
    (ref,) = tracker.find(Query())
    url, command, _ = tracker.view(ref)
    assert url == f"http://127.0.0.1:5000/#/experiments/{experiment.id}/runs/{run_id}"
    assert shlex.split(command) == ["mlflow", "ui", "--backend-store-uri", store.uri]
    many = opened(store, "mlflow:")
    assert many.find(Query(limit=0)) is not None
    assert many.view().url == "http://127.0.0.1:5000/#/experiments"
