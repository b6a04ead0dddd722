"""Histories straight from the tables of a SQL store, in columns and read-only."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.errors import ReadRejected, masked
from dqi_tracking.trackers.keys import choose
from dqi_tracking.trackers.mlflow.points import restore_infinities
from dqi_tracking.trackers.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Select
    from sqlalchemy.engine import Engine

    from dqi_tracking.trackers.mlflow.points import Fetch
    from dqi_tracking.types import MetricKey, RunRef

    _Points = NDArray[np.void]

_log = logging.getLogger("dqi_tracking")

SCHEMAS = frozenset({"dc11669786a5", "8b6ad64cb8f5"})
"""Alembic revisions whose tables these statements are good for: MLflow 3.17 and 3.18."""
_READ_ONLY = {
    # MLflow's own time-out, where somebody else is writing
    "sqlite": ("PRAGMA query_only = ON", "PRAGMA busy_timeout = 20000"),
    "postgresql": ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",),
    "mysql": ("SET SESSION TRANSACTION READ ONLY",),
}
_ROWS_AT_ONCE = 20_000
KEYS_A_STATEMENT = 500
"""Metrics named in one statement: below what any of the databases takes."""
_INDEX = "index_metrics_run_uuid_key_step"
_POINT = np.dtype([("step", np.int64), ("value", np.float64), ("is_nan", np.bool_)])
_TIMED = np.dtype([*_POINT.descr, ("timestamp", np.int64)])


def open_sql_route(uri: str, public: Callable[[str, str], Series]) -> SqlRoute | None:
    """Open the tables of a store, or return None and log why where they are not known.

    Parameters
    ----------
    uri : str
        Tracking URI of a SQL store.
    public : callable
        Reads a metric of a run by the public client, for what does not come from the tables.
    """
    from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES

    route = None
    try:
        if MLFLOW_ENABLE_WORKSPACES.get():
            why = "workspaces are on, and MLflow alone knows what one may see"
        else:
            route = SqlRoute(_engine(uri), public)
            revision = route.revision()
            if revision in SCHEMAS:
                return route
            why = f"the store's schema is not known here ({revision})"
    except Exception as error:  # noqa: BLE001 - whatever it is, the public client reads as well
        why = str(error).partition("\n")[0]
    if route is not None:
        route.close()
    _log.info("%s is read by MLflow's client, not by SQL: %s", masked(uri), masked(why))
    return None


class SqlRoute:
    """Histories by one statement a series.

    A statement a series, ordered by step, walks an index that MLflow has for it; one for many runs
    is slower, since neither SQLite nor PostgreSQL then takes that index. No cursor stays open
    between runs: on SQLite it would lock the writer out.

    Parameters
    ----------
    engine : Engine
        Its connections cannot write.
    public : callable
        Reads a metric of a run by the public client.
    """

    def __init__(self, engine: Engine, public: Callable[[str, str], Series]) -> None:
        import sqlalchemy as sa

        self.engine = engine
        self._public = public
        # no types: SQLAlchemy would look at each value of each row
        run_id, key, *columns = (
            sa.column(name) for name in ("run_uuid", "key", *(_TIMED.names or ()))
        )
        metrics = sa.table("metrics", run_id, key, *columns)
        the_run = run_id == sa.bindparam("run")
        self._timed = (
            sa.select(*columns)
            .select_from(metrics)
            .where(the_run, key == sa.bindparam("key"))
            .order_by(columns[0])
            # MySQL takes a shorter index, which reads and sorts more, or the primary key
            .with_hint(metrics, f"FORCE INDEX ({_INDEX})", "mysql")
        )
        # times tell nothing but the order of points at one step, and few series have such
        self._points = self._timed.with_only_columns(*columns[:-1])
        self._of_several = (
            sa.select(key, *columns)
            .select_from(metrics)
            .where(the_run, key.in_(sa.bindparam("keys", expanding=True)))
            .order_by(key, columns[0])
            .with_hint(metrics, f"FORCE INDEX ({_INDEX})", "mysql")
        )
        self._counts = (
            sa.select(key, sa.func.count())
            .select_from(metrics)
            .where(the_run, key.in_(sa.bindparam("keys", expanding=True)))
            .group_by(key)
        )
        found, stage, location = (
            sa.column(name) for name in ("run_uuid", "lifecycle_stage", "artifact_uri")
        )
        self._runs = (
            sa.select(found, location)
            .select_from(sa.table("runs", found, stage, location))
            .where(found.in_(sa.bindparam("runs", expanding=True)), stage == "active")
        )
        self._revisions = sa.select(sa.column("version_num")).select_from(
            sa.table("alembic_version")
        )

    def revision(self) -> str:
        """Return the revision of the schema, once all that is read here has been found there."""
        with self.engine.connect() as connection:
            revision = connection.execute(self._revisions).scalar_one()
        self._rows(self._timed, {"run": "", "key": ""}, _TIMED)
        self._lengths("", ("",))
        self._found([""])
        return str(revision)

    def locations(self, refs: Sequence[RunRef]) -> Mapping[str, str]:
        """Return the artifact URI of each run that is there and not deleted, by its id."""
        return self._found([ref.run_id for ref in refs])

    def fetches(self, refs: Sequence[RunRef]) -> Iterator[tuple[RunRef, Fetch]]:
        """Yield for each run, in order, what to read of it and how."""
        for ref in refs:
            yield self._narrowed(ref), partial(self._series, ref.run_id)

    def several(self, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
        """Return some metrics of one run by a statement for each few hundred of them."""
        found: dict[str, Series] = {}
        try:
            for first in range(0, len(keys), KEYS_A_STATEMENT):
                found.update(self._read_several(run_id, keys[first : first + KEYS_A_STATEMENT]))
        except Exception as error:  # noqa: BLE001 - as in `_series`
            self._tell(run_id, error)
            return {key: self._public(run_id, key) for key in keys}
        return found

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def _narrowed(self, ref: RunRef) -> RunRef:
        """Leave one candidate of each kind, where their lengths alone decide."""
        try:
            return replace(
                ref,
                loss_keys=self._longest(ref.run_id, ref.loss_keys),
                grad_norm_keys=self._longest(ref.run_id, ref.grad_norm_keys),
            )
        except Exception as error:  # noqa: BLE001 - as in `_series`
            self._tell(ref.run_id, error)
            return ref

    def _longest(self, run_id: str, keys: tuple[MetricKey, ...]) -> tuple[MetricKey, ...]:
        # the length of a sum is known only once its parts are read
        if len(keys) < 2 or any(len(key.parts) > 1 for key in keys):
            return keys
        counted = self._lengths(run_id, [key.parts[0] for key in keys])
        chosen = choose(keys, {key: counted.get(key.parts[0], 0) for key in keys})
        return () if chosen is None else (chosen,)

    def _series(self, run_id: str, key: str) -> Series:
        try:
            return self._read(run_id, key)
        except Exception as error:  # noqa: BLE001 - a route that fails must not fail the run
            self._tell(run_id, error)
            return self._public(run_id, key)

    def _read(self, run_id: str, key: str) -> Series:
        given = {"run": run_id, "key": key}
        points = self._rows(self._points, given, _POINT)
        step = points["step"].astype(np.float64)
        if not np.all(step[1:] > step[:-1]):
            points = _in_order(self._rows(self._timed, given, _TIMED))
        return _series_of(points)

    def _rows(self, statement: Select[Any], given: dict[str, str], kind: np.dtype[Any]) -> _Points:
        blocks = [np.empty(0, kind)]
        with self.engine.connect() as connection:
            cursor: Any = connection.execute(statement, given).cursor
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                blocks.append(np.fromiter(rows, kind, len(rows)))
        return np.concatenate(blocks)

    def _read_several(self, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
        by_key: dict[str, list[tuple[Any, ...]]] = {}
        with self.engine.connect() as connection:
            given = {"run": run_id, "keys": list(keys)}
            cursor: Any = connection.execute(self._of_several, given).cursor
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                for key, *point in rows:
                    by_key.setdefault(str(key), []).append(tuple(point))
        return {
            key: _series_of(_in_order(np.fromiter(points, _TIMED, len(points))))
            for key, points in by_key.items()
        }

    def _lengths(self, run_id: str, keys: Sequence[str]) -> Mapping[str, int]:
        with self.engine.connect() as connection:
            rows = connection.execute(self._counts, {"run": run_id, "keys": list(keys)})
            return {str(key): int(count) for key, count in rows}

    def _found(self, run_ids: Sequence[str]) -> Mapping[str, str]:
        with self.engine.connect() as connection:
            rows = connection.execute(self._runs, {"runs": list(run_ids)})
            return {str(run): location or "" for run, location in rows}

    def _tell(self, run_id: str, error: Exception) -> None:
        said = masked(str(error).partition("\n")[0])
        _log.info("run %s is read by MLflow's client, for SQL gave: %s", run_id, said)


def _in_order(points: _Points) -> _Points:
    """Return points in the client's order: by step, time and value, NaN as the 0 it is kept as."""
    # steps beyond 2**53 that are one as float64 are in the order of their times
    step = points["step"].astype(np.float64)
    return points[np.lexsort((points["is_nan"], points["value"], points["timestamp"], step))]


def _series_of(points: _Points) -> Series:
    value = np.where(points["is_nan"], np.nan, points["value"])
    restore_infinities(value)
    return Series(points["step"].astype(np.float64), value)


def _engine(uri: str) -> Engine:
    from mlflow.store.db.utils import create_sqlalchemy_engine
    from sqlalchemy import event

    # with MLflow's settings for the pool and for TLS
    engine = create_sqlalchemy_engine(uri)
    statements = _READ_ONLY.get(engine.dialect.name)
    if statements is None:
        raise ReadRejected(
            f"no read-only connection to {engine.dialect.name} is known here",
            fix="go through the store's own server, or let MLflow's client read",
        )

    def make_read_only(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", make_read_only)
    return engine
