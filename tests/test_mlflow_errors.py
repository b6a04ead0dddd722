"""Addresses that hold no runs, and stores that are none: each is refused, and nothing is made."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import mlflow.store.db_migrations
import pytest
from alembic.script import ScriptDirectory
from mlflow import MlflowClient

from dqi_tracking import (
    ConfigError,
    DQIError,
    ExperimentNotFound,
    Query,
    ReadRejected,
    RunNotFound,
    SchemaMismatch,
    StoreNotFound,
)
from tests.conftest import Experiment
from tests.mlflow_runs import IN_PROCESS, LogRun, curve, found, one_pass, refused
from tests.stores import Store


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Stand in an own folder, and give a check that nothing in it was made or changed since."""
    monkeypatch.chdir(tmp_path)
    before: dict[str, str] = {}

    def check() -> None:
        if not before:
            before.update(_digests(tmp_path), here="")
            return
        assert {**_digests(tmp_path), "here": ""} == before
        assert not list(tmp_path.rglob("mlruns"))

    return check


def test_no_such_experiment(store: Store, experiment: Experiment) -> None:
    mistyped = experiment.name.replace("experiment", "experimnet")
    error = refused(ExperimentNotFound, store, f"mlflow:{mistyped}")
    assert mistyped in error.message
    assert error.fix == f"did you mean `mlflow:{experiment.name}`?"
    assert "experiments" in refused(ExperimentNotFound, store, "mlflow:#'\"/ \\").fix
    refused(ExperimentNotFound, store, "mlflow:987654321")


def test_a_deleted_experiment(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    MlflowClient(tracking_uri=store.uri).delete_experiment(experiment.id)
    error = refused(ExperimentNotFound, store, experiment)
    assert "deleted" in error.message
    assert f"mlflow experiments restore --experiment-id {experiment.id}" in error.fix
    refused(RunNotFound, store, f"runs:/{run_id}")


def test_no_such_run(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    error = refused(RunNotFound, store, f"runs:/{'0' * 32}")
    assert error.run == "0" * 32
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    MlflowClient(tracking_uri=store.uri).delete_run(run_id)
    error = refused(RunNotFound, store, f"runs:/{run_id}")
    assert error.message == f"run `{run_id}` was deleted"
    assert f"mlflow runs restore --run-id {run_id}" in error.fix


@IN_PROCESS
@pytest.mark.parametrize("address", ["runs:/", "runs:", "runs://", "runs:/a/b", "mlfow:x", "x"])
def test_an_address_that_means_nothing(store: Store, address: str) -> None:
    refused(ConfigError, store, address)


@pytest.mark.parametrize(
    "where",
    ["nonsense", "metrics.dqi >", "metrics.dqi > 'a'", "tags.a = 'b' OR tags.a = 'timeout'", "'"],
)
def test_a_filter_that_mlflow_rejects(store: Store, experiment: Experiment, where: str) -> None:
    with pytest.raises(ReadRejected, match="could not list the runs: ") as refusal:
        one_pass(store, experiment, query=Query(where))
    assert "correct the filter" in refusal.value.fix


def test_no_sqlite_file(tmp_path: Path, untouched: Callable[[], None]) -> None:
    for name in ("none.db", "no/such/folder/none.db", "a b#c.db"):
        assert name in refused(StoreNotFound, f"sqlite:///{tmp_path}/{name}", "mlflow:").message
    refused(StoreNotFound, "sqlite:///none.db", "mlflow:")
    refused(StoreNotFound, f"sqlite:///{tmp_path}", "mlflow:")
    assert list(tmp_path.iterdir()) == []
    untouched()


def test_a_file_that_is_no_store(tmp_path: Path, untouched: Callable[[], None]) -> None:
    (tmp_path / "text.db").write_bytes(b"this is no database, but long enough for a header" * 99)
    (tmp_path / "empty.db").touch()
    with closing(sqlite3.connect(tmp_path / "other.db")) as database, database:
        database.execute("CREATE TABLE experiments (name TEXT)")
    untouched()
    refused(ReadRejected, f"sqlite:///{tmp_path}/text.db", "mlflow:")
    refused(StoreNotFound, f"sqlite:///{tmp_path}/empty.db", "mlflow:")
    refused(StoreNotFound, f"sqlite:///{tmp_path}/other.db", "mlflow:")
    untouched()


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "a#b'c.db", "ü🚂.db"])
def test_a_sqlite_file_of_any_name_is_found(
    tmp_path: Path, fresh_sqlite: Store, log_run: LogRun, name: str
) -> None:
    run_id = log_run(fresh_sqlite, "0", metrics={"loss": curve()})
    there = tmp_path / name
    Path(fresh_sqlite.uri.removeprefix("sqlite:///")).rename(there)
    assert [
        ref.run_id for ref in found(Store("renamed", f"sqlite:///{there}", None), "mlflow:")
    ] == [run_id]


def _set_revision(store: Store, revision: str) -> Path:
    path = Path(store.uri.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    return path


def test_the_schema_of_an_older_release(fresh_sqlite: Store) -> None:
    folder = Path(next(iter(mlflow.store.db_migrations.__path__)))
    older = list(ScriptDirectory(folder).walk_revisions())[1].revision
    path = _set_revision(fresh_sqlite, older)
    before = path.read_bytes()
    error = refused(SchemaMismatch, fresh_sqlite, "mlflow:")
    assert older in error.message
    assert "mlflow db upgrade" in error.fix
    assert path.read_bytes() == before


def test_the_schema_of_a_newer_release(fresh_sqlite: Store) -> None:
    path = _set_revision(fresh_sqlite, "ffffffffffff")
    before = path.read_bytes()
    error = refused(SchemaMismatch, fresh_sqlite, "mlflow:")
    assert "ffffffffffff" in error.message
    assert "pip install --upgrade mlflow" in error.fix
    assert path.read_bytes() == before


def test_a_folder_that_is_no_store(tmp_path: Path, untouched: Callable[[], None]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    untouched()
    for uri in (
        "full",
        "none",
        "file",
        str(tmp_path),
        f"file://{tmp_path}/none",
        f"{tmp_path}/full",
    ):
        assert "mlruns" in refused(StoreNotFound, uri, "mlflow:").fix
    untouched()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]


def test_an_uri_of_no_store(untouched: Callable[[], None]) -> None:
    for uri in ("mysql+nothing://host/db", "postgresql://[::1/db", "ftp://host/store", "http://"):
        with pytest.raises(DQIError) as refusal:
            found(Store("wrong", uri, None), "mlflow:")
        assert refusal.value.fix
