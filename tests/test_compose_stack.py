"""docker-compose.yml at work: PostgreSQL, S3, MLflow and the backfill, as it starts them."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import psutil
import psycopg
import pytest
from mlflow import MlflowClient

from dqi_tracking import History, score
from dqi_tracking.cli.exits import ExitCode
from tests.compose_stack import SECONDS, Stack, postgres_of, s3_of, services, values
from tests.mlflow_runs import FILES, LogRun, curve, written
from tests.stores import PostgresServer, Store
from tests.wandb_project import add_runs
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]

N_RUNS = 4


@pytest.fixture(scope="module")
def stack(
    postgres_instance: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Start what MLflow needs and MLflow itself, in the order of the file."""
    stack = Stack(services(values()), tmp_path_factory.mktemp("compose"))
    with postgres_of(stack, postgres_instance), s3_of(stack):
        assert stack.is_healthy("postgres")
        for _ in range(2):  # `up` runs it again each time
            made = stack.run("bucket")
            assert (made.returncode, made.stderr) == (0, "")
        begun = "Application startup complete"
        with stack.started("mlflow", lambda log: begun in log and stack.is_healthy("mlflow")):
            yield stack


@pytest.fixture
def store(stack: Stack) -> Store:
    """Give the store as a client on this machine has it."""
    return Store("compose", stack.uri("mlflow:5000"), None)


@pytest.fixture(scope="module")
def bucket(stack: Stack) -> Any:
    """Give the bucket, past MLflow."""
    settings = stack.services["bucket"]["environment"]
    s3 = boto3.resource(
        "s3",
        endpoint_url=stack.uri("minio:9000"),
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
        region_name=settings["AWS_DEFAULT_REGION"],
    )
    return s3.Bucket("mlflow")


def in_bucket(bucket: Any) -> dict[str, str]:
    """Return the time of each object, by key."""
    return {each.key: str(each.last_modified) for each in bucket.objects.all()}


def backfilled(stack: Stack, service: str = "backfill") -> str:
    """Start a service for one pass, end it as `docker compose stop` does, and return its log."""
    with stack.started(service, lambda log: "next at" in log) as pid:
        os.kill(pid, signal.SIGTERM)
        assert psutil.Process(pid).wait(SECONDS) == ExitCode.TERMINATED
    return (stack.folder / f"{service}.log").read_text()


def test_new_runs_are_scored_and_their_pages_lie_in_the_bucket(
    stack: Stack, store: Store, bucket: Any, log_run: LogRun
) -> None:
    client = MlflowClient(tracking_uri=store.uri)
    experiment = client.create_experiment("trained")
    runs = [
        log_run(store, experiment, metrics={"loss": curve(seed=seed)}) for seed in range(N_RUNS)
    ]
    # no credentials of S3 here: the server hands it on
    client.log_text(runs[0], "mine", "notes.txt")

    log = backfilled(stack)
    assert f"pass 1: {N_RUNS} of {N_RUNS} runs scored" in log
    assert "stopped between two passes" in log
    for seed, run in enumerate(runs):
        found = written(store, run)
        expected = score(History(np.arange(60), loss=curve(seed=seed)))
        assert found["metrics"]["dqi"] == pytest.approx(expected.dqi, abs=1e-9)
        assert found["files"] == FILES
    after = in_bucket(bucket)
    expected_keys = {f"{experiment}/{run}/artifacts/{file}" for run in runs for file in FILES}
    assert set(after) == expected_keys | {f"{experiment}/{runs[0]}/artifacts/notes.txt"}
    page = bucket.Object(f"{experiment}/{runs[0]}/artifacts/dqi/phases.html").get()["Body"].read()
    assert page.lower().startswith(b"<!doctype html>")

    standing = [written(store, run) for run in runs]
    # as `docker compose up` starts it again, on the volume of the first
    assert f"nothing left to do: {N_RUNS} runs" in backfilled(stack)
    assert [written(store, run) for run in runs] == standing
    assert in_bucket(bucket) == after


def answer(stack: Stack, host: str, path: str) -> int:
    """Return the status that MLflow answers to a request for `host`."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.ports["mlflow:5000"], timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def test_mlflow_answers_to_its_name_in_the_network_and_on_this_machine_alone(stack: Stack) -> None:
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    uri = services(values())["backfill"]["environment"]["MLFLOW_TRACKING_URI"]
    for host in (uri.removeprefix("http://"), "localhost:5000", "127.0.0.1:8888"):
        assert answer(stack, host, path) == 200, host
    for host in ("mlflow.example.com", "mlflow:80", "evil", "10.0.0.1:5000"):
        assert answer(stack, host, path) == 403, host


def test_the_health_check_of_the_backfill_is_whether_mlflow_answers(
    stack: Stack, tmp_path: Path
) -> None:
    assert stack.is_healthy("backfill")
    lonely = Stack(stack.services, tmp_path)
    assert not lonely.is_healthy("backfill")
    assert not lonely.is_healthy("mlflow")
    # it is told, and tried again
    assert "does not answer" in backfilled(lonely)


def test_the_password_is_the_one_of_the_file_and_another_is_refused(stack: Stack) -> None:
    asked = stack.environment("mlflow")
    uri = f"postgresql://mlflow@127.0.0.1:{stack.ports['postgres:5432']}/mlflow"
    with psycopg.connect(uri, password=asked["PGPASSWORD"]) as connection:
        assert connection.execute("SELECT count(*) FROM experiments").fetchone()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(uri, password="another").close()
    assert asked["PGPASSWORD"] not in " ".join(stack.command("mlflow"))


@pytest.fixture
def empty_wandb(wandb_server: WandbServer) -> Iterator[WandbServer]:
    """Give the worker's server without runs, and leave none to the tests that share it."""
    wandb_server.reset()
    yield wandb_server
    wandb_server.reset()


@pytest.mark.xdist_group("wandb")
def test_the_second_backfill_scores_the_runs_of_a_wandb_server(
    empty_wandb: WandbServer, tmp_path: Path
) -> None:
    add_runs(empty_wandb, "a", "b")
    given = values(WANDB_ENTITY="team", WANDB_PROJECT="p", WANDB_API_KEY=empty_wandb.api_key)
    stack = Stack(services(given), tmp_path)
    stack.ports["wandb:8080"] = int(empty_wandb.url.rpartition(":")[2])
    assert stack.is_healthy("wandb-backfill")
    assert "pass 1: 2 of 2 runs scored" in backfilled(stack, "wandb-backfill")
    nameless = Stack(services(values()), tmp_path).run("wandb-backfill")
    assert nameless.returncode == ExitCode.USAGE
    assert "fix: use wandb:ENTITY/PROJECT" in nameless.stderr
