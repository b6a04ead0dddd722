"""Fixtures: a hermetic environment, real stores and servers started when first asked for."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.proxy import FaultProxy
from tests.stores import (
    PostgresServer,
    Server,
    Store,
    basic_auth_server,
    clean_environment,
    file_store,
    make_sqlite_template,
    mlflow_server,
    postgres_database,
    postgres_server,
    sqlite_store,
)

if TYPE_CHECKING:
    from mlflow.entities import Metric

STORES = ("sqlite", "postgres", "http_sqlite", "http_postgres", "files")
# The first that a test uses names its xdist group; a server then starts in one worker only.
GROUPS = {
    "postgres": {"postgres_instance", "postgres", "http_postgres", "fresh_postgres"},
    "http": {"http_sqlite", "http_sqlite_server", "fault_proxy"},
    "auth": {"auth_server"},
}
BATCH = {"metrics": 1000, "params": 100, "tags": 100}

Points = Sequence[tuple[int, float] | tuple[int, float, int]] | np.ndarray


@dataclass(frozen=True)
class Experiment:
    """An experiment of a store."""

    name: str
    id: str


def _used(item: pytest.Item) -> set[str]:
    """Return the names of the fixtures that a test uses, those picked by parameters included."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    names = set(getattr(item, "fixturenames", ()))
    return names | {value for value in params.values() if isinstance(value, str)}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put all tests that use one server into one xdist group."""
    for item in items:
        used = _used(item)
        group = next((name for name, fixtures in GROUPS.items() if used & fixtures), None)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(values)


@pytest.fixture(scope="session", autouse=True)
def session_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Give the settings that every test starts with, and keep the developer's own away.

    MLflow's clients fail within seconds here, and an in-process SQL store without a root of its
    own for artifacts would make `./mlruns`.
    """
    saved = dict(os.environ)
    folder = tmp_path_factory.mktemp("session")
    environment = clean_environment() | {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": (folder / "artifacts").as_uri(),
        # One cache of fonts for all tests and their subprocesses: making it takes seconds.
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        # for what is started before a test has its own home
        "XDG_STATE_HOME": str(folder / "state"),
    }
    _set_environment(environment)
    yield environment
    _set_environment(saved)


@pytest.fixture(autouse=True)
def hermetic(
    request: pytest.FixtureRequest,
    session_environment: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """Give each test a home of its own, and undo what it does to the environment."""
    home = tmp_path_factory.mktemp("home")
    values = {"HOME": str(home)} | {
        f"XDG_{kind}_HOME": str(home / kind.lower())
        for kind in ("CONFIG", "CACHE", "DATA", "STATE")
    }
    if "files" in _used(request.node):
        values["MLFLOW_ALLOW_FILE_STORE"] = "true"
    _set_environment({**session_environment, **values})
    yield home
    if mlflow := sys.modules.get("mlflow"):
        mlflow.set_tracking_uri(None)
    _set_environment(session_environment)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a SQLite file with MLflow's schema, made once for all xdist workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return make_sqlite_template(shared / "mlflow-template.db")


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Store]:
    """Give the worker's in-process SQLite store."""
    with sqlite_store(tmp_path_factory.mktemp("sqlite"), template=sqlite_template) as store:
        yield store


@pytest.fixture
def fresh_sqlite(tmp_path: Path, sqlite_template: Path) -> Iterator[Store]:
    """Give an empty in-process SQLite store, in the test's folder."""
    with sqlite_store(tmp_path / "fresh_sqlite", template=sqlite_template) as store:
        yield store


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give the worker's file store; a test that uses it may open file stores."""
    with file_store(tmp_path_factory.mktemp("files") / "mlruns") as store:
        yield store


@pytest.fixture(scope="session")
def postgres_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Give the worker's PostgreSQL."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


def _postgres_store(instance: PostgresServer, artifacts: Path) -> Store:
    return Store("postgres", postgres_database(instance), artifacts.as_uri())


