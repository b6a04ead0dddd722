"""The tables of a SQL store: read and never written, left alone where they are not known."""

from __future__ import annotations

import logging
import sqlite3
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from mlflow import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from dqi_tracking import Query, TrackerError
from dqi_tracking.trackers.mlflow.sql_route import open_sql_route
from dqi_tracking.trackers.series import Series
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun, MakeExperiment, curve, insert_series, opened
from tests.stores import Store

SQL = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)
POINTS = "SELECT metrics.step, metrics.value, metrics.is_nan"


def _file(store: Store) -> Path:
    return Path(store.uri.removeprefix("sqlite:///"))


def _nothing(_run: str, _key: str) -> Series:
    raise AssertionError("the public client was asked")


@contextmanager
def watched() -> Iterator[list[tuple[Engine, str]]]:
    """Give the statements of all databases, as they are executed, each with its engine."""
    seen: list[tuple[Engine, str]] = []

    def see(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append((connection.engine, " ".join(statement.split())))

    event.listen(Engine, "before_cursor_execute", see)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", see)


@SQL
def test_reading_cannot_write(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    for number in range(3):
        log_run(store, experiment.id, metrics={"loss": curve(seed=number)})
    tracker = opened(store, experiment)
    refs = list(tracker.find(Query()))
    with watched() as seen:
        readings = list(tracker.read(refs))
    assert all(reading.found().step.size == 60 for reading in readings)
    readers = {id(engine): engine for engine, text in seen if text.startswith(POINTS)}
    assert {text.split()[0] for engine, text in seen if id(engine) in readers} == {"SELECT"}
    (reader,) = readers.values()
    for change in ("DELETE FROM metrics", "UPDATE runs SET name = ''", "CREATE TABLE x (y INT)"):
        with reader.connect() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
            connection.execute(sqlalchemy.text(change))
    tracker.close()


@SQL
def test_a_series_that_cannot_win_is_not_read(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    named = {f"a{number}_loss": curve(3 + number, seed=number) for number in range(20)}
    log_run(store, experiment.id, metrics=named)
    tracker = opened(store, experiment)
    (ref,) = tracker.find(Query())
    with watched() as seen:
        (reading,) = tracker.read([ref])
    assert reading.ref is ref
    assert reading.found().loss_key == "a19_loss"
    assert reading.found().step.size == 22
    assert sum(text.startswith(POINTS) for _, text in seen) == 1
    tracker.close()


def test_the_index_for_the_steps_is_walked(
    fresh_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    experiment = make_experiment(fresh_sqlite)
    log_run(fresh_sqlite, experiment.id, metrics={"loss": curve()})
    tracker = opened(fresh_sqlite, experiment)
    with watched() as seen:
        list(tracker.read(list(tracker.find(Query()))))
    tracker.close()
    statement = next(text for _, text in seen if text.startswith(POINTS))
    with closing(sqlite3.connect(_file(fresh_sqlite))) as database:
        plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", ("run", "key")).fetchall()
    # the primary key's would be walked over all runs of the store, and no sorting comes after
    assert [row[-1].split(" USING ")[-1] for row in plan] == [
        "INDEX index_metrics_run_uuid_key_step (run_uuid=? AND key=?)"
    ]


def test_a_writer_is_not_locked_out_between_runs(
    fresh_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    experiment = make_experiment(fresh_sqlite)
    for number in range(3):
        log_run(fresh_sqlite, experiment.id, metrics={"loss": curve(seed=number)})
    tracker = opened(fresh_sqlite, experiment)
    refs = list(tracker.find(Query()))
    with closing(sqlite3.connect(_file(fresh_sqlite), timeout=0)) as database:
        for reading in tracker.read(refs):
            with database:
                database.execute("UPDATE runs SET user_id = ?", (reading.ref.run_id,))
    tracker.close()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_another_who_writes_does_not_lock_reading_out(
    fresh_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun, mode: str
) -> None:
    experiment = make_experiment(fresh_sqlite)
    log_run(fresh_sqlite, experiment.id, metrics={"loss": curve()})
    with closing(sqlite3.connect(_file(fresh_sqlite), isolation_level=None)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        tracker = opened(fresh_sqlite, experiment)
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE runs SET user_id = 'somebody'")
        (reading,) = tracker.read(list(tracker.find(Query())))
        database.execute("ROLLBACK")
    np.testing.assert_array_equal(reading.found().loss, curve())
    tracker.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE alembic_version SET version_num = 'ffff00001111'", "ffff00001111"),
        ("ALTER TABLE metrics RENAME COLUMN is_nan TO nan", "is_nan"),
        ("ALTER TABLE runs RENAME COLUMN lifecycle_stage TO stage", "lifecycle_stage"),
        ("DELETE FROM alembic_version", "No row"),
    ],
)
def test_a_schema_that_is_not_known_is_left_to_mlflow(
    fresh_sqlite: Store, change: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(_file(fresh_sqlite))) as database, database:
        database.execute(change)
    with caplog.at_level(logging.INFO, "dqi_tracking"):
        assert open_sql_route(fresh_sqlite.uri, _nothing) is None
    (said,) = (record.getMessage() for record in caplog.records if record.name == "dqi_tracking")
    assert "is read by MLflow's client, not by SQL" in said
    assert why in said


def test_a_store_with_workspaces_is_left_to_mlflow(
    fresh_sqlite: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    with caplog.at_level(logging.INFO, "dqi_tracking"):
        assert open_sql_route(fresh_sqlite.uri, _nothing) is None
    assert "workspaces" in caplog.text


def test_why_a_route_is_not_taken_tells_no_password(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dqi_tracking"):
        uri = "postgresql+psycopg://me:hunter2@127.0.0.1:9/none"
        assert open_sql_route(uri, _nothing) is None
    assert "hunter2" not in caplog.text
    assert "127.0.0.1" in caplog.text


def test_a_history_that_is_not_numbers_spoils_no_other(
    fresh_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    experiment = make_experiment(fresh_sqlite)
    runs = [log_run(fresh_sqlite, experiment.id, metrics={"loss": curve()}) for _ in range(5)]
    with closing(sqlite3.connect(_file(fresh_sqlite))) as database, database:
        database.execute(
            "UPDATE metrics SET value = 'much' WHERE run_uuid = ? AND step = 9", (runs[2],)
        )
    tracker = opened(fresh_sqlite, experiment)
    readings = {r.ref.run_id: r for r in tracker.read(list(tracker.find(Query())))}
    tracker.close()
    bad = readings.pop(runs[2])
    assert isinstance(bad.error, TrackerError)
    assert bad.error.fix
    assert all(reading.found().step.size == 60 for reading in readings.values())


@pytest.mark.slow
def test_memory_is_bounded_by_a_run(fresh_sqlite: Store, make_experiment: MakeExperiment) -> None:
    experiment = make_experiment(fresh_sqlite)
    size, n_runs = 150_000, 4
    for number in range(n_runs):
        insert_series(fresh_sqlite, experiment.id, curve(size, seed=number))
    tracker = opened(fresh_sqlite, experiment)
    refs = list(tracker.find(Query()))
    next(iter(tracker.read(refs[:1])))
    tracemalloc.start()
    sizes = [reading.found().step.size for reading in tracker.read(refs)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    tracker.close()
    assert sizes == [size] * n_runs
    # a few columns of 8 bytes, for the run at hand and the one before it
    assert peak < 16 * 8 * size


def test_a_deleted_store_fails_its_runs_and_nothing_else(
    fresh_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    experiment = make_experiment(fresh_sqlite)
    log_run(fresh_sqlite, experiment.id, metrics={"loss": curve()})
    tracker = opened(fresh_sqlite, experiment)
    refs = list(tracker.find(Query()))
    with closing(sqlite3.connect(_file(fresh_sqlite))) as database, database:
        database.execute("ALTER TABLE metrics RENAME TO gone")
    (reading,) = tracker.read(refs)
    assert isinstance(reading.error, TrackerError)
    assert MlflowClient(tracking_uri=fresh_sqlite.uri).get_run(refs[0].run_id)
    tracker.close()
