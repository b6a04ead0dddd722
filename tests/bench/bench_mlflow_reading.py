"""Reading histories out of a SQLite store: by the tracker, by queries alone, by the client.

Each run has two series of 1,000 points. Told beside the tracker's time are its ratios to one query
for all runs and to one a series, of which nothing is made (neither may pass 1.5), and how many
times as long MLflow's client takes, measured on ten of the runs.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing

import mlflow
import numpy as np
import pytest

from dqi_tracking import Query, open_tracker
from dqi_tracking.config import load_settings

N_RUNS, N_POINTS, N_BY_CLIENT = 100, 1_000, 10
KEYS = ("loss", "grad_norm")
ROUNDS = 5


@pytest.fixture(scope="module")
def store_of_runs(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    file = shutil.copy(sqlite_template, folder / "mlflow.db")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{file}")
    experiment = client.create_experiment("bench", artifact_location=(folder / "a").as_uri())
    runs = [client.create_run(experiment).info.run_id for _ in range(N_RUNS)]
    noise = np.random.default_rng(0).normal(size=N_POINTS)
    value = (5 * np.exp(-np.arange(N_POINTS) / 200) + 0.1 * noise).tolist()
    with closing(sqlite3.connect(file)) as database, database:
        for run in runs:
            for key in KEYS:
                database.executemany(
                    "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) "
                    "VALUES (?, ?, ?, ?, ?, 0)",
                    ((key, y, 1_000 + step, run, step) for step, y in enumerate(value)),
                )
                database.execute(
                    "INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) "
                    "VALUES (?, ?, ?, ?, ?, 0)",
                    (key, value[-1], 1_000 + N_POINTS - 1, run, N_POINTS - 1),
                )
    for run in runs:
        client.set_terminated(run)
    return file, runs


def query_alone(file, runs):
    places = ",".join("?" * len(runs))
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute(
            "SELECT run_uuid, key, step, timestamp, value, is_nan FROM metrics "
            f"WHERE run_uuid IN ({places}) AND key IN (?, ?) "
            "ORDER BY run_uuid, key, step, timestamp",
            (*runs, *KEYS),
        ).fetchall()
    assert len(rows) == len(runs) * len(KEYS) * N_POINTS


def queries_alone(file, runs):
    with closing(sqlite3.connect(file)) as database:
        for run in runs:
            for key in KEYS:
                rows = database.execute(
                    "SELECT step, value, is_nan FROM metrics "
                    "WHERE run_uuid = ? AND key = ? ORDER BY step",
                    (run, key),
                ).fetchall()
                assert len(rows) == N_POINTS


def fastest(work, *given):
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work(*given)
        times.append(time.perf_counter() - start)
    return min(times)


def test_reading_by_sql(benchmark, store_of_runs):
    file, runs = store_of_runs
    uri = f"sqlite:///{file}"
    tracker = open_tracker("mlflow:bench", settings=load_settings(tracking_uri=uri))
    refs = list(tracker.find(Query()))

    def read():
        assert all(reading.history is not None for reading in tracker.read(refs))

    benchmark.pedantic(read, rounds=ROUNDS, warmup_rounds=1)
    took = benchmark.stats.stats.min
    client = mlflow.MlflowClient(tracking_uri=uri)

    def by_client():
        for run in runs[:N_BY_CLIENT]:
            for key in KEYS:
                client.get_metric_history(run, key)

    benchmark.extra_info["ms_a_run"] = round(1000 * took / N_RUNS, 2)
    for query in (query_alone, queries_alone):
        ratio = took / fastest(query, file, runs)
        benchmark.extra_info[f"of_{query.__name__}"] = round(ratio, 2)
    client_took = fastest(by_client) * N_RUNS / N_BY_CLIENT
    benchmark.extra_info["client_takes_times"] = round(client_took / took, 1)
    tracker.close()