@pytest.fixture(scope="session")
def postgres(postgres_instance: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Give the worker's in-process PostgreSQL store."""
    return _postgres_store(postgres_instance, tmp_path_factory.mktemp("postgres-artifacts"))


@pytest.fixture
def fresh_postgres(postgres_instance: PostgresServer, tmp_path: Path) -> Store:
    """Give an empty in-process PostgreSQL store."""
    return _postgres_store(postgres_instance, tmp_path / "fresh_postgres")


@pytest.fixture(scope="session")
def http_sqlite_server(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Server]:
    """Give the worker's `mlflow server` over SQLite."""
    folder = tmp_path_factory.mktemp("http-sqlite")
    with (
        sqlite_store(folder, template=sqlite_template) as store,
        mlflow_server(store.uri, folder / "artifacts") as server,
    ):
        yield server


@pytest.fixture(scope="session")
def http_sqlite(http_sqlite_server: Server) -> Store:
    """Give the store of the worker's `mlflow server` over SQLite."""
    return Store("http_sqlite", http_sqlite_server.uri, None)


@pytest.fixture(scope="session")
def http_postgres(
    postgres_instance: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """Give the store of the worker's `mlflow server` over PostgreSQL."""
    folder = tmp_path_factory.mktemp("http-postgres")
    with mlflow_server(postgres_database(postgres_instance), folder / "artifacts") as server:
        yield Store("http_postgres", server.uri, None)


@pytest.fixture(scope="session")
def auth_server(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Server]:
    """Give the worker's `mlflow server` that asks for a password, over SQLite."""
    folder = tmp_path_factory.mktemp("auth")
    with (
        sqlite_store(folder, template=sqlite_template) as store,
        basic_auth_server(store.uri, folder) as server,
    ):
        yield server


@pytest.fixture
def fault_proxy(http_sqlite_server: Server) -> Iterator[FaultProxy]:
    """Give a proxy of the test's own in front of the server over SQLite."""
    with FaultProxy(http_sqlite_server.uri) as proxy:
        yield proxy


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    """Give each kind of store in turn, or those that `parametrize(..., indirect=True)` names."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Store)
    return found


@pytest.fixture
def make_experiment() -> Callable[[Store], Experiment]:
    """Give a function that makes a new experiment in a store."""

    def make(store: Store) -> Experiment:
        from mlflow import MlflowClient

        name = f"experiment-{uuid.uuid4().hex[:12]}"
        location = f"{store.artifact_root}/{name}" if store.artifact_root else None
        client = MlflowClient(tracking_uri=store.uri)
        return Experiment(name, client.create_experiment(name, artifact_location=location))

    return make


@pytest.fixture
def experiment(store: Store, make_experiment: Callable[[Store], Experiment]) -> Experiment:
    """Give a new experiment in `store`."""
    return make_experiment(store)


def _as_metrics(key: str, points: Points, now: int) -> list[Metric]:
    from mlflow.entities import Metric

    rows = enumerate(points.tolist()) if isinstance(points, np.ndarray) else points
    return [
        Metric(key, float(value), stamp[0] if stamp else now + number, int(step))
        for number, (step, value, *stamp) in enumerate(rows)
    ]


@pytest.fixture
def log_run() -> Callable[..., str]:
    """Give a function that logs a run through MLflow's public client, and returns its id.

    A metric's points are (step, value), (step, value, timestamp), or an array with a value a step.
    """

    def log(
        store: Store,
        experiment_id: str,
        *,
        name: str = "run",
        metrics: Mapping[str, Points] | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        status: str = "FINISHED",
    ) -> str:
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        client = MlflowClient(tracking_uri=store.uri)
        run_id = client.create_run(experiment_id, run_name=name).info.run_id
        now = time.time_ns() // 1_000_000
        series = [_as_metrics(key, points, now) for key, points in (metrics or {}).items()]
        logged = {
            "metrics": [metric for one in series for metric in one],
            "params": [Param(key, str(value)) for key, value in (params or {}).items()],
            "tags": [RunTag(key, str(value)) for key, value in (tags or {}).items()],
        }
        for kind, entities in logged.items():
            for start in range(0, len(entities), BATCH[kind]):
                client.log_batch(run_id, **{kind: entities[start : start + BATCH[kind]]})
        if status != "RUNNING":
            client.set_terminated(run_id, status)
        return str(run_id)

    return log
