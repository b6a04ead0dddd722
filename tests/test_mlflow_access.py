"""MLflow servers and databases that are down, or do not let us in."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import requests
from mlflow import MlflowClient

from dqi_tracking import AuthError, StoreNotFound, TransientTrackerError
from tests.mlflow_runs import LogRun, curve, one_pass, opened, refused
from tests.stores import PostgresServer, Server, Store, free_port


def test_a_server_that_is_down() -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    error = refused(TransientTrackerError, uri, "mlflow:")
    assert uri in error.message
    refused(TransientTrackerError, uri, f"runs:/{'0' * 32}")


def test_a_database_that_is_down(postgres_instance: PostgresServer) -> None:
    uri = f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/mlflow"
    assert "refused" in refused(TransientTrackerError, uri, "mlflow:").message
    wrong = postgres_instance.uri("no_such_database")
    error = refused(StoreNotFound, wrong, "mlflow:")
    assert "no_such_database" in error.message
    assert "name" in error.fix
    refused(StoreNotFound, postgres_instance.uri("postgres"), "mlflow:")


def test_a_database_that_wants_a_password(postgres_instance: PostgresServer) -> None:
    database = psycopg.connect(postgres_instance.uri("postgres", driver="postgresql"))
    with closing(database), database:
        rules = Path(str(database.execute("SHOW hba_file").fetchone()[0]))
        database.execute("CREATE USER guarded PASSWORD 'right'")
    before = rules.read_text()
    rules.write_text(f"host all guarded 127.0.0.1/32 scram-sha-256\n{before}")
    postgres_instance.execute("SELECT pg_reload_conf()")
    right, wrong, none = (
        postgres_instance.uri("postgres").replace("postgres@", user)
        for user in ("guarded:right@", "guarded:wr0ng@", "guarded@")
    )
    try:
        for uri in (wrong, none):
            error = refused(AuthError, uri, "mlflow:")
            assert "wr0ng" not in f"{error!r} {error} {error.fix}"
        refused(StoreNotFound, right, "mlflow:")
    finally:
        rules.write_text(before)
        postgres_instance.execute("SELECT pg_reload_conf()")


def test_a_server_that_wants_a_password(
    auth_server: Server, log_run: LogRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("auth", auth_server.uri, None)
    refused(AuthError, store, "mlflow:")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", auth_server.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wr0ng-password")
    error = refused(AuthError, store, "mlflow:Default")
    assert "MLFLOW_TRACKING_PASSWORD" in error.fix
    assert "wr0ng-password" not in f"{error!r} {error.fix}"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", auth_server.password)
    run_id = log_run(store, "0", metrics={"loss": curve()})
    assert one_pass(store, "mlflow:Default")[0].counts == {"scored": 1}
    assert opened(store, f"runs:/{run_id}").address == auth_server.uri


def test_reading_is_allowed_and_writing_is_not(
    auth_server: Server, log_run: LogRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store("auth", auth_server.uri, None)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", auth_server.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", auth_server.password)
    made = MlflowClient(tracking_uri=store.uri).create_experiment("guarded")
    run_id = log_run(store, made, metrics={"loss": curve()})
    reader = {"username": "reader", "password": "a-long-enough-password"}
    requests.post(
        f"{auth_server.uri}/api/2.0/mlflow/users/create",
        json=reader,
        auth=(auth_server.username, auth_server.password),
        timeout=30,
    ).raise_for_status()
    for name, value in reader.items():
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name.upper()}", value)
    report, _ = one_pass(store, f"runs:/{run_id}")
    assert report.counts == {"failed": 1}
    (failure,) = report.failures
    assert "MLFLOW_TRACKING_USERNAME" in failure.fix
