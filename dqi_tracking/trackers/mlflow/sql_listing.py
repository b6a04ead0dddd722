"""The listing of a SQL store, by columns: MLflow builds some ninety objects for a scored run.

For known schemas only, and without a filter, whose language is MLflow's own. The order is that of
`search_runs`: newest first, then by id.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from dqi_tracking.names import LISTED_FACTS
from dqi_tracking.trackers.columns import keys_of
from dqi_tracking.trackers.mlflow.erasing import TAG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Engine

PAGE = 250

_OURS = tuple(f"{TAG}{fact}" for fact in LISTED_FACTS)


class Latest(NamedTuple):
    """The last point of a metric, as MLflow keeps it."""

    value: float
    step: int
    timestamp: int


class Listed(NamedTuple):
    """One run of the listing; by SQL with our own tags and what was asked for alone."""

    run_id: str
    name: str
    experiment_id: str
    status: str
    started: int
    ended: int
    latest: Mapping[str, Latest]
    tags: Mapping[str, str]
    params: Mapping[str, str]


class SqlListing:
    """Runs of a store, page by page; no cursor is open between two pages.

    Parameters
    ----------
    engine : Engine
        Its connections cannot write.
    """

    def __init__(self, engine: Engine) -> None:
        import sqlalchemy as sa

        def table(name: str, *names: str) -> Any:
            return sa.table(name, *(sa.column(each) for each in names)).c

        self._engine = engine
        these = sa.bindparam("runs", expanding=True)
        run = table(
            "runs", "run_uuid", "name", "experiment_id", "status", "start_time", "end_time",
            "lifecycle_stage",
        )  # fmt: skip
        is_active = run.lifecycle_stage == "active"
        self._all = (
            sa.select(run.run_uuid)
            .where(run.experiment_id.in_(sa.bindparam("experiments", expanding=True)), is_active)
            .order_by(
                sa.case((run.start_time.is_(None), 1), else_=0),
                run.start_time.desc(),
                run.run_uuid,
            )
        )
        self._finished = self._all.where(run.status == "FINISHED")
        self._runs = sa.select(
            run.run_uuid, run.name, run.experiment_id, run.status, run.start_time, run.end_time
        ).where(run.run_uuid.in_(these), is_active)
        last = table("latest_metrics", "run_uuid", "key", "value", "step", "timestamp", "is_nan")
        self._latest = sa.select(
            last.run_uuid, last.key, last.value, last.step, last.timestamp, last.is_nan
        ).where(last.run_uuid.in_(these))
        tag = table("tags", "run_uuid", "key", "value")
        param = table("params", "run_uuid", "key", "value")
        self._every_tag, self._every_param = (
            sa.select(each.run_uuid, each.key, each.value).where(each.run_uuid.in_(these))
            for each in (tag, param)
        )
        keys = sa.bindparam("keys", expanding=True)
        self._tags = self._every_tag.where(tag.key.in_(keys))
        self._params = self._every_param.where(param.key.in_(keys))

    def pages(
        self, experiments: Sequence[str], *, finished: bool, columns: Sequence[str] = ()
    ) -> Iterator[list[Listed]]:
        """Yield the active runs of experiments, newest first.

        Parameters
        ----------
        experiments : sequence of str
            Ids.
        finished : bool
            Only those whose status is `FINISHED`.
        columns : sequence of str
            As in `Query`: tags and params that are brought along.
        """
        statement = self._finished if finished else self._all
        with self._engine.connect() as connection:
            asked = {"experiments": [int(each) for each in experiments]}
            ids = [row[0] for row in connection.execute(statement, asked)]
        for first in range(0, len(ids), PAGE):
            yield self._page(ids[first : first + PAGE], columns)

    def _page(self, ids: list[str], columns: Sequence[str]) -> list[Listed]:
        latest: dict[str, dict[str, Latest]] = defaultdict(dict)
        with self._engine.connect() as connection:
            rows = connection.execute(self._runs, {"runs": ids})
            runs: dict[str, Any] = {row[0]: row for row in rows}
            for run, key, value, step, time, is_nan in connection.execute(
                self._latest, {"runs": ids}
            ):
                latest[run][key] = Latest(math.nan if is_nan else float(value), step, time)
            tags = self._texts(connection, ids, "tags", keys_of(columns, "tags"))
            params = self._texts(connection, ids, "params", keys_of(columns, "params"))
        return [
            Listed(
                run_id,
                name or "",
                str(experiment),
                status,
                started or 0,
                ended or 0,
                latest[run_id],
                tags[run_id],
                params[run_id],
            )
            for run_id, name, experiment, status, started, ended in (
                runs[each] for each in ids if each in runs
            )
        ]

    def _texts(
        self, connection: Connection, ids: list[str], holder: str, keys: tuple[str, ...] | None
    ) -> Mapping[str, Mapping[str, str]]:
        """Return tags or params of runs: those keys (of tags also our own), or all for None."""
        every, some = {
            "tags": (self._every_tag, self._tags),
            "params": (self._every_param, self._params),
        }[holder]
        texts: dict[str, dict[str, str]] = defaultdict(dict)
        asked = {"runs": ids, "keys": [*(keys or ()), *(_OURS if holder == "tags" else ())]}
        if keys is None or asked["keys"]:
            for run, key, value in connection.execute(every if keys is None else some, asked):
                texts[run][key] = value
        return texts
