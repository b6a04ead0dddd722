"""What an MLflow server takes for the requests of a backfill, from a client that does nothing else.

The same requests as `dqi backfill` sends, one after another: histories of 20 runs and one metric at
a time, then both files and one batch a run. What is left between this and `bench_against_loop` is
what a faster client could gain.
"""

from __future__ import annotations

import time

import requests
from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from dqi_tracking.names import METRICS
from tests.bench.many_runs import NAME, filled_server

RUNS, AT_ONCE = 200, 20
HISTORIES = "/api/2.0/mlflow/metrics/get-history-bulk-interval"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
FILES = {"phases.html": b" " * 35_000, "phases.json": b" " * 5_000}


def every_request(uri: str) -> None:
    client, session = MlflowClient(uri), requests.Session()
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=RUNS)
    now = int(time.time() * 1000)
    metrics = [Metric(name, 0.5, now, 0) for name in METRICS]
    tags = [RunTag(f"dqi.{number}", "value") for number in range(10)]
    for first in range(0, RUNS, AT_ONCE):
        some = runs[first : first + AT_ONCE]
        for key in ("loss", "grad_norm"):
            asked = {"run_ids": [run.info.run_id for run in some], "metric_key": key}
            session.get(uri + HISTORIES, params=asked | {"max_results": 2_500}).raise_for_status()
        for run in some:
            place = run.info.artifact_uri.partition(":/")[2]
            for name, content in FILES.items():
                answer = session.put(f"{uri}{ARTIFACTS}{place}/dqi/{name}", data=content)
                answer.raise_for_status()
            client.log_batch(run.info.run_id, metrics, tags=tags)


def test_the_requests_alone(benchmark, postgres_instance, tmp_path):
    with filled_server(postgres_instance, tmp_path, RUNS) as server:
        benchmark.pedantic(every_request, (server.uri,), rounds=1)
    benchmark.extra_info["ms_a_run"] = round(1000 * benchmark.stats.stats.min / RUNS, 1)
