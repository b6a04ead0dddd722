"""Histories of many runs in one request, from the public route of an MLflow server.

The route samples long series, and servers differ in how: a series is taken from it only where
nothing can have been left out, and read by MLflow's client otherwise.
"""

from __future__ import annotations

import logging
import re
import time
from collections import defaultdict
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import from_json

from dqi_tracking.errors import masked
from dqi_tracking.trackers.mlflow.points import series_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mlflow import MlflowClient
    from numpy.typing import NDArray

    from dqi_tracking.trackers.mlflow.points import Fetch
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.types import MetricKey, RunRef

    _Points = NDArray[np.void]

_log = logging.getLogger("dqi_tracking")

ENDPOINT = "/api/2.0/mlflow/metrics/get-history-bulk-interval"
MOST_ROWS = 2_500
"""Rows a run that the route gives; a series of so many may have had more."""
FEWEST_RUNS = 8
"""Fewer are read a series at a time: there is little to gain, and a failure is of one run alone."""
FIRST_RUNS, MOST_RUNS = 4, 20
"""Runs in the first request, and in any: more make an answer hardly cheaper."""
SECONDS = 2.0
"""What a request may take before the next is for fewer runs. A server over SQLite takes longer the
more runs its store has, and time-outs lie not far above."""
# servers without a SQL store begin at step 0 where no range is given; the fields have 32 bits
_ALL_STEPS = {"start_step": -(2**31), "end_step": 2**31 - 1}
_REFUSED = {401, 403}
_OK = 200
_POINT = np.dtype([("run_id", "O"), ("step", "i8"), ("timestamp", "i8"), ("value", "f8")])
_FIELDS = itemgetter(*_POINT.names or ())
_PLAIN_ID = re.compile(r"[0-9A-Za-z_-]+\Z")


class _NotThere(Exception):
    """The server does not have the route, or something else answers in its place."""


