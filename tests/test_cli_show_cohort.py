"""`dqi show --against-cohort`: one run checked against the runs beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from dqi_tracking import open_tracker
from dqi_tracking.cli import main
from dqi_tracking.cohorts.histories import read_beside
from dqi_tracking.config import load_settings
from dqi_tracking.report.printable import printable
from dqi_tracking.trackers.single import single_run
from tests.cohort_runs import HOSTILE, Dqi, shown, values
from tests.mlflow_runs import LogRun, MakeExperiment, history_of, insert_series
from tests.proxy import FaultProxy
from tests.stores import Store
from tests.wandb_logs import losses, put, run_of

pytest_plugins = ["tests.cohort_fixtures"]


def test_show_finds_what_is_odd_beside_the_cohort_when_it_is_asked_to(
    dqi: Dqi, alike: list[str], odd: dict[str, str]
) -> None:
    for check, run in odd.items():
        found, out = shown(dqi, run, "--against-cohort")
        assert check in found
        assert f"found: {check.replace('_', ' ')}: " in out
        assert "compared with 12 other finished runs of cohort `e`" in out
        found, out = shown(dqi, run)
        assert not found
        assert "compared with" not in out
    found, out = shown(dqi, alike[4], "--against-cohort")
    assert not found
    assert "direct checks: nothing found" in out


def test_a_column_tells_the_cohort_and_few_runs_are_the_reason(
    dqi: Dqi, alike: list[str], odd: dict[str, str], fresh_sqlite: Store
) -> None:
    by_model = ("--against-cohort", "--cohort", "params.model")
    _, out = shown(dqi, alike[0], *by_model)
    assert f"compared with 9 other finished runs of cohort `{printable(HOSTILE)}`" in out
    found, out = shown(dqi, odd["rescaled"], *by_model)
    assert not found
    assert "compared with no cohort: the run has no `params.model`" in out
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    client.log_param(odd["rescaled"], "model", "other")
    client.log_param(odd["noise_level"], "model", "other")
    found, out = shown(dqi, odd["rescaled"], *by_model)
    assert not found
    assert "1 other finished run of cohort `other` with a loss, 8 are needed" in out
    with closing(sqlite3.connect(fresh_sqlite.uri.removeprefix("sqlite:///"))) as store, store:
        # as MLflow keeps NaN
        store.execute("UPDATE metrics SET value = 0, is_nan = 1")
    found, out = shown(dqi, alike[0], "--against-cohort")
    assert not found
    assert "0 other finished runs of cohort `e` with a loss, 8 are needed" in out


def test_show_reads_the_newest_forty_and_leaves_out_what_has_no_finite_loss(
    dqi: Dqi, alike: list[str], odd: dict[str, str], fresh_sqlite: Store
) -> None:
    for level in (1.0, 2.0, 3.0):
        insert_series(fresh_sqlite, "1", np.full(30, level))
    with closing(sqlite3.connect(fresh_sqlite.uri.removeprefix("sqlite:///"))) as store, store:
        # as MLflow keeps NaN
        store.execute("UPDATE metrics SET value = 0, is_nan = 1 WHERE run_uuid = ?", (alike[0],))
    _, out = shown(dqi, odd["rescaled"], "--against-cohort")
    assert "compared with 14 other finished runs of cohort `e`" in out
    assert ", the newest" not in out
    for seed in range(30, 56):
        insert_series(fresh_sqlite, "1", values(seed, n=40))
    found, out = shown(dqi, odd["rescaled"], "--against-cohort")
    assert "compared with 40 other finished runs of cohort `e`, the newest" in out
    assert "rescaled" in found


def test_a_run_without_a_loss_is_compared_with_none(
    dqi: Dqi, alike: list[str], fresh_sqlite: Store
) -> None:
    dqi("backfill", "mlflow:e", "--no-files", "--no-view")
    dqi("population", "save", "p.json", "mlflow:e")
    run = insert_series(fresh_sqlite, "1", values(3))
    with closing(sqlite3.connect(fresh_sqlite.uri.removeprefix("sqlite:///"))) as store, store:
        for table in ("metrics", "latest_metrics"):
            store.execute(f"UPDATE {table} SET key = 'grad_norm' WHERE run_uuid = ?", (run,))
    for more in (("--population", "p.json"), ("--against-cohort",)):
        found, out = shown(dqi, run, *more)
        assert not found
        assert "compared with no cohort: the run has no loss" in out
    assert len(alike) == 10


def test_two_cohorts_at_once_are_refused(dqi: Dqi, alike: list[str]) -> None:
    dqi("backfill", "mlflow:e", "--no-files", "--no-view")
    dqi("population", "save", "p.json", "mlflow:e")
    both = ("--against-cohort", "--population", "p.json")
    code, _, err = dqi("show", f"runs:/{alike[0]}", *both)
    assert (code, "fix: leave one of them out" in err) == (2, True)


def test_offline_runs_beside_one_are_found_and_a_damaged_one_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs"
    for seed in range(9):
        put(folder, bytes(run_of(losses(values(seed)), run_id=f"r{seed}").content), f"r{seed}")
    bad = put(folder, b"", "bad")
    bad.write_bytes(run_of(losses(values(9)), run_id="bad").content[:40])
    odd = put(folder, bytes(run_of(losses(3 * values(20)), run_id="odd").content), "odd")
    for address in (odd, odd.parent):
        assert main(["show", str(address), "--against-cohort"]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "compared with 9 other finished runs of cohort `proj`" in out
        assert "found: rescaled: " in out
    put(tmp_path / "alone", bytes(run_of(losses(values(1))).content))
    assert main(["show", str(tmp_path / "alone"), "--against-cohort"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "compared with no cohort: 0 other finished runs of cohort `proj`" in out


def test_a_run_that_the_server_does_not_give_is_left_out_and_counted(
    http_sqlite: Store, fault_proxy: FaultProxy, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    target = make_experiment(http_sqlite)
    losses = [values(seed, n=40) for seed in range(10)]
    runs = [log_run(http_sqlite, target.id, metrics={"loss": loss}) for loss in losses]
    fault_proxy.fail(history_of(runs[3]), status=500)
    settings = load_settings(tracking_uri=fault_proxy.uri)
    address = f"runs:/{runs[0]}"
    tracker = open_tracker(address, settings=settings)
    ref = single_run(tracker, address)
    tracker.close()
    found = read_beside(address, ref, settings)
    assert found.comparison is not None
    told = f"compared with 8 other finished runs of cohort `{target.name}`; 1 could not be read"
    assert found.told == told
