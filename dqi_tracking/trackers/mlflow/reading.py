"""Reading runs: by the fastest route that is exact for the store, else by the public client."""

from __future__ import annotations

import logging
import threading
from functools import cached_property, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from dqi_tracking.errors import DQIError, RunNotFound, masked
from dqi_tracking.trackers.base import Reading
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.mlflow.failures import translated
from dqi_tracking.trackers.mlflow.points import series_of
from dqi_tracking.trackers.mlflow.sql_listing import SqlListing
from dqi_tracking.trackers.mlflow.store import is_file_store
from dqi_tracking.trackers.series import history_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import Run

    from dqi_tracking.trackers.mlflow.points import Fetch, Route
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import History, RunRef

_log = logging.getLogger("dqi_tracking")

RUNS_A_QUERY = 100
_LOCATIONS_KEPT = 4_096


class Reader:
    """Histories of runs, and where their artifacts lie.

    Parameters
    ----------
    client : MlflowClient
    uri : str
        Tracking URI.
    experiments : callable
        Returns the ids of experiments by the names that runs are listed under.
    seconds : float or None
        Deadline of a run, and of a request for many.
    """

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        experiments: Callable[[], Mapping[str, str]],
        seconds: float | None,
    ) -> None:
        self._client = client
        self._uri = uri
        self._address = masked(uri)
        self._experiments = experiments
        self._seconds = seconds
        self._lock = threading.Lock()
        self._locations: dict[str, str] = {}

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        """Yield one reading for each run, in order."""
        for first in range(0, len(refs), RUNS_A_QUERY):
            yield from self._block(refs[first : first + RUNS_A_QUERY])

    def series(self, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
        """Return those of some metrics of one run that hold a point, in the order of `keys`."""
        with translated("read a history", self._address, run=run_id):
            deadline = self._deadline("read the history", run_id)
            found = deadline.call(lambda: self._several(run_id, keys))
        there = {key: found[key] for key in keys if key in found and found[key].step.size}
        if not there:
            # stores give empty histories of runs that never were
            self.active_run(run_id)
        return there

    def _several(self, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
        if self._route is not None:
            return self._route.several(run_id, keys)
        return {key: self._series(run_id, key) for key in keys}

    def active_run(self, run_id: str) -> Run:
        """Return a run as it is now, or raise `RunNotFound` where it is not there or deleted."""
        with translated("find the run", self._address, run=run_id):
            run = self._deadline("find the run", run_id).call(lambda: self._client.get_run(run_id))
        if run.info.lifecycle_stage != "active":
            raise RunNotFound(
                f"run `{run_id}` was deleted",
                fix=f"`mlflow runs restore --run-id {run_id}`, or leave it out",
                run=run_id,
            )
        self._keep({run_id: run.info.artifact_uri or ""})
        return run

    def location(self, run_id: str) -> str:
        """Return the artifact URI of a run, as it was when the run was read."""
        with self._lock:
            known = self._locations.get(run_id)
        return known or self._client.get_run(run_id).info.artifact_uri or ""

    def listing(self) -> SqlListing | None:
        """Return the listing by SQL, where the store is one of a known schema."""
        from dqi_tracking.trackers.mlflow.sql_route import SqlRoute

        return SqlListing(self._route.engine) if isinstance(self._route, SqlRoute) else None

    def close(self) -> None:
        """Close what the route opened."""
        if "_route" in self.__dict__ and self._route is not None:
            self._route.close()

    @cached_property
    def _route(self) -> Route | None:
        from dqi_tracking.trackers.mlflow.http_route import HttpRoute
        from dqi_tracking.trackers.mlflow.sql_route import open_sql_route

        if is_file_store(self._uri):
            return None
        if urlsplit(self._uri).scheme in ("http", "https"):
            return HttpRoute(
                self._client,
                self._uri,
                self._series,
                self._experiments,
                within=lambda work: self._deadline("read several histories").call(work),
            )
        return open_sql_route(self._uri, self._series)

    def _block(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        there = self._there(refs)
        for ref, (wanted, fetch) in zip(refs, self._fetches(refs), strict=True):
            try:
                # stores give histories of deleted runs, and empty ones of runs that never were
                if ref.run_id not in there:
                    self.active_run(ref.run_id)
                reading = Reading(ref, self._history(wanted, fetch))
            except DQIError as error:
                reading = Reading(ref, error=error)
            yield reading

    def _there(self, refs: Sequence[RunRef]) -> Mapping[str, str]:
        """Return the artifact URIs of runs that are known to be there; others are asked for."""
        if self._route is None:
            return {}
        try:
            route = self._route
            there = self._deadline("find the runs").call(lambda: route.locations(refs))
        except Exception as error:  # noqa: BLE001 - each run is then asked for, which tells what it is
            said = masked(str(error).partition("\n")[0])
            _log.info("%d runs are looked up one at a time: %s", len(refs), said)
            return {}
        self._keep(there)
        return there

    def _fetches(self, refs: Sequence[RunRef]) -> Iterator[tuple[RunRef, Fetch]]:
        if self._route is not None:
            return self._route.fetches(refs)
        return ((ref, partial(self._series, ref.run_id)) for ref in refs)

    def _history(self, ref: RunRef, fetch: Fetch) -> History:
        def told(key: str) -> Series:
            # one series may do without another, if what is wrong with it is one of our errors
            with translated("read a history", self._address, run=ref.run_id):
                return fetch(key)

        with translated("read a history", self._address, run=ref.run_id):
            deadline = self._deadline("read the history", ref.run_id)
            return deadline.call(lambda: history_of(ref, told))

    def _series(self, run_id: str, key: str) -> Series:
        points = self._client.get_metric_history(run_id, key)
        table = np.array(
            [(point.step, point.timestamp, point.value) for point in points], dtype=np.float64
        ).reshape(-1, 3)
        step, timestamp, value = table.T.copy()
        return series_of(step, timestamp, value)

    def _deadline(self, what: str, run_id: str = "") -> Deadline:
        return Deadline(self._seconds, what, run_id)

    def _keep(self, locations: Mapping[str, str]) -> None:
        with self._lock:
            self._locations.update(locations)
            while len(self._locations) > _LOCATIONS_KEPT:
                del self._locations[next(iter(self._locations))]
