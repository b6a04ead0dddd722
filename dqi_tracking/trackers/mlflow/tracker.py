"""The `Tracker` over MLflow's public client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dqi_tracking.errors import ConfigError, WriteRejected, masked
from dqi_tracking.trackers.base import Query
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.mlflow.artifacts import put_files
from dqi_tracking.trackers.mlflow.erasing import take_off
from dqi_tracking.trackers.mlflow.experiments import named_experiments
from dqi_tracking.trackers.mlflow.failures import translated
from dqi_tracking.trackers.mlflow.listing import Listing, listed, listed_columns, stamp_of
from dqi_tracking.trackers.mlflow.pages import Pages
from dqi_tracking.trackers.mlflow.reading import Reader
from dqi_tracking.trackers.mlflow.shared_view import SharedView
from dqi_tracking.trackers.mlflow.store import check_store
from dqi_tracking.trackers.mlflow.writing import log
from dqi_tracking.types import RunRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mlflow import MlflowClient
    from mlflow.entities import Experiment

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Reading, View
    from dqi_tracking.trackers.mlflow.sql_listing import Listed
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import Stamp

BATCH = 40
"""Runs a chunk: two of the largest requests for histories."""
SERVER_JOBS = 2

_CLIENT_DEFAULTS = {
    # MLflow's own mean minutes for a call to a dead server
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_ALLOW_FILE_STORE": "true",
}


class MlflowTracker:
    """The runs of one experiment, of all, or one single run.

    Parameters
    ----------
    client : MlflowClient
    uri : str
        Tracking URI.
    settings : Settings
    experiment : str
        Name or id; empty for all.
    run_id : str
        A single run; empty for those of the experiment.
    """

    keeps_view = True

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        settings: Settings,
        *,
        experiment: str = "",
        run_id: str = "",
    ) -> None:
        self.address = masked(uri)
        # one writer at a time is all that SQLite takes; a server answers several
        self.batch, self.jobs = BATCH, 1 if uri.startswith("sqlite") else SERVER_JOBS
        # a server has no route for several metrics of a run
        self.reads_several = not uri.startswith("http")
        self._client = client
        self._uri = uri
        self._keys = KeyResolver(settings)
        self._artifact = settings.artifact
        self._experiment = experiment
        self._run_id = run_id
        self._found: dict[str, Experiment] = {}
        self._to_score: set[str] = set()
        # a database answers or breaks off; a server, or what stands before it, may drip for ever
        self._seconds = settings.deadline if uri.startswith("http") else None
        self._reader = Reader(client, uri, self._experiments, self._seconds)
        self._listing = Listing(client, self._reader, self.address, self._seconds)
        self._pages = Pages(uri)
        self._shared_view = SharedView(client, uri, self.address, self._seconds)

    @classmethod
    def open(cls, address: str, settings: Settings) -> MlflowTracker:
        """Open ``mlflow:``, ``mlflow:EXPERIMENT`` or ``runs:/RUN_ID``.

        Raises
        ------
        ConfigError
            When the address names no run.
        TrackerError
            When there is no store of the installed MLflow at the tracking URI.
        """
        scheme, _, target = address.partition(":")
        run_id = target.strip("/") if scheme == "runs" else ""
        if scheme == "runs" and (not run_id or "/" in run_id):
            raise ConfigError(f"address `{address}` names no run", fix="use runs:/RUN_ID")
        for name, value in _CLIENT_DEFAULTS.items():
            os.environ.setdefault(name, value)
        import mlflow

        uri = settings.tracking_uri or mlflow.get_tracking_uri()
        check_store(uri)
        with translated("open the store", uri):
            client = mlflow.MlflowClient(tracking_uri=uri)
        experiment = target if scheme == "mlflow" else ""
        return cls(client, uri, settings, experiment=experiment, run_id=run_id)

    def find(self, query: Query) -> Iterator[RunRef]:
        """Yield the runs that the query means, newest first within an experiment.

        `query.where` is MLflow's own search language; `query.columns` are `metrics.x` (the last
        value), `params.x` and `tags.x`.
        """
        if self._run_id:
            yield self._single(query)
            return
        self._find_experiments()
        left = query.limit
        for run in self._listing.runs(list(self._found), query):
            ref = self._ref(run, query)
            if not query.wants(ref):
                continue
            if left is not None:
                if left <= 0:
                    return
                left -= 1
            yield ref

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        """Yield the history of each run."""
        return self._reader.read(refs)

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        """Read metrics by SQL at once, by a server or from a folder a request each."""
        return self._reader.series(ref.run_id, keys)

    def metric_names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the names of a run's metrics by one request."""
        return tuple(sorted(self._reader.active_run(ref.run_id).data.metrics))

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        """Log the files, then metrics and tags in one batch, the fingerprint as its last tag."""
        with self._writing(ref):
            deadline = Deadline(self._seconds, "write the score", ref.run_id)
            if files and self._artifact:
                deadline.call(
                    lambda: put_files(self._reader.location(ref.run_id), self._uri, files)
                )
            deadline.call(lambda: log(self._client, ref.run_id, stamp, stamp.timestamp))

    def amend(self, ref: RunRef, stamp: Stamp) -> None:
        """Log metrics and tags in one batch, as `write` does."""
        with self._writing(ref):
            deadline = Deadline(self._seconds, "write the percentiles", ref.run_id)
            deadline.call(lambda: log(self._client, ref.run_id, stamp, stamp.standing_at))

    def erase(self, ref: RunRef) -> str:
        """Delete tags and files, the fingerprint first. MLflow deletes no metrics."""
        run = self._reader.active_run(ref.run_id)
        refused = WriteRejected, "check that you may write to the run and its artifacts"
        with translated("take the score off", self.address, run=ref.run_id, rejected=refused):
            return take_off(self._client, run, self._uri, artifact=self._artifact)

    def view(self, ref: RunRef | None = None) -> View:
        """Return the page of the run, or the experiment's table sorted by `dqi`."""
        ids = self._experiments()
        if ref is not None and ref.group in ids:
            return self._pages.run(ids[ref.group], ref.run_id)
        if len(ids) == 1:
            return self._pages.table(next(iter(ids.values())))
        return self._pages.experiments()

    def save_view(self) -> View:
        """Keep the view `DQI` on each experiment that holds a run with something to score."""
        experiments = self._shown()
        self._shared_view.save(experiments)
        if len(self._found) != 1:
            return self.view()
        return self._pages.saved(experiments[0].experiment_id)

    def drop_view(self) -> None:
        """Take the view `DQI` off the experiments; the address of one run leaves it there."""
        if self._run_id:
            return
        if not self._found:
            self._find_experiments()
        self._shared_view.drop(self._found.values())

    def close(self) -> None:
        """Close what reading opened; MLflow shares its own connections in the process."""
        self._reader.close()

    def _writing(self, ref: RunRef) -> AbstractContextManager[None]:
        refused = WriteRejected, "report this as a bug, with MLflow's version and the message"
        return translated("write the score", self.address, run=ref.run_id, rejected=refused)

    def _single(self, query: Query) -> RunRef:
        run = self._reader.active_run(self._run_id)
        with translated("find the experiment", self.address):
            experiment = self._client.get_experiment(run.info.experiment_id)
        self._found = {experiment.experiment_id: experiment}
        return self._ref(listed(run), query)

    def _find_experiments(self) -> None:
        with translated("list the experiments", self.address):
            found = named_experiments(self._client, self._experiment, self.address)
        self._found = {experiment.experiment_id: experiment for experiment in found}

    def _experiments(self) -> dict[str, str]:
        return {experiment.name: number for number, experiment in self._found.items()}

    def _shown(self) -> list[Experiment]:
        """Return the experiment of the address, or of all those whose listing had a loss."""
        if not self._found:
            # of one experiment the runs do not matter, so the first page of them is enough
            limit = 0 if self._experiment else None
            for _ in self.find(Query(limit=limit)):
                pass
        if len(self._found) == 1:
            return list(self._found.values())
        return [each for number, each in self._found.items() if number in self._to_score]

    def _ref(self, run: Listed, query: Query) -> RunRef:
        candidates = self._keys.candidates(list(run.latest))
        stamp = stamp_of(run.tags, run.latest)
        if stamp or candidates.loss or candidates.grad_norm:
            self._to_score.add(run.experiment_id)
        experiment = self._found.get(run.experiment_id)
        return RunRef(
            run_id=run.run_id,
            name=run.name,
            group=experiment.name if experiment else run.experiment_id,
            status=run.status,
            started=run.started,
            ended=run.ended,
            loss_keys=candidates.loss,
            grad_norm_keys=candidates.grad_norm,
            validation_keys=candidates.validation,
            rate_keys=candidates.rate,
            layer_metrics=candidates.layers,
            step_key=candidates.step,
            latest={
                key: f"{metric.value!r}@{metric.step}/{metric.timestamp}"
                for key in sorted({*candidates.metrics, candidates.step} - {""})
                if (metric := run.latest[key])
            },
            stamp=stamp,
            columns=listed_columns(run, query),
        )
