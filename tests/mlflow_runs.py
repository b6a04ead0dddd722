"""What the MLflow tests share: opening a tracker at a store, and looking at runs from outside.

Looking goes through MLflow's public client, never through the code under test.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from dqi_tracking import DQIError, Outcome, Query, Report, backfill, open_tracker
from dqi_tracking.config import load_settings
from dqi_tracking.trackers.base import Tracker
from dqi_tracking.types import RunRef
from tests.conftest import Experiment
from tests.proxy import FaultProxy, When
from tests.stores import Store

LogRun = Callable[..., str]
MakeExperiment = Callable[[Store], Experiment]

IN_PROCESS = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
SERVED = pytest.mark.parametrize("store", ["http_sqlite"], indirect=True)
BOTH = pytest.mark.parametrize("store", ["sqlite", "http_postgres"], indirect=True)
"""In process and over HTTP, where the five kinds of stores could not differ otherwise."""

FILES = ["dqi/phases.html", "dqi/phases.json"]
BATCH = "/api/2.0/mlflow/runs/log-batch"


def curve(n: int = 60, seed: int = 0) -> np.ndarray:
    """Return a noisy, falling loss of n points."""
    noise = np.random.default_rng(seed).normal(scale=0.05, size=n)
    return np.exp(-np.linspace(0, 4, n)) + 1 + noise


def through(proxy: FaultProxy) -> Store:
    """Return the store behind a proxy."""
    return Store("proxy", proxy.uri, None)


def opened(store: Store, target: Experiment | str, **settings: Any) -> Tracker:
    """Open a tracker at an experiment, or at an address."""
    address = target if isinstance(target, str) else f"mlflow:{target.name}"
    return open_tracker(address, settings=load_settings(tracking_uri=store.uri, **settings))


def found(store: Store, target: Experiment | str, query: Query | None = None) -> list[RunRef]:
    """List the runs of an experiment as the tracker does."""
    return list(opened(store, target).find(query or Query()))


def refused(kind: type[DQIError], store: Store | str, target: str | Experiment) -> DQIError:
    """Ask for the runs of an address, and return the error, which must say what to do.

    A string in the store's place is a tracking URI.
    """
    where = Store("wrong", store, None) if isinstance(store, str) else store
    with pytest.raises(kind) as refusal:
        found(where, target)
    error = refusal.value
    assert type(error) is kind
    assert error.fix
    assert "\n" not in error.message + error.fix
    assert not error.message[0].isupper()
    return error


def one_pass(
    store: Store,
    target: Experiment | str,
    settings: dict[str, Any] | None = None,
    **given: Any,
) -> tuple[Report, dict[str, Outcome]]:
    """Run one backfill; return its report, and the outcome of each run by id."""
    outcomes: list[Outcome] = []
    report = backfill(
        target if isinstance(target, str) else f"mlflow:{target.name}",
        settings=load_settings(tracking_uri=store.uri, **(settings or {})),
        on_outcome=outcomes.append,
        **given,
    )
    by_run = {outcome.ref.run_id: outcome for outcome in outcomes}
    assert len(by_run) == len(outcomes), "a run came twice"
    return report, by_run


def outcomes_of(by_run: dict[str, Outcome]) -> dict[str, str]:
    """Return each run's outcome as a word."""
    return {run: outcome.outcome for run, outcome in by_run.items()}


def insert_series(store: Store, experiment_id: str, values: np.ndarray) -> str:
    """Make a run in a SQLite store whose loss is put into the tables, a value a step.

    MLflow's own client takes half a second for a thousand points.
    """
    client = MlflowClient(tracking_uri=store.uri)
    run_id = client.create_run(experiment_id).info.run_id
    with closing(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as database, database:
        database.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
            "VALUES ('loss', ?, ?, ?, ?, 0)",
            ((value, 1_000 + step, run_id, step) for step, value in enumerate(values.tolist())),
        )
        database.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) "
            "VALUES ('loss', ?, ?, ?, 0, ?)",
            (float(values[-1]), 1_000 + values.size - 1, values.size - 1, run_id),
        )
    client.set_terminated(run_id)
    return str(run_id)


def written(store: Store, run_id: str) -> dict[str, Any]:
    """Return everything of DQI on a run."""
    client = MlflowClient(tracking_uri=store.uri)
    run = client.get_run(run_id)
    return {
        "metrics": {
            # one NaN for all, so that states can be compared
            k: math.nan if math.isnan(v) else v
            for k, v in run.data.metrics.items()
            if k.startswith("dqi")
        },
        "tags": {
            k.removeprefix("dqi."): v for k, v in run.data.tags.items() if k.startswith("dqi.")
        },
        "files": sorted(file.path for file in client.list_artifacts(run_id, "dqi")),
    }


def numbers(
    store: Store, runs: list[str], *, without: Collection[str] = ()
) -> dict[str, tuple[Any, ...]]:
    """Return what stands on runs, but for the time of scoring and other facts left out."""
    states = {run: written(store, run) for run in runs}
    return {
        run: (
            sorted((key, repr(value)) for key, value in state["metrics"].items()),
            {k: v for k, v in state["tags"].items() if k not in {"scored_at", *without}},
            state["files"],
        )
        for run, state in states.items()
    }


def others(store: Store, run_id: str) -> dict[str, Any]:
    """Return everything on a run that is not DQI's."""
    run = MlflowClient(tracking_uri=store.uri).get_run(run_id)
    logged = {
        metric.key: (repr(metric.value), metric.step, metric.timestamp)
        for metric in run.data.to_proto().metrics
        if not metric.key.startswith("dqi")
    }
    return {
        "info": dict(run.info),
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("dqi.")},
        "metrics": logged,
    }


def history_of(run_id: str) -> When:
    """Match requests for a run's metric history."""
    return lambda _method, target, _body: "/metrics/get-history" in target and run_id in target


def batch_of(run_id: str) -> When:
    """Match the request that puts metrics and tags on a run."""
    return lambda _method, target, body: target.endswith(BATCH) and run_id.encode() in body


def artifacts_of(run_id: str) -> When:
    """Match uploads of a run's artifacts."""
    return lambda method, target, _body: (
        method in {"PUT", "POST"} and "/mlflow-artifacts/" in target and run_id in target
    )


def history_requests(proxy: FaultProxy) -> int:
    """Count the requests for any history."""
    return sum(n for (_, path), n in proxy.counts.items() if "/metrics/get-history" in path)
