"""Whole backfills of a SQLite store, each in a process of its own: time and peak memory.

The timed one is the second, which finds nothing to do; the first is told beside it.
Memory has to stay flat in the number of runs: compare the peaks of the two sizes.
"""

from __future__ import annotations

import os
import shutil
import sys
import time

import mlflow
import numpy as np
import pytest
from mlflow.entities import Metric

N_POINTS = 100


@pytest.fixture(params=[100, 1_000], scope="module")
def store_of_runs(request, sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    uri = f"sqlite:///{shutil.copy(sqlite_template, folder / 'mlflow.db')}"
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("bench", artifact_location=(folder / "a").as_uri())
    noise = np.random.default_rng(0).normal(size=N_POINTS)
    loss = (5 * np.exp(-np.arange(N_POINTS) / 20) + 0.1 * noise).tolist()
    for _ in range(request.param):
        run = client.create_run(experiment).info.run_id
        client.log_batch(run, [Metric("loss", y, 0, step) for step, y in enumerate(loss)])
        client.set_terminated(run)
    return uri, request.param


def backfill_in_own_process(uri):
    command = [sys.executable, "-m", "dqi_tracking", "backfill", "mlflow:bench"]
    child = os.posix_spawn(
        sys.executable,
        [*command, "--tracking-uri", uri],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_maxrss / 1024


def test_first_and_second_backfill(benchmark, store_of_runs):
    uri, n_runs = store_of_runs
    start = time.perf_counter()
    benchmark.extra_info["runs"] = n_runs
    benchmark.extra_info["first_peak_mb"] = round(backfill_in_own_process(uri))
    took = time.perf_counter() - start
    benchmark.extra_info["first_ms_a_run"] = round(1000 * took / n_runs, 1)
    peak = benchmark.pedantic(backfill_in_own_process, (uri,), rounds=3)
    benchmark.extra_info["second_peak_mb"] = round(peak)
