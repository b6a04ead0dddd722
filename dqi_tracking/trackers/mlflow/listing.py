"""Listing the runs of experiments: by SQL where the tables are known, else by MLflow's search."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dqi_tracking.errors import ReadRejected
from dqi_tracking.names import FORECAST, LISTED_FACTS, METRICS, STANDING
from dqi_tracking.trackers.columns import columns_of
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.mlflow.erasing import TAG
from dqi_tracking.trackers.mlflow.failures import translated
from dqi_tracking.trackers.mlflow.sql_listing import Latest, Listed
from dqi_tracking.types import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.entities import PagedList

    from dqi_tracking.trackers.base import Query
    from dqi_tracking.trackers.mlflow.reading import Reader

PAGE = 250
"""Runs a request of the listing: no slower than 1,000, and a page of runs with many metrics stays
small."""
EXPERIMENTS_A_REQUEST = 50


class Listing:
    """Runs of a store, newest first within an experiment.

    Parameters
    ----------
    client : MlflowClient
    reader : Reader
        Has the listing by SQL.
    address : str
        For messages.
    seconds : float or None
        Deadline of a page.
    """

    def __init__(
        self, client: MlflowClient, reader: Reader, address: str, seconds: float | None
    ) -> None:
        self._client = client
        self._reader = reader
        self._address = address
        self._seconds = seconds

    def runs(self, experiment_ids: Sequence[str], query: Query) -> Iterator[Listed]:
        """Yield the runs of experiments, of the query only the filter and what it can leave out."""
        only_finished = not (query.include_failed or query.include_running)
        finished = "attributes.status = 'FINISHED'" if only_finished else ""
        where = " and ".join(part for part in (query.where, finished) if part)
        by_sql = None if query.where else self._reader.listing()
        for first in range(0, len(experiment_ids), EXPERIMENTS_A_REQUEST):
            some = experiment_ids[first : first + EXPERIMENTS_A_REQUEST]
            if by_sql is None:
                yield from self._searched(some, where)
                continue
            with translated("list the runs", self._address):
                for page in by_sql.pages(some, finished=only_finished, columns=query.columns):
                    yield from page

    def _searched(self, experiment_ids: Sequence[str], where: str) -> Iterator[Listed]:
        refused = ReadRejected, "correct the filter: https://mlflow.org/docs/latest/search-runs"
        token: str | None = None
        while True:
            with translated("list the runs", self._address, rejected=refused):
                ask = partial(self._page, experiment_ids, where, token)
                page = Deadline(self._seconds, "list the runs", "").call(ask)
            yield from map(listed, page)
            token = page.token
            if not token:
                return

    def _page(self, experiment_ids: Sequence[str], where: str, token: str | None) -> PagedList[Run]:
        from mlflow.entities import ViewType

        return self._client.search_runs(
            list(experiment_ids),
            where,
            ViewType.ACTIVE_ONLY,
            max_results=PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )


def listed(run: Run) -> Listed:
    """Return a run of MLflow's client as one of the listing by SQL."""
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
        run.data.params,
    )


def listed_columns(run: Listed, query: Query) -> dict[str, str]:
    """Return the columns that the query asks for: `metrics.x`, `params.x`, `tags.x`."""
    if not query.columns:
        return {}
    latest = {key: metric.value for key, metric in run.latest.items()}
    holders = {"metrics": latest, "params": run.params, "tags": run.tags}
    return columns_of(query.columns, holders)


def stamp_of(tags: Mapping[str, str], latest: Mapping[str, Latest]) -> Stamp | None:
    """Return what DQI wrote on a run, or None where there is nothing of it."""
    facts = {fact: tags[f"{TAG}{fact}"] for fact in LISTED_FACTS if f"{TAG}{fact}" in tags}
    ours, standing = (
        {key: latest[key] for key in keys if key in latest}
        for keys in ((*METRICS, *FORECAST), STANDING)
    )
    if not facts and not ours and not standing:
        return None
    return Stamp(
        metrics={key: float(metric.value) for key, metric in {**ours, **standing}.items()},
        facts=facts,
        # percentiles move while the score stays: its commit mark is held against its own time
        timestamp=_last(ours),
        standing_at=_last(standing),
    )


def _last(metrics: Mapping[str, Latest]) -> int:
    return max((int(metric.timestamp) for metric in metrics.values()), default=0)
