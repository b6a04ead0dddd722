"""Runs on an MLflow server of their own: real ones, and ones with hostile names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric

from dqi_tracking import backfill, rank
from dqi_tracking.config import Settings, load_settings
from dqi_tracking.demo import EXPERIMENT, import_runs
from tests.mlflow_runs import curve
from tests.stores import mlflow_server, sqlite_store

HOSTILE = "hostile names"
NAMES = (
    "<script>alert('name')</script>",
    "<img src=x onerror=alert('image')>",
    "\x1b[31mred\x1b[0m\x1b]0;title\x07",
    "تدريب النموذج",
    "训练 🚀",
    "n" * 200,
)
POINTS = 60


@dataclass(frozen=True)
class ServedRuns:
    """A server, and the ids of its two experiments: the demo's, and the hostile one."""

    uri: str
    demo: str
    hostile: str
    settings: Settings

    def table(self, experiment: str = EXPERIMENT) -> pd.DataFrame:
        """Return the ranking of an experiment, as `dqi rank` prints it."""
        return rank(f"mlflow:{experiment}", settings=self.settings)

    def page(self, path: str) -> str:
        """Return the address of a page below the experiments."""
        return f"{self.uri}/#/experiments/{path}"


@contextlib.contextmanager
def served_runs(folder: Path, template: Path) -> Iterator[ServedRuns]:
    """Run a server in a folder, with all its runs scored and the saved views kept."""
    with (
        sqlite_store(folder, template=template) as store,
        mlflow_server(store.uri, folder / "artifacts") as server,
    ):
        client = MlflowClient(tracking_uri=server.uri)
        # made through the server, it has its artifacts there, as others' experiments have
        demo = client.create_experiment(EXPERIMENT)
        import_runs(folder)
        hostile = client.create_experiment(HOSTILE)
        for seed, name in enumerate(NAMES):
            run = client.create_run(hostile, run_name=name).info.run_id
            losses = enumerate(curve(POINTS, seed).tolist())
            client.log_batch(run, [Metric("loss", loss, step, step) for step, loss in losses])
            client.set_terminated(run)
        settings = load_settings(tracking_uri=server.uri, state_dir=str(folder / "state"))
        for name in (EXPERIMENT, HOSTILE):
            backfill(f"mlflow:{name}", settings=settings)
        yield ServedRuns(server.uri, demo, hostile, settings)
