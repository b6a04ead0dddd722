"""A run of very many points, in an MLflow store over SQLite, from reading to both files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from dqi_tracking import History, score
from dqi_tracking.report.artifact import read_phases
from tests.mlflow_runs import curve, insert_series, one_pass, written
from tests.stores import Store

# MLflow's client takes a minute for a million
N_POINTS = 200_000
MAX_PAGE_BYTES = 60_000


@pytest.mark.slow
def test_a_big_run_is_scored_and_its_files_stay_small(fresh_sqlite: Store) -> None:
    store, points = fresh_sqlite, curve(N_POINTS)
    client = MlflowClient(tracking_uri=store.uri)
    made = client.create_experiment("big", artifact_location=store.artifact_root)
    run_id = insert_series(store, made, points)

    report, outcomes = one_pass(store, "mlflow:big")

    assert report.counts == {"scored": 1}
    expected = score(History(np.arange(N_POINTS), points))
    assert outcomes[run_id].score == expected
    assert written(store, run_id)["metrics"]["dqi"] == pytest.approx(expected.dqi, rel=1e-12)
    folder = Path(download_artifacts(run_id=run_id, tracking_uri=store.uri, artifact_path="dqi"))
    assert (folder / "phases.html").stat().st_size <= MAX_PAGE_BYTES
    assert read_phases((folder / "phases.json").read_bytes()).n_points == N_POINTS
