"""Histories come bit for bit as MLflow's public client gives them, by whichever route."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

import dqi_tracking
from dqi_tracking import MissingMetric, Query, RunNotFound
from dqi_tracking.trackers.series import Series, history_of
from dqi_tracking.types import History, RunRef
from tests.conftest import Experiment
from tests.mlflow_runs import BOTH, LogRun, curve, insert_series, opened
from tests.stores import Store

CURVES = Path(dqi_tracking.__file__).with_name("demo") / "curves.parquet"
NAN, INF = float("nan"), float("inf")
SERIES = {
    "plain": [(step, 2.0 - step / 100, 1_000 + step) for step in range(60)],
    "not numbers": [(0, 1.5, 9), (1, NAN, 10), (2, INF, 11), (3, -INF, 12), (4, 0.1 + 0.2, 13)],
    "near infinity": [(0, 1.7e308, 1), (1, -1.7e308, 2), (2, 5e-324, 3), (3, -0.0, 4)],
    "steps again": [(5, 1.0, 70), (5, 2.0, 60), (3, 3.0, 90), (5, 0.5, 80), (4, 1.25, 10)],
    "step and time again": [(5, 3.0, 7), (5, -3.0, 7), (5, NAN, 7), (5, 2.0, 7), (6, 0.1, 7)],
    "backwards": [(-step, 1.0 + step / 7, 1_000 + step) for step in range(20)],
    "huge steps": [(2**53 + n, float(n), 50 - n) for n in range(4)] + [(-(2**40), 9.0, 5)],
    "one step": [(0, 1 / (1 + n), n) for n in range(50)],
    "one point": [(7, 0.25, 3)],
}


def _public(client: MlflowClient, ref: RunRef) -> History:
    """Return what a run holds by the public client, one request a series, sorted by hand."""

    def fetch(key: str) -> Series:
        points = client.get_metric_history(ref.run_id, key)
        table = np.array([(p.step, p.timestamp, p.value) for p in points]).reshape(-1, 3)
        value = table[:, 2]
        value[np.abs(value) == np.finfo(float).max] *= INF
        order = np.lexsort((table[:, 1], table[:, 0]))
        return Series(table[order, 0], value[order])

    return history_of(ref, fetch)


def _bits(array: np.ndarray | None) -> bytes | None:
    return None if array is None else np.asarray(array, dtype="<f8").tobytes()


def _same(found: History, expected: History) -> bool:
    names = ("step", "loss", "grad_norm", "grad_step")
    return (found.loss_key, found.grad_norm_key) == (
        expected.loss_key,
        expected.grad_norm_key,
    ) and all(_bits(getattr(found, name)) == _bits(getattr(expected, name)) for name in names)


def assert_read_as_by_the_client(store: Store, experiment: Experiment, n_runs: int) -> None:
    tracker = opened(store, experiment)
    refs = list(tracker.find(Query()))
    assert len(refs) == n_runs
    # in another order than the listing's, and than that of the ids
    random.Random(3).shuffle(refs)
    client = MlflowClient(tracking_uri=store.uri)
    readings = list(tracker.read(refs))
    tracker.close()
    assert [reading.ref for reading in readings] == refs
    wrong = [
        reading.ref.name
        for reading in readings
        if not _same(reading.found(), _public(client, reading.ref))
    ]
    assert wrong == []


def test_hard_series_are_those_of_the_client(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    for name, points in SERIES.items():
        grad_norm = [(step, value + 1, at) for step, value, at in points][::-1]
        log_run(store, experiment.id, name=name, metrics={"loss": points, "grad_norm": grad_norm})
    assert_read_as_by_the_client(store, experiment, len(SERIES))


def test_real_curves_are_those_of_the_client(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    rows = pd.read_parquet(CURVES).sort_values(["run", "key", "step"])
    names = sorted(rows["run"].unique())[::3]
    for name in names:
        logged = {
            key: list(zip(points["step"], points["value"], strict=True))
            for key, points in rows[rows["run"] == name].groupby("key")
        }
        log_run(store, experiment.id, name=name, metrics=logged)
    assert_read_as_by_the_client(store, experiment, len(names))


@BOTH
def test_keys_of_any_kind_are_those_of_the_client(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    keyed = [
        ["loss"],
        ["Loss", "train/loss"],
        ["train_loss", "LOSS", "grad norm"],
        ["my_loss", "other_loss", "a/b_loss"],
        ["train/box_loss", "train/cls_loss", "train/dfl_loss"],
        ["größe_loss", "損失_loss"],
        ["it.s - 50 _ of : all_loss", "grad_norm"],
        ["x. .y_loss", "x: y_loss"],
        ["train_loss_step", "train_loss_epoch", "loss"],
        ["grad_norm", "grad-norm"],
    ]
    for number, keys in enumerate(keyed):
        sizes = enumerate(keys, start=1)
        metrics = {key: curve(2 + 7 * n * n % 23, seed=number + n) for n, key in sizes}
        log_run(store, experiment.id, name=str(keys), metrics=metrics)
    assert_read_as_by_the_client(store, experiment, len(keyed))


@pytest.mark.slow
@BOTH
def test_many_runs_are_those_of_the_client(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    for number in range(113):
        key = ("loss", "train/loss", "my_loss")[number % 3]
        points = [(step * (1 + number % 5), 1.0 / (1 + step), 9) for step in range(number % 40 + 1)]
        log_run(store, experiment.id, name=f"run {number}", metrics={key: points})
    assert_read_as_by_the_client(store, experiment, 113)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2_499, 2_500, 2_501, 6_000])
@BOTH
def test_series_about_as_long_as_a_sample_come_whole(
    store: Store, experiment: Experiment, log_run: LogRun, size: int
) -> None:
    for number in range(8):
        points = curve(size if number == 3 else 20, seed=number)
        log_run(store, experiment.id, name=f"{points.size}", metrics={"loss": points})
    assert_read_as_by_the_client(store, experiment, 8)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["http_sqlite", "http_postgres"], indirect=True)
def test_runs_that_share_few_steps_come_whole(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    # together more steps than a server may give, though each run has few
    for number in range(9):
        points = [(step * 9 + number, float(step), 5) for step in range(400)]
        log_run(store, experiment.id, metrics={"loss": points})
    assert_read_as_by_the_client(store, experiment, 9)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "http_sqlite"], indirect=True)
def test_series_longer_than_a_page_of_the_client_come_whole(
    store: Store, experiment: Experiment, log_run: LogRun, sqlite: Store
) -> None:
    if store.name == "sqlite":
        insert_series(store, experiment.id, curve(60_001))
        assert_read_as_by_the_client(store, experiment, 1)
        return
    for number in range(8):
        points = curve(25_010 if number == 3 else 20, seed=number)
        log_run(store, experiment.id, metrics={"loss": points})
    assert_read_as_by_the_client(store, experiment, 8)


def test_what_is_wrong_with_some_runs_leaves_the_others_as_they_are(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = [log_run(store, experiment.id, metrics={"loss": curve(seed=n)}) for n in range(12)]
    bare = log_run(store, experiment.id, metrics={"accuracy": curve()})
    tracker = opened(store, experiment)
    refs = list(tracker.find(Query()))
    never = RunRef("0" * 32, group=experiment.name, loss_keys=refs[-1].loss_keys)
    quoted = RunRef("a' OR '1' = '1", group=experiment.name, loss_keys=refs[-1].loss_keys)
    for gone in (runs[2], runs[7]):
        MlflowClient(tracking_uri=store.uri).delete_run(gone)
    readings = list(tracker.read([*refs, never, quoted]))
    tracker.close()
    errors = {r.ref.run_id: type(r.error) for r in readings if r.error is not None}
    kinds = {runs[2]: RunNotFound, runs[7]: RunNotFound, bare: MissingMetric, "0" * 32: RunNotFound}
    assert errors.pop(quoted.run_id) is not None
    assert errors == kinds
    assert sum(reading.history is not None for reading in readings) == 10


@pytest.mark.parametrize("store", ["sqlite", "postgres", "http_sqlite"], indirect=True)
def test_the_fast_route_is_taken_where_there_is_one(
    store: Store, experiment: Experiment, log_run: LogRun, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(9):
        log_run(store, experiment.id, metrics={"loss": curve(seed=number)})
    with caplog.at_level(logging.INFO, "dqi_tracking"):
        assert_read_as_by_the_client(store, experiment, 9)
    assert [r.getMessage() for r in caplog.records if r.name == "dqi_tracking"] == []
