"""The stores, servers and the proxy of the tests work, and leave nothing behind."""

from __future__ import annotations

import os
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.conftest import Experiment
from tests.proxy import FaultProxy
from tests.stores import (
    PostgresServer,
    Server,
    Store,
    alive,
    mlflow_server,
    postgres_server,
    process_tree,
    sqlite_store,
)

EXPERIMENT = "/api/2.0/mlflow/experiments/get"
SEARCH = "/api/2.0/mlflow/runs/search"
SET_TAG = "/api/2.0/mlflow/experiments/set-experiment-tag"

LogRun = Callable[..., str]


def test_store_gives_back_a_run(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    points = np.random.default_rng(0).normal(size=1500)
    run_id = log_run(
        store,
        experiment.id,
        metrics={"loss": points, "val/loss": [(0, 1.0), (10, 0.5, 123)]},
        params={"lr": "0.1"},
        tags={"kind": "test"},
        status="FAILED",
    )
    client = MlflowClient(tracking_uri=store.uri)
    run = client.get_run(run_id)
    assert (run.info.status, run.data.params, run.data.tags["kind"]) == (
        "FAILED",
        {"lr": "0.1"},
        "test",
    )
    history = sorted(client.get_metric_history(run_id, "loss"), key=lambda point: point.step)
    assert np.array_equal([point.value for point in history], points)
    assert [point.step for point in history] == list(range(1500))
    assert {point.timestamp for point in client.get_metric_history(run_id, "val/loss")} > {123}
    client.log_dict(run_id, {"a": 1}, "dqi/phases.json")
    assert [file.path for file in client.list_artifacts(run_id, "dqi")] == ["dqi/phases.json"]
    assert [found.info.run_id for found in client.search_runs([experiment.id])] == [run_id]


def test_fresh_sqlite_is_empty(fresh_sqlite: Store) -> None:
    names = [one.name for one in MlflowClient(tracking_uri=fresh_sqlite.uri).search_experiments()]
    assert names == ["Default"]


def test_fresh_postgres_is_empty(fresh_postgres: Store) -> None:
    names = [one.name for one in MlflowClient(tracking_uri=fresh_postgres.uri).search_experiments()]
    assert names == ["Default"]


def test_auth_server_asks_for_the_password(
    auth_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(tracking_uri=auth_server.uri)
    with pytest.raises(MlflowException, match="401"):
        client.search_experiments()
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", auth_server.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", auth_server.password)
    assert client.create_experiment("with-password")


def test_environment_is_hermetic(hermetic: Path) -> None:
    assert Path.home() == hermetic
    assert not [name for name in os.environ if name.startswith(("DQI_", "WANDB_"))]
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert not (Path.cwd() / "mlruns").exists()


def _refuses(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.xdist_group("http")
def test_mlflow_server_leaves_no_process(tmp_path: Path, sqlite_template: Path) -> None:
    with (
        sqlite_store(tmp_path, template=sqlite_template) as store,
        mlflow_server(store.uri, tmp_path / "artifacts") as server,
    ):
        tree = process_tree(server.pid)
        assert all(map(alive, tree))
    assert not any(map(alive, tree))
    assert _refuses(urllib.parse.urlsplit(server.uri).port or 0)


def test_postgres_leaves_no_process(tmp_path: Path) -> None:
    with postgres_server(tmp_path) as server:
        assert isinstance(server, PostgresServer)
        tree = process_tree(server.pid)
        assert len(tree) > 1
    assert not any(map(alive, tree))
    assert _refuses(server.port)


def test_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="no-such-scheme"),
        mlflow_server("no-such-scheme://nowhere", tmp_path / "artifacts"),
    ):
        pass


def _get(proxy: FaultProxy, seconds: float = 10) -> requests.Response:
    return requests.get(f"{proxy.uri}{EXPERIMENT}?experiment_id=0", timeout=seconds)


def _at(end: str) -> Callable[[str, str, bytes], bool]:
    return lambda _method, target, _body: urllib.parse.urlsplit(target).path.endswith(end)


def test_proxy_forwards_and_counts(fault_proxy: FaultProxy, log_run: LogRun) -> None:
    through = Store("proxy", fault_proxy.uri, None)
    run_id = log_run(through, "0", metrics={"loss": np.arange(3.0)})
    client = MlflowClient(tracking_uri=through.uri)
    assert len(client.get_metric_history(run_id, "loss")) == 3
    client.log_dict(run_id, {"a": 1}, "a.json")
    client.search_runs(["0"])
    counts = fault_proxy.counts
    assert counts["POST", SEARCH] == 1
    # create, log-batch, update, and the artifact
    assert fault_proxy.writes == 4, counts


def test_proxy_fails_some_times(fault_proxy: FaultProxy) -> None:
    fault_proxy.fail(_at("get"), status=429, times=2, headers={"Retry-After": "7"}, body=b"no")
    first = _get(fault_proxy)
    assert (first.status_code, first.headers["Retry-After"], first.text) == (429, "7", "no")
    assert [_get(fault_proxy).status_code for _ in range(2)] == [429, 200]


def test_proxy_fails_after_the_write(
    fault_proxy: FaultProxy, http_sqlite: Store, make_experiment: Callable[[Store], Experiment]
) -> None:
    made = make_experiment(http_sqlite)
    fault_proxy.fail(lambda _m, _t, body: b'"late"' in body, applied=True)
    body = {"experiment_id": made.id, "key": "late", "value": "yes"}
    assert requests.post(fault_proxy.uri + SET_TAG, json=body, timeout=10).status_code == 502
    found = MlflowClient(tracking_uri=http_sqlite.uri).get_experiment(made.id)
    assert found.tags["late"] == "yes"


def test_proxy_cuts_the_body(fault_proxy: FaultProxy) -> None:
    fault_proxy.cut(_at("get"), times=1)
    with pytest.raises(requests.JSONDecodeError):
        _get(fault_proxy).json()
    fault_proxy.cut(_at("get"), times=1, aborted=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _get(fault_proxy)


def test_proxy_drips(fault_proxy: FaultProxy) -> None:
    fault_proxy.drip(_at("get"), interval=0.02)
    started = time.monotonic()
    answer = _get(fault_proxy)
    assert answer.json()["experiment"]["experiment_id"] == "0"
    assert time.monotonic() - started > 0.02 * len(answer.content) / 16 / 2


def test_proxy_hangs_and_ends_with_its_threads(http_sqlite: Store) -> None:
    before = set(threading.enumerate())
    release = threading.Event()
    with FaultProxy(http_sqlite.uri) as proxy, requests.Session() as kept_alive:
        proxy.hang(_at("get"), release, times=1)
        with pytest.raises(requests.ReadTimeout):
            _get(proxy, 0.2)
        release.set()
        assert kept_alive.get(f"{proxy.uri}{EXPERIMENT}?experiment_id=0", timeout=10).ok
        proxy.hang(_at("get"))
        with pytest.raises(requests.ReadTimeout):
            _get(proxy, 0.2)
    assert set(threading.enumerate()) == before
    assert _refuses(urllib.parse.urlsplit(proxy.uri).port or 0)
