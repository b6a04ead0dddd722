"""The `Tracker` over MLflow's public client."""

from __future__ import annotations

import os
import shlex
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from dqi_tracking.errors import ConfigError, ReadRejected, WriteRejected, masked
from dqi_tracking.names import FACTS, METRICS
from dqi_tracking.trackers.base import Query, View
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.mlflow.artifacts import put_files
from dqi_tracking.trackers.mlflow.erasing import TAG, take_off
from dqi_tracking.trackers.mlflow.experiments import named_experiments
from dqi_tracking.trackers.mlflow.failures import translated
from dqi_tracking.trackers.mlflow.reading import Reader
from dqi_tracking.trackers.mlflow.sql_listing import Latest, Listed
from dqi_tracking.trackers.mlflow.store import check_store, is_file_store
from dqi_tracking.types import RunRef, Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Run

    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Reading

PAGE = 250
"""Runs a request of the listing: no slower than 1,000, and a page of runs with many metrics stays
small."""
BATCH = 40
"""Runs a chunk: two of the largest requests for histories."""
SERVER_JOBS = 2
EXPERIMENTS_A_REQUEST = 50
STEP = 0
"""Step of everything written: MLflow shows the largest (step, timestamp, value) of a metric, so
with one fixed step a newer score shows, be it lower."""

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
        self._client = client
        self._uri = uri
        self._keys = KeyResolver(settings)
        self._artifact = settings.artifact
        self._experiment = experiment
        self._run_id = run_id
        self._names: dict[str, str] = {}
        # a database answers or breaks off; a server, or what stands before it, may drip for ever
        self._seconds = settings.deadline if uri.startswith("http") else None
        self._reader = Reader(client, uri, self._experiments, self._seconds)

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

        `query.where` is MLflow's own search language.
        """
        if self._run_id:
            yield self._single()
            return
        with translated("list the experiments", self.address):
            found = named_experiments(self._client, self._experiment, self.address)
            self._names = {experiment.experiment_id: experiment.name for experiment in found}
        left = query.limit
        for run in self._search(query):
            ref = self._ref(run)
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

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        """Log the files, then metrics and tags in one batch, the fingerprint as its last tag."""
        from mlflow.entities import Metric, RunTag

        metrics = [
            Metric(key, value, stamp.timestamp, STEP) for key, value in stamp.metrics.items()
        ]
        facts = sorted(stamp.facts.items(), key=lambda fact: fact[0] == "fingerprint")
        tags = [RunTag(f"{TAG}{key}", value) for key, value in facts]
        refused = WriteRejected, "report this as a bug, with MLflow's version and the message"
        with translated("write the score", self.address, run=ref.run_id, rejected=refused):
            deadline = Deadline(self._seconds, "write the score", ref.run_id)
            if files and self._artifact:
                deadline.call(
                    lambda: put_files(self._reader.location(ref.run_id), self._uri, files)
                )
            deadline.call(lambda: self._client.log_batch(ref.run_id, metrics=metrics, tags=tags))

    def erase(self, ref: RunRef) -> str:
        """Delete tags and files, the fingerprint first. MLflow deletes no metrics."""
        run = self._reader.active_run(ref.run_id)
        refused = WriteRejected, "check that you may write to the run and its artifacts"
        with translated("take the score off", self.address, run=ref.run_id, rejected=refused):
            return take_off(self._client, run, self._uri, artifact=self._artifact)

    def view(self, ref: RunRef | None = None) -> View:
        """Return the page of the run, or the experiment's table sorted by `dqi`."""
        served = self._uri.startswith(("http://", "https://"))
        base = self.address.replace("***@", "").rstrip("/") if served else "http://127.0.0.1:5000"
        allow = "MLFLOW_ALLOW_FILE_STORE=true " if is_file_store(self._uri) else ""
        uri = shlex.quote(self.address)
        command = "" if served else f"{allow}mlflow ui --backend-store-uri {uri}"
        ids = self._experiments()
        if ref is not None and ref.group in ids:
            page = f"experiments/{ids[ref.group]}/runs/{quote(ref.run_id)}"
        elif len(ids) == 1:
            page = (
                f"experiments/{next(iter(ids.values()))}/runs"
                "?orderByKey=metrics.%60dqi%60&orderByAsc=false"
            )
        else:
            page = "experiments"
        return View(f"{base}/#/{page}", command)

    def close(self) -> None:
        """Close what reading opened; MLflow shares its own connections in the process."""
        self._reader.close()

    def _single(self) -> RunRef:
        run = self._reader.active_run(self._run_id)
        with translated("find the experiment", self.address):
            experiment = self._client.get_experiment(run.info.experiment_id)
        self._names = {experiment.experiment_id: experiment.name}
        return self._ref(_listed(run))

    def _experiments(self) -> dict[str, str]:
        return {name: identifier for identifier, name in self._names.items()}

    def _search(self, query: Query) -> Iterator[Listed]:
        from mlflow.entities import ViewType

        only_finished = not (query.include_failed or query.include_running)
        finished = "attributes.status = 'FINISHED'" if only_finished else ""
        where = " and ".join(part for part in (query.where, finished) if part)
        refused = ReadRejected, "correct the filter: https://mlflow.org/docs/latest/search-runs"
        identifiers = list(self._names)
        listing = None if query.where else self._reader.listing()
        for first in range(0, len(identifiers), EXPERIMENTS_A_REQUEST):
            some = identifiers[first : first + EXPERIMENTS_A_REQUEST]
            if listing is not None:
                with translated("list the runs", self.address):
                    for listed in listing.pages(some, finished=only_finished):
                        yield from listed
                continue
            token: str | None = None
            while True:
                ask = partial(
                    self._client.search_runs,
                    some,
                    where,
                    ViewType.ACTIVE_ONLY,
                    max_results=PAGE,
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
                with translated("list the runs", self.address, rejected=refused):
                    page = Deadline(self._seconds, "list the runs", "").call(ask)
                yield from map(_listed, page)
                token = page.token
                if not token:
                    break

    def _ref(self, run: Listed) -> RunRef:
        candidates = self._keys.candidates(list(run.latest))
        return RunRef(
            run_id=run.run_id,
            name=run.name,
            group=self._names.get(run.experiment_id, run.experiment_id),
            status=run.status,
            started=run.started,
            ended=run.ended,
            loss_keys=candidates.loss,
            grad_norm_keys=candidates.grad_norm,
            step_key=candidates.step,
            latest={
                key: f"{metric.value!r}@{metric.step}/{metric.timestamp}"
                for key in sorted({*candidates.metrics, candidates.step} - {""})
                if (metric := run.latest[key])
            },
            stamp=_stamp(run.tags, run.latest),
        )


def _listed(run: Run) -> Listed:
    # the only public way to a metric's step and timestamp
    metrics = run.data.to_proto().metrics
    return Listed(
        run.info.run_id,
        run.info.run_name or "",
        run.info.experiment_id,
        str(run.info.status),
        run.info.start_time or 0,
        run.info.end_time or 0,
        {each.key: Latest(each.value, each.step, each.timestamp) for each in metrics},
        run.data.tags,
    )


def _stamp(tags: Mapping[str, str], latest: Mapping[str, Latest]) -> Stamp | None:
    facts = {fact: tags[f"{TAG}{fact}"] for fact in FACTS if f"{TAG}{fact}" in tags}
    ours = {key: latest[key] for key in METRICS if key in latest}
    if not facts and not ours:
        return None
    return Stamp(
        metrics={key: float(metric.value) for key, metric in ours.items()},
        facts=facts,
        timestamp=max((int(metric.timestamp) for metric in ours.values()), default=0),
    )
