"""MySQL's kind of database: read by SQL as MLflow's client reads it, and never written so."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import sqlalchemy
from mlflow import MlflowClient
from sqlalchemy.exc import DBAPIError

from dqi_tracking import Query, StoreNotFound, backfill, open_tracker
from dqi_tracking.config import load_settings
from dqi_tracking.names import METRICS
from dqi_tracking.trackers.mlflow.sql_route import open_sql_route
from dqi_tracking.trackers.series import Series
from tests.conftest import Experiment
from tests.mariadb import mariadb_store, program
from tests.mlflow_runs import LogRun, MakeExperiment, curve, opened
from tests.stores import Store
from tests.test_mlflow_routes import SERIES, assert_read_as_by_the_client

pytestmark = [
    pytest.mark.skipif(program("mariadbd") is None, reason="needs Debian's mariadb-server"),
    pytest.mark.xdist_group("mariadb"),
]


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Give the store of a MariaDB server."""
    with mariadb_store(tmp_path_factory.mktemp("mariadb")) as store:
        yield store


@pytest.fixture
def hard(mariadb: Store, make_experiment: MakeExperiment, log_run: LogRun) -> Experiment:
    """Give an experiment of hard series, and a long one."""
    experiment = make_experiment(mariadb)
    for name, points in (SERIES | {"long": [(n, 1 / (1 + n), n) for n in range(2_600)]}).items():
        log_run(mariadb, experiment.id, name=name, metrics={"loss": points, "grad_norm": points})
    return experiment


def test_series_are_read_by_sql_as_by_the_client(
    mariadb: Store, hard: Experiment, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dqi_tracking"):
        assert_read_as_by_the_client(mariadb, hard, len(SERIES) + 1)
    assert [r.getMessage() for r in caplog.records if r.name == "dqi_tracking"] == []


def test_a_backfill_is_done_once(mariadb: Store, hard: Experiment) -> None:
    settings = load_settings(tracking_uri=mariadb.uri)
    first = backfill(f"mlflow:{hard.name}", settings=settings)
    again = backfill(f"mlflow:{hard.name}", settings=settings)
    n = len(SERIES) + 1
    assert (first.counts["scored"], again.counts["unchanged"]) == (n, n)
    runs = MlflowClient(tracking_uri=mariadb.uri).search_runs([hard.id])
    assert all("dqi.fingerprint" in run.data.tags for run in runs)


def test_reading_cannot_write_and_walks_the_index(mariadb: Store, hard: Experiment) -> None:
    def nothing(_run: str, _key: str) -> Series:
        raise AssertionError("the public client was asked")

    route = open_sql_route(mariadb.uri, nothing)
    assert route is not None
    tracker = opened(mariadb, hard)
    (ref, *_) = tracker.find(Query())
    tracker.close()
    seen: list[str] = []
    sqlalchemy.event.listen(
        route.engine, "before_cursor_execute", lambda _c, _cu, text, *_: seen.append(text)
    )
    ((_, fetch),) = route.fetches([ref])
    assert fetch("loss").step.size
    explained = f"EXPLAIN {seen[-1]}"
    with route.engine.connect() as connection:
        plan = connection.exec_driver_sql(explained, {"run": ref.run_id, "key": "loss"}).mappings()
        assert [row["key"] for row in plan] == ["index_metrics_run_uuid_key_step"]
        with pytest.raises(DBAPIError, match=r"READ ONLY"):
            connection.execute(sqlalchemy.text("DELETE FROM metrics"))
    route.close()


def test_a_database_that_is_not_there_is_said(mariadb: Store) -> None:
    with pytest.raises(StoreNotFound, match="no such database") as caught:
        open_tracker("mlflow:", settings=load_settings(tracking_uri=mariadb.uri + "x"))
    assert "database's name" in caught.value.fix


def test_curve_is_scored_as_elsewhere(
    mariadb: Store, sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    values = []
    for store in (mariadb, sqlite):
        experiment = make_experiment(store)
        run = log_run(store, experiment.id, metrics={"loss": curve(200)})
        settings = load_settings(tracking_uri=store.uri)
        backfill(f"mlflow:{experiment.name}", settings=settings, files=False)
        metrics = MlflowClient(tracking_uri=store.uri).get_run(run).data.metrics
        values.append({key: value for key, value in metrics.items() if key.startswith("dqi")})
    assert values[0] == pytest.approx(values[1], rel=0, abs=0, nan_ok=True)
    assert set(values[0]) == set(METRICS)
