"""The listing by SQL is the one of `search_runs`, to the last digit and in its order."""

from __future__ import annotations

import math

import pytest
from mlflow import MlflowClient

from dqi_tracking import Query
from dqi_tracking.trackers.mlflow.reading import Reader
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun, curve, one_pass, opened
from tests.stores import Store

SQL = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)
EVERYTHING = "attributes.run_id != ''"
"""A filter that all runs pass: with one, MLflow lists."""


@pytest.fixture
def runs(store: Store, experiment: Experiment, log_run: LogRun) -> list[str]:
    client = MlflowClient(tracking_uri=store.uri)
    special = [(0, 1.0), (1, math.nan), (2, math.inf), (3, -math.inf)]
    made = [
        log_run(store, experiment.id, metrics={"loss": curve(seed=n)}, tags={"mine": n})
        for n in range(5)
    ]
    made.append(log_run(store, experiment.id, metrics={"loss": special, "other/x": curve()}))
    made.append(log_run(store, experiment.id))
    made.append(log_run(store, experiment.id, metrics={"train/loss": curve()}, status="FAILED"))
    made.append(log_run(store, experiment.id, metrics={"loss": curve()}, status="RUNNING"))
    gone = log_run(store, experiment.id, metrics={"loss": curve()})
    client.delete_run(gone)
    return made


@SQL
@pytest.mark.parametrize("include", [False, True])
def test_both_say_the_same_of_the_same_runs_in_the_same_order(
    store: Store, experiment: Experiment, runs: list[str], include: bool
) -> None:
    for _ in range(2):
        tracker = opened(store, experiment)
        by_sql = list(tracker.find(Query("", include, include)))
        by_mlflow = list(tracker.find(Query(EVERYTHING, include, include)))
        assert list(map(repr, by_sql)) == list(map(repr, by_mlflow))
        assert len(by_sql) == (len(runs) if include else len(runs) - 2)
        # and again with scores on them, one of them not finite
        one_pass(store, experiment)


@SQL
def test_it_is_by_sql(
    store: Store, experiment: Experiment, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_asked(*_: object, **__: object) -> None:
        raise AssertionError("MLflow was asked")

    monkeypatch.setattr(MlflowClient, "search_runs", not_asked)
    tracker = opened(store, experiment)
    assert len(list(tracker.find(Query()))) == len(runs) - 2


@SQL
def test_without_the_route_mlflow_lists(
    store: Store, experiment: Experiment, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_sql = list(opened(store, experiment).find(Query()))
    monkeypatch.setattr(Reader, "listing", lambda self: None)
    assert list(map(repr, opened(store, experiment).find(Query()))) == list(map(repr, by_sql))