class HttpRoute:
    """Histories by one request for several runs and one metric.

    Parameters
    ----------
    client : MlflowClient
    uri : str
        Of a server.
    public : callable
        Reads a metric of a run by the public client.
    experiments : callable
        Returns the ids of experiments by the names that runs are listed under.
    within : callable
        Makes a request within the deadline: MLflow's own time-out starts anew with each byte.
    """

    def __init__(
        self,
        client: MlflowClient,
        uri: str,
        public: Callable[[str, str], Series],
        experiments: Callable[[], Mapping[str, str]],
        *,
        within: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._within = within
        self._client = client
        self._uri = uri
        self._public = public
        self._experiments = experiments
        self._runs = FIRST_RUNS
        self._gone = False
        self._apart: set[str] = set()

    def locations(self, refs: Sequence[RunRef]) -> Mapping[str, str]:
        """Return the artifact URI of each run that is there and not deleted, by its id."""
        from mlflow.entities import ViewType

        ids = self._experiments()
        asked = [ref for ref in refs if ref.group in ids and _PLAIN_ID.match(ref.run_id)]
        if len(asked) < FEWEST_RUNS:
            return {}
        quoted = ", ".join(f"'{ref.run_id}'" for ref in asked)
        found = self._client.search_runs(
            sorted({ids[ref.group] for ref in asked}),
            f"attributes.run_id IN ({quoted})",
            ViewType.ACTIVE_ONLY,
            max_results=len(asked),
        )
        return {run.info.run_id: run.info.artifact_uri or "" for run in found}

    def fetches(self, refs: Sequence[RunRef]) -> Iterator[tuple[RunRef, Fetch]]:
        """Yield for each run, in order, what to read of it and how."""
        is_worth_it = len(refs) >= FEWEST_RUNS
        first = 0
        while first < len(refs):
            some = refs[first : first + self._runs]
            first += len(some)
            loaded = self._loaded(some) if is_worth_it else {}
            for ref in some:
                yield ref, partial(self._series, loaded, ref.run_id)

    def several(self, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
        """Return some metrics of one run, a request each: the route takes one metric alone."""
        return {key: self._public(run_id, key) for key in keys}

    def close(self) -> None:
        """Do nothing: MLflow shares its connections between clients of the process."""

    def _series(self, loaded: dict[tuple[str, str], Series], run_id: str, key: str) -> Series:
        series = loaded.get((run_id, key))
        return self._public(run_id, key) if series is None else series

    def _loaded(self, refs: Sequence[RunRef]) -> dict[tuple[str, str], Series]:
        """Read what is sure to be asked for, as far as the route is exact."""
        by_key: dict[str, list[RunRef]] = defaultdict(list)
        for ref in refs:
            for key in sorted(_needed(ref)):
                by_key[key].append(ref)
        loaded: dict[tuple[str, str], Series] = {}
        slowest = 0.0
        for key, wanted in by_key.items():
            for asked in [[ref] for ref in wanted] if key in self._apart else [wanted]:
                start = time.monotonic()
                found = self._asked(asked, key)
                if found is None:
                    return loaded
                loaded.update({(run_id, key): series for run_id, series in found.items()})
                slowest = max(slowest, time.monotonic() - start)
        self._runs = _next_size(self._runs, slowest)
        return loaded

    def _asked(self, refs: Sequence[RunRef], key: str) -> dict[str, Series] | None:
        """Return the series of one request that are exact; None where there is no use in asking."""
        if self._gone:
            return None
        try:
            points = _points_of(self._answer(refs, key))
            by_run = _by_run(refs, points)
        except _NotThere as error:
            self._gone = True
            _log.info(
                "%s is read a series at a time, without the bulk route: %s",
                masked(self._uri),
                masked(str(error)),
            )
            return None
        except Exception as error:  # noqa: BLE001 - the public client asks again, and tells
            said = masked(str(error).partition("\n")[0])
            _log.info("%d runs are read one at a time: %s", len(refs), said)
            return None
        # some servers take one sample of the steps of all runs of the request
        if points.size >= MOST_ROWS and np.unique(points["step"]).size >= MOST_ROWS:
            self._apart.add(key)
            return {}
        return {
            ref.run_id: _series(by_run[ref.run_id])
            for ref in refs
            if ref.run_id in by_run and _is_whole(by_run[ref.run_id], ref.latest[key])
        }

    def _answer(self, refs: Sequence[RunRef], key: str) -> list[Any]:
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        asked = {"run_ids": [ref.run_id for ref in refs], "metric_key": key}
        response = self._within(
            lambda: http_request(
                get_default_host_creds(self._uri),
                ENDPOINT,
                "GET",
                params={**asked, "max_results": MOST_ROWS, **_ALL_STEPS},
            )
        )
        if response.status_code in _REFUSED:
            raise PermissionError(f"the server answered {response.status_code}")
        if response.status_code != _OK:
            raise _NotThere(f"the server answered {response.status_code}")
        try:
            # twice as fast as the standard library, and to the same last digit
            points = from_json(response.content).get("metrics", [])
        except (AttributeError, ValueError) as error:
            raise _NotThere("what answered is not an MLflow server") from error
        if not isinstance(points, list):
            raise _NotThere("what answered is not an MLflow server")
        return points


def _needed(ref: RunRef) -> set[str]:
    """Return the metrics that are read of a run whatever comes."""
    kinds = (ref.loss_keys, ref.grad_norm_keys, ref.validation_keys)
    keys = {part for kind in kinds for part in _first_tier(kind)}
    # without its last point there is no telling whether all came
    return {key for key in (keys | {ref.step_key}) if key in ref.latest}


def _first_tier(keys: Sequence[MetricKey]) -> Iterable[str]:
    return (part for key in keys if key.tier == keys[0].tier for part in key.parts)


def _points_of(points: list[Any]) -> _Points:
    """Return the points of an answer as a table; a step that is left out is 0."""
    try:
        try:
            return np.fromiter(map(_FIELDS, points), _POINT, len(points))
        except KeyError:
            given = ({"step": 0} | point for point in points)
            return np.fromiter(map(_FIELDS, given), _POINT, len(points))
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise _NotThere("its points are not those of an MLflow server") from error


def _by_run(refs: Sequence[RunRef], points: _Points) -> dict[str, _Points]:
    run_ids = points["run_id"]
    starts = np.flatnonzero(run_ids[1:] != run_ids[:-1]) + 1
    parts: dict[str, list[_Points]] = defaultdict(list)
    for part in np.split(points, starts) if points.size else ():
        parts[part["run_id"][0]].append(part)
    if not parts.keys() <= {ref.run_id for ref in refs}:
        raise _NotThere("it tells points of other runs than were asked for")
    return {run_id: np.concatenate(some) for run_id, some in parts.items()}


def _is_whole(points: _Points, latest: str) -> bool:
    """Tell whether no point can be missing, with what the listing says of the last one."""
    if points.size >= MOST_ROWS:
        return False
    step = points["step"].max()
    timestamp = points["timestamp"][points["step"] == step].max()
    return latest.rpartition("@")[2] == f"{step}/{timestamp}"


def _series(points: _Points) -> Series:
    return series_of(*(points[name].astype(np.float64) for name in ("step", "timestamp", "value")))


def _next_size(runs: int, seconds: float) -> int:
    if seconds > SECONDS:
        return max(1, runs // 2)
    return min(MOST_RUNS, runs * 2) if seconds < SECONDS / 2 else runs
