"""An experiment of an MLflow store: in process, where SQL is counted, or behind a proxy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric
from sqlalchemy import Engine, event

from dqi_tracking.names import FOLDER, LISTED, LISTED_FACTS, OWN_FILES
from tests.conftest import Experiment
from tests.mlflow_runs import history_requests, through
from tests.proxy import FaultProxy
from tests.stores import Store
from tests.tracker_harness.base import Harness, Points

START = 1_700_000_000_000
HOUR = 3_600_000
CHANGES = ("INSERT", "UPDATE", "DELETE")


class Statements:
    """Counts what MLflow asks its database in this process."""

    def __init__(self) -> None:
        self.n_histories = self.n_changes = self.n_statements = 0
        event.listen(Engine, "before_cursor_execute", self._note)

    def close(self) -> None:
        event.remove(Engine, "before_cursor_execute", self._note)

    def _note(
        self, connection: object, cursor: object, statement: str, parameters: Any, *_: object
    ) -> None:
        words = statement.split()
        self.n_statements += 1
        self.n_changes += words[0].upper() in CHANGES
        given = parameters.values() if isinstance(parameters, dict) else parameters
        # the listing reads `latest_metrics`; of no run, the columns are looked for at the opening
        is_history = words[0].upper() == "SELECT" and "metrics" in words and any(given)
        self.n_histories += is_history


class MlflowHarness(Harness):
    cannot = {"text": "MLflow takes numbers alone"}  # noqa: RUF012

    def __init__(
        self, store: Store, experiment: Experiment, counted: Statements | FaultProxy
    ) -> None:
        self._store = store
        self._client = MlflowClient(tracking_uri=store.uri)
        self._experiment = experiment.id
        self._counted = counted
        self._n_runs = 0
        uri = store.uri if isinstance(counted, Statements) else through(counted).uri
        self.address = f"mlflow:{experiment.name}"
        self.given = {"tracking_uri": uri}

    def add(
        self,
        name: str,
        metrics: Mapping[str, Points],
        *,
        status: str = "FINISHED",
        params: Mapping[str, str] | None = None,
    ) -> str:
        self._n_runs += 1
        start = START + self._n_runs * 24 * HOUR
        tags = {"mine": "yes", "dqi.mine": "yes", "mlflow.note.content": "by hand"}
        run = self._client.create_run(self._experiment, start, tags, run_name=name).info.run_id
        for key, value in {"lr": "0.1", **(params or {})}.items():
            self._client.log_param(run, key, value)
        self._client.log_text(run, "of a person", f"{FOLDER}/notes.txt")
        for key, points in {**metrics, "dqi_mine": [(0, 0.5)]}.items():
            self._log(run, key, points, start)
        if status != "RUNNING":
            self._client.set_terminated(run, status, start + HOUR)
        return str(run)

    def extend(self, run: str, key: str, points: Points) -> None:
        self._log(run, key, points, START + 1_000 * 24 * HOUR)

    def delete(self, run: str) -> None:
        self._client.delete_run(run)

    def owned(self, run: str) -> object:
        found = self._client.get_run(run)
        facts = {f"dqi.{fact}" for fact in LISTED_FACTS}
        return (
            str(dict(found.info)),
            found.data.params,
            {key: value for key, value in found.data.tags.items() if key not in facts},
            sorted(
                str(metric) for metric in found.data.to_proto().metrics if metric.key not in LISTED
            ),
            self._artifacts(run).keys() - set(OWN_FILES),
        )

    def files(self, run: str) -> dict[str, bytes]:
        return {k: v for k, v in self._artifacts(run).items() if k in OWN_FILES}

    def writes(self) -> object:
        counted = self._counted
        return counted.n_changes if isinstance(counted, Statements) else counted.writes

    def n_histories(self) -> int:
        counted = self._counted
        if isinstance(counted, Statements):
            return counted.n_histories
        return history_requests(counted)

    def n_requests(self) -> int:
        counted = self._counted
        if isinstance(counted, Statements):
            return counted.n_statements
        return sum(counted.counts.values())

    def filter_for(self, name: str) -> str | None:
        return f"attributes.run_name = '{name}'"

    def _log(self, run: str, key: str, points: Points, start: int) -> None:
        entities = [
            Metric(key, value, start + number, step) for number, (step, value) in enumerate(points)
        ]
        for first in range(0, len(entities), 1_000):
            self._client.log_batch(run, metrics=entities[first : first + 1_000])

    def _artifacts(self, run: str) -> dict[str, bytes]:
        folder = download_artifacts(run_id=run, artifact_path=FOLDER, tracking_uri=self._store.uri)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}
