"""Histories come out of an MLflow store exactly as they were logged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric

from dqi_tracking import History, MissingMetric, Query, RunNotFound, score
from dqi_tracking.types import MetricKey, RunRef
from tests.conftest import Experiment
from tests.mlflow_runs import IN_PROCESS, LogRun, curve, insert_series, opened
from tests.stores import Store
from tests.strategies import FEW

NAN, INF = float("nan"), float("inf")
HARD = [
    (100, 0.1, 5_000),
    (-7, 3.0, 1_000),
    (0, NAN, 2_000),
    (3, INF, 2_000),
    (2, -INF, 2_500),
    # a resumed run: step 100 and 3 again, later and earlier on the clock
    (100, 0.2, 9_000),
    (3, 0.5, 1_999),
    (100, NAN, 7_000),
    (50, 1e-300, 3_000),
    (60, -1.5e300, 3_000),
    (61, 0.1 + 0.2, 3_000),
    (2**53 - 1, 0.0, 1),
]


def _history(store: Store, experiment: Experiment, **settings: str) -> History:
    tracker = opened(store, experiment, **settings)
    (reading,) = tracker.read(list(tracker.find(Query())))
    return reading.found()


def _sorted(points: list[tuple[int, float, int]]) -> tuple[list[int], list[float]]:
    rows = sorted(points, key=lambda point: (point[0], point[2]))
    return [row[0] for row in rows], [row[1] for row in rows]


def test_points_come_as_logged_by_step_and_time(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    log_run(store, experiment.id, metrics={"loss": HARD})
    history = _history(store, experiment)
    step, value = _sorted(HARD)
    assert history.loss is not None
    assert history.step.tolist() == step
    np.testing.assert_array_equal(history.loss, value)
    assert (history.loss_key, history.grad_norm) == ("loss", None)


@IN_PROCESS
def test_any_points_come_as_logged(store: Store, experiment: Experiment) -> None:
    client = MlflowClient(tracking_uri=store.uri)
    tracker = opened(store, experiment)
    value = st.one_of(st.floats(), st.sampled_from((0.0, 1.0, NAN, INF, -INF)))
    key = st.tuples(st.integers(-5, 20), st.integers(1, 2**41))

    @settings(FEW, max_examples=20)
    @given(st.dictionaries(key, value, min_size=1, max_size=40))
    def check(rows: dict[tuple[int, int], float]) -> None:
        points = [(step, number, at) for (step, at), number in rows.items()]
        run_id = client.create_run(experiment.id).info.run_id
        metrics = [Metric("loss", number, at, step) for step, number, at in points]
        client.log_batch(run_id, metrics=metrics)
        (reading,) = tracker.read([RunRef(run_id, loss_keys=(MetricKey(("loss",)),))])
        step, numbers = _sorted(points)
        # MLflow keeps infinity as the largest number, so one cannot be told from the other
        largest = np.finfo(float).max
        expected = [np.copysign(INF, x) if abs(x) == largest else x for x in numbers]
        history = reading.found()
        assert history.step.tolist() == step
        np.testing.assert_array_equal(history.loss, expected)

    check()


@IN_PROCESS
def test_a_series_longer_than_a_page_comes_whole(store: Store, experiment: Experiment) -> None:
    points = curve(26_001)
    insert_series(store, experiment.id, points)
    history = _history(store, experiment)
    np.testing.assert_array_equal(history.step, np.arange(points.size))
    np.testing.assert_array_equal(history.loss, points)


def test_the_right_series_is_read(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    logged = {
        # what HF Trainer logs once at the end, and a longer series that is not for training
        "train_loss": [(60, 1.5)],
        "eval/loss": curve(90, seed=1),
        "my_custom_loss": curve(80, seed=2),
        "train/loss": curve(60, seed=3),
        "grad_norm": curve(61, seed=4),
        "dqi_loss": curve(99, seed=5),
    }
    log_run(store, experiment.id, metrics=logged)
    history = _history(store, experiment)
    assert (history.loss_key, history.grad_norm_key) == ("train/loss", "grad_norm")
    np.testing.assert_array_equal(history.loss, logged["train/loss"])
    np.testing.assert_array_equal(history.grad_norm, logged["grad_norm"])
    chosen = _history(store, experiment, loss_key="eval/loss")
    np.testing.assert_array_equal(chosen.loss, logged["eval/loss"])


@IN_PROCESS
@pytest.mark.parametrize(
    ("logged", "read"),
    [
        ({"loss": 2, "train_loss_step": 30, "train_loss_epoch": 3}, "train_loss_step"),
        ({"loss": 1, "stage_loss": 40}, "stage_loss"),
        ({"Loss": 5, "loss": 6}, "loss"),
        ({"val_loss": 50, "loss": 2}, "loss"),
    ],
)
def test_among_candidates_the_longest_of_the_best_is_read(
    store: Store, experiment: Experiment, log_run: LogRun, logged: dict[str, int], read: str
) -> None:
    log_run(store, experiment.id, metrics={key: curve(n) for key, n in logged.items()})
    assert _history(store, experiment).loss_key == read


def test_parts_of_a_loss_are_added(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    parts = {f"train/{name}_loss": curve(40, seed) for seed, name in enumerate(("box", "cls"))}
    gaps = [(step, 1.0 + step) for step in range(0, 40, 2)]
    log_run(store, experiment.id, metrics={**parts, "train/dfl_loss": gaps})
    history = _history(store, experiment)
    assert history.loss_key == "train/box_loss + train/cls_loss + train/dfl_loss"
    assert history.step.tolist() == list(range(0, 40, 2))
    total = sum(parts.values()) + 1.0 + np.arange(40)
    np.testing.assert_allclose(history.loss, total[::2], rtol=1e-15)


def test_a_run_without_loss_gives_its_gradient_norm(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    log_run(store, experiment.id, metrics={"grad_norm": curve(), "accuracy": curve()})
    history = _history(store, experiment)
    assert history.loss is None
    assert score(history).signal == "grad_norm"


def test_a_deleted_run_leaves_the_others_to_be_read(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = [log_run(store, experiment.id, metrics={"loss": curve()}) for _ in range(3)]
    tracker = opened(store, experiment)
    refs = list(tracker.find(Query()))
    MlflowClient(tracking_uri=store.uri).delete_run(runs[1])
    readings = {reading.ref.run_id: reading for reading in tracker.read(refs)}
    assert list(readings) == [ref.run_id for ref in refs]
    gone = readings.pop(runs[1])
    assert isinstance(gone.error, RunNotFound)
    assert gone.error.fix
    assert gone.error.run == runs[1]
    assert all(reading.found().step.size == 60 for reading in readings.values())


def test_a_run_that_never_was_is_told_from_one_without_loss(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    log_run(store, experiment.id, metrics={"accuracy": curve()})
    tracker = opened(store, experiment)
    (without,) = tracker.find(Query())
    never = RunRef("0" * 32, loss_keys=(MetricKey(("loss",)),))
    first, second = tracker.read([without, never])
    assert isinstance(first.error, MissingMetric)
    assert isinstance(second.error, RunNotFound)
    assert list(tracker.read([])) == []
