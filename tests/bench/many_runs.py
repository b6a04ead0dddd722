"""Stores of many runs for the benches, made by copying rows in SQL: logging them takes hours."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
import sqlalchemy as sa
from mlflow.entities import Metric

from dqi_tracking import Query, Stamp, backfill, open_tracker
from dqi_tracking.config import load_settings
from dqi_tracking.names import STANDING
from tests.stores import PostgresServer, Server, mlflow_server, postgres_database

NAME = "bench"
POINTS = 1_000
_COPIED = {
    "runs": ("name", "source_type", "source_name", "entry_point_name", "user_id", "status",
             "start_time", "end_time", "source_version", "lifecycle_stage", "experiment_id",
             "deleted_time"),
    "metrics": ("key", "timestamp", "step", "is_nan"),
    "latest_metrics": ("key", "timestamp", "step", "is_nan"),
}  # fmt: skip


def fill(uri: str, artifacts: str, runs: int, points: int = POINTS) -> None:
    """Make the experiment `bench` with finished runs of `loss` and `grad_norm`.

    Parameters
    ----------
    uri : str
        Of the database.
    artifacts : str
        URI of the folder for artifacts.
    runs, points : int
    """
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment(NAME, artifact_location=artifacts)
    first = client.create_run(experiment).info.run_id
    noise = np.random.default_rng(0).normal(size=(2, points))
    loss = 1 + 5 * np.exp(-np.arange(points) / 200) + 0.1 * noise[0]
    series = {"loss": loss, "grad_norm": np.abs(noise[1])}
    for key, values in series.items():
        for start in range(0, points, 1_000):
            rows = [
                Metric(key, float(value), 1_700_000_000_000 + step, step)
                for step, value in enumerate(values[start : start + 1_000], start)
            ]
            client.log_batch(first, rows)
    client.set_terminated(first)
    engine = sa.create_engine(uri)
    with engine.begin() as connection:
        for number in range(1, runs):
            _copy(connection, first, uuid.uuid4().hex, f"{artifacts}/{number}", 1 + number / runs)
    # no ANALYZE, which MLflow never does: with its statistics SQLite would choose other indexes
    engine.dispose()


@contextmanager
def filled_server(instance: PostgresServer, folder: Path, runs: int) -> Iterator[Server]:
    """Run a server over a database of its own, filled as by `fill`; `folder` is for artifacts."""
    database = postgres_database(instance)
    fill(database, "mlflow-artifacts:/bench", runs)
    with mlflow_server(database, folder) as server:
        yield server


def fill_scored(uri: str, artifacts: str, runs: int, points: int) -> None:
    """Make the experiment `bench` with runs that are all alike, all scored and all ranked.

    One is scored for real; to the listing the others, copies of it, are as unchanged as it is.
    Being all alike, they all stand at 50.
    """
    fill(uri, artifacts, 1, points)
    settings = load_settings(tracking_uri=uri)
    backfill(f"mlflow:{NAME}", settings=settings, files=False)
    tracker = open_tracker(f"mlflow:{NAME}", settings=settings)
    (only,) = tracker.find(Query())
    facts = {"cohort": NAME, "cohort_size": str(runs)}
    at = only.stamp.timestamp + 1 if only.stamp else 0
    # of ten points none is a late gradient norm
    places = dict.fromkeys(STANDING[:2], 50.0)
    tracker.amend(only, Stamp(places, facts, standing_at=at))
    tracker.close()
    engine = sa.create_engine(uri)
    with engine.begin() as connection:
        first = connection.execute(sa.text("SELECT run_uuid FROM runs")).scalar_one()
        for number in range(1, runs):
            run = uuid.uuid4().hex
            _copy(connection, first, run, f"{artifacts}/{number}", 1.0)
            connection.execute(
                sa.text(
                    "INSERT INTO tags (run_uuid, key, value) "
                    "SELECT :run, key, value FROM tags WHERE run_uuid = :first"
                ),
                {"first": first, "run": run},
            )
    engine.dispose()


def _copy(connection: sa.Connection, first: str, run: str, artifacts: str, scale: float) -> None:
    given = {"first": first, "run": run, "artifacts": artifacts, "scale": scale}
    own = {
        "runs": ("artifact_uri", ":artifacts"),
        "metrics": ("value", "value * :scale"),
        "latest_metrics": ("value", "value * :scale"),
    }
    for table, columns in _COPIED.items():
        name, value = own[table]
        listed = ", ".join(columns)
        connection.execute(
            sa.text(
                f"INSERT INTO {table} (run_uuid, {name}, {listed}) "
                f"SELECT :run, {value}, {listed} FROM {table} WHERE run_uuid = :first"
            ),
            given,
        )
