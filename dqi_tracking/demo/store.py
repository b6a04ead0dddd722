"""The demo's runs as an MLflow experiment, imported once."""

from __future__ import annotations

import csv
import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dqi_tracking.errors import WriteRejected
from dqi_tracking.trackers.mlflow.failures import translated
from dqi_tracking.trackers.mlflow.store import check_store

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "dqi-demo"
RUN_TAG = "demo.run"
PARAMS = ("workload", "submission", "source", "repository", "path", "licence")
BATCH = 1_000


class DemoStore(NamedTuple):
    """Where the runs are.

    Attributes
    ----------
    uri : str
        MLflow tracking URI.
    n_imported : int
        Runs that were not there before.
    """

    uri: str
    n_imported: int


def import_runs(folder: Path) -> DemoStore:
    """Put the runs into a SQLite MLflow store in a folder, those that are not there yet.

    Parameters
    ----------
    folder : Path
        Made where it is missing.

    Returns
    -------
    DemoStore

    Raises
    ------
    TrackerError
        When the folder cannot be written to, or holds a database that is no MLflow store.
    """
    folder = folder.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteRejected(
            f"the folder `{folder}` cannot be made: {error.strerror}", fix="name another: --folder"
        ) from error
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    database = folder / "mlflow.db"
    uri = f"sqlite:///{database}"
    if database.exists():
        check_store(uri)
    with translated("import the demo's runs", uri):
        return DemoStore(uri, _import_missing(mlflow.MlflowClient(tracking_uri=uri), folder))


def _import_missing(client: MlflowClient, folder: Path) -> int:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    experiment_id = (
        experiment.experiment_id
        if experiment
        else client.create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
    )
    there = _imported(client, experiment_id)
    curves = _curves()
    with files("dqi_tracking.demo").joinpath("runs.csv").open(encoding="utf-8") as rows:
        missing = [row for row in csv.DictReader(rows) if row["run"] not in there]
    for row in missing:
        _import_run(client, experiment_id, row, curves[row["run"]])
    return len(missing)


def _imported(client: MlflowClient, experiment_id: str) -> set[str]:
    """Names of the runs that are whole; half-imported ones are deleted."""
    there: set[str] = set()
    for run in client.search_runs([experiment_id], max_results=1_000):
        if run.info.status == "RUNNING" and RUN_TAG in run.data.tags:
            client.delete_run(run.info.run_id)
        elif RUN_TAG in run.data.tags:
            there.add(run.data.tags[RUN_TAG])
    return there


def _curves() -> dict[str, Any]:
    import pandas as pd

    with files("dqi_tracking.demo").joinpath("curves.parquet").open("rb") as file:
        table = pd.read_parquet(file)
    return {str(run): rows for run, rows in table.groupby("run", observed=True)}


def _import_run(client: MlflowClient, experiment_id: str, row: dict[str, str], points: Any) -> None:
    from mlflow.entities import Metric, Param

    run = client.create_run(experiment_id, run_name=row["run"], tags={RUN_TAG: row["run"]})
    started = run.info.start_time
    params = [Param(name, row[name]) for name in PARAMS if row[name]]
    client.log_batch(run.info.run_id, params=params)
    metrics = [
        # float32 as published; its shortest decimal is what the source logged
        Metric(str(key), float(str(value)), started, int(step))
        for key, step, value in zip(points["key"], points["step"], points["value"], strict=True)
    ]
    for first in range(0, len(metrics), BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[first : first + BATCH])
    client.set_terminated(run.info.run_id)
