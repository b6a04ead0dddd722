"""Credentials in a tracking URI come back in nothing that is said, logged or written."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from dqi_tracking import DQIError
from tests.mlflow_runs import LogRun, MakeExperiment, curve, found, history_of, one_pass, written
from tests.proxy import FaultProxy
from tests.stores import PostgresServer, Store, free_port

SECRET = "hunter2-and-more"


def _secret_uris(port: int) -> dict[str, str]:
    return {
        "postgresql": f"postgresql+psycopg://user:{SECRET}@127.0.0.1:{port}/mlflow",
        "http": f"http://user:{SECRET}@127.0.0.1:{port}",
        "odd": f"postgresql+psycopg://user:a@{SECRET}@127.0.0.1:{port}/mlflow",
        "odd http": f"http://user:a@{SECRET}@127.0.0.1:{port}",
        "no driver": f"postgresql+nothing://user:{SECRET}@127.0.0.1:{port}/mlflow",
        "query": f"postgresql+psycopg://127.0.0.1:{port}/mlflow?user=u&password={SECRET}",
    }


@pytest.mark.parametrize("kind", _secret_uris(0))
def test_no_error_tells_the_password(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    uri = _secret_uris(free_port())[kind]
    with pytest.raises(DQIError) as refusal:
        found(Store("secret", uri, None), "mlflow:")
    error = refusal.value
    assert SECRET not in f"{error} {error!r} {error.fix} {error.args} {error.__dict__}"
    assert SECRET not in caplog.text
    assert "127.0.0.1" in error.message


@pytest.mark.parametrize(("command", "kind"), [("backfill", "http"), ("doctor", "postgresql")])
def test_no_command_prints_the_password(command: str, kind: str) -> None:
    uri = _secret_uris(free_port())[kind]
    done = subprocess.run(
        [sys.executable, "-m", "dqi_tracking", command, "mlflow:"],
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, "DQI_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "***@127.0.0.1" in done.stdout + done.stderr


def test_no_report_or_run_holds_the_password(
    fault_proxy: FaultProxy, http_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    experiment = make_experiment(http_sqlite)
    runs = [log_run(http_sqlite, experiment.id, metrics={"loss": curve()}) for _ in range(2)]
    fault_proxy.fail(history_of(runs[0]))
    # the server asks for no password, and does not mind being given one
    uri = fault_proxy.uri.replace("://", f"://user:{SECRET}@")
    report, outcomes = one_pass(Store("secret", uri, None), experiment)
    assert report.counts == {"scored": 1, "failed": 1}
    told = [dataclasses.asdict(failure) for failure in report.failures]
    assert SECRET not in json.dumps([told, *map(str, outcomes.values())], default=str)
    assert SECRET not in str(written(http_sqlite, runs[1]))


def test_a_wrong_password_is_not_told(postgres_instance: PostgresServer) -> None:
    uri = postgres_instance.uri("no_such_database").replace("postgres@", f"postgres:{SECRET}@")
    with pytest.raises(DQIError) as refusal:
        found(Store("secret", uri, None), "mlflow:")
    assert SECRET not in f"{refusal.value!r} {refusal.value.fix}"
