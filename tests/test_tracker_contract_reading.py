"""Histories come back exactly as they were logged, from every tracker."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dqi_tracking import Query, ReadRejected, RunNotFound
from dqi_tracking.types import FloatArray, History
from tests.tracker_harness.base import Harness, Points

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

NAN, INF = math.nan, math.inf
LOSS = {"loss": [(0, 3.0), (1, 2.0), (2, 1.5), (3, 1.25)]}


def test_readings_come_in_order_and_one_bad_run_stops_no_other(harness: Harness) -> None:
    names = ("a", "b", "gone", "c", "d")
    runs = {name: harness.add(name, {"loss": [(0, 1.0), (1, ord(name[0]))]}) for name in names}
    refs = {ref.name: ref for ref in harness.find()}
    harness.delete(runs["gone"])
    readings = harness.read(refs[name] for name in names)
    assert [reading.ref.name for reading in readings] == list(names)
    assert type(readings[2].error) is RunNotFound
    assert (readings[2].error.run, readings[2].history) == (runs["gone"], None)
    last = [reading.found().loss[-1] for reading in readings if reading.error is None]
    assert last == [ord(name) for name in "abcd"]


def test_text_in_a_series_is_an_error_of_that_run(harness: Harness) -> None:
    harness.needs("text")
    harness.add("fine", LOSS)
    harness.add("text", {"loss": [(0, 1.0), (1, "diverged"), (2, 0.5)]})
    readings = {each.ref.name: each for each in harness.read(harness.find())}
    assert type(readings["text"].error) is ReadRejected
    assert "diverged" in readings["text"].error.message
    assert readings["fine"].found().loss.tolist() == [3.0, 2.0, 1.5, 1.25]


@pytest.mark.parametrize("seed", range(3))
def test_a_history_is_exact_to_the_last_bit(harness: Harness, seed: int) -> None:
    points = hard_points(seed)
    run = harness.add("run", {"loss": points, "other": [(0, 1.0)]})
    assert_same_points(harness.history(run), points)


def test_steps_may_be_negative(harness: Harness) -> None:
    harness.needs("negative steps")
    points = [(-(2**40), 3.5), (-7, 2.0), (-1, 1.0), (0, 0.5), (9, 0.25)]
    assert_same_points(harness.history(harness.add("run", {"loss": points})), points)


def test_values_of_one_step_stay_in_the_order_of_logging(harness: Harness) -> None:
    harness.needs("duplicate steps")
    points = [(0, 3.0), (1, 2.0), (1, 9.0), (1, 1.0), (2, 0.5), (2, 0.5), (9, 0.25)]
    assert_same_points(harness.history(harness.add("run", {"loss": points})), points)


def test_nan_and_infinities_come_back_as_such(harness: Harness) -> None:
    points = [(0, 3.0), (1, NAN), (2, INF), (3, -INF), (4, 1.0), (5, NAN)]
    assert_same_points(harness.history(harness.add("run", {"loss": points})), points)


def test_two_series_of_other_steps_come_whole(harness: Harness) -> None:
    loss = [(step, 1 / (step + 1)) for step in range(0, 90, 3)]
    norms = [(step, 2.0 + step) for step in range(0, 90, 10)]
    history = harness.history(harness.add("run", {"train/loss": loss, "grad_norm": norms}))
    assert_same_points(history, loss)
    assert list(zip(history.grad_step, history.grad_norm, strict=True)) == norms
    assert (history.loss_key, history.grad_norm_key) == ("train/loss", "grad_norm")


def test_points_that_came_late_are_read(harness: Harness) -> None:
    run = harness.add("run", LOSS)
    assert harness.history(run).loss.size == 4
    harness.extend(run, "loss", [(4, 1.125), (100, 1.0)])
    assert_same_points(harness.history(run), [*LOSS["loss"], (4, 1.125), (100, 1.0)])


def test_any_metrics_of_a_run_are_read_exactly(harness: Harness) -> None:
    rates = [(step, 0.1 / (step + 1)) for step in range(0, 60, 7)]
    norms = {f"grad_2.0_norm/h.{n}.w": [(s, n + s / 64) for s in range(n, 40)] for n in range(12)}
    logged = {"loss": hard_points(0), "lr": rates, "norm": [(0, NAN), (1, INF), (2, 1.0)], **norms}
    harness.add("other", {"lr": [(0, 5.0)], "norm": [(0, 5.0)]})
    ref = harness.ref(harness.add("run", logged))
    with harness.opened() as tracker:
        assert set(logged) <= set(tracker.metric_names(ref))
        found = tracker.series(ref, ["lr", "missing", *norms, "norm", "loss"])
        (alone,) = tracker.series(ref, ["lr"]).values()
        assert tracker.series(ref, []) == tracker.series(ref, ["missing"]) == {}
    assert list(found) == ["lr", *norms, "norm", "loss"]
    for key, series in found.items():
        assert_same_series(series.step, series.value, logged[key])
    assert_same_series(alone.step, alone.value, rates)


def test_names_of_metrics_are_sorted_and_none_of_the_trackers_own(harness: Harness) -> None:
    run = harness.add("run", {"zeta": [(0, 1.0)], "loss": [(0, 1.0)], "gradients/h.0": [(1, 2.0)]})
    with harness.opened() as tracker:
        (ref,) = tracker.find(Query())
        names = tracker.metric_names(ref)
    assert ref.run_id == run
    assert list(names) == sorted(names)
    assert {name for name in names if name != "dqi_mine"} == {"zeta", "loss", "gradients/h.0"}


def test_any_metrics_of_a_run_that_is_gone_are_an_error(harness: Harness) -> None:
    harness.add("stays", LOSS)
    run = harness.add("run", LOSS)
    ref = harness.ref(run)
    harness.delete(run)
    with harness.opened() as tracker:
        with pytest.raises(RunNotFound) as raised:
            tracker.metric_names(ref)
        with pytest.raises(RunNotFound):
            tracker.series(ref, ["missing"])
    assert raised.value.run == run


def test_text_among_any_metrics_is_an_error(harness: Harness) -> None:
    harness.needs("text")
    ref = harness.ref(harness.add("run", {**LOSS, "lr": [(0, 1.0), (1, "high"), (2, 0.5)]}))
    with harness.opened() as tracker, pytest.raises(ReadRejected, match="high"):
        tracker.series(ref, ["lr"])


def test_many_metrics_are_read_without_a_request_each(
    harness: Harness, request: pytest.FixtureRequest
) -> None:
    if "http" in request.node.name:
        pytest.skip("a server's routes give one metric a request")
    logged = {f"grad_2.0_norm/h.{n}": [(0, 1.0), (1, 2.0)] for n in range(60)}
    ref = harness.ref(harness.add("run", {**LOSS, **logged}))
    with harness.opened() as tracker:
        tracker.series(ref, ["loss"])
        before = harness.n_requests()
        assert len(tracker.series(ref, list(logged))) == 60
        assert harness.n_requests() - before <= 5


def hard_points(seed: int) -> Points:
    """Return floats of every size, at steps that jump further and further."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**63, size=400, dtype=np.uint64).view(np.float64)
    values = [value for value in bits.tolist() if abs(value) <= 1e308]
    values += [-value for value in values[:50]]
    values += [5e-324, -5e-324, 2.2e-308, 1e308, -1e308, 0.1 + 0.2, 1 / 3, 0.0, 1.0, 100.0, -3.0]
    values += [2.0**53, 2.0**53 + 2, 2.0**63, 1e16, 1e21, 1e22, 123456789012345.0, 1e-7]
    rng.shuffle(values)
    gaps = np.where(rng.random(len(values)) < 0.9, 1, rng.integers(1, 10**10, size=len(values)))
    return list(zip((np.cumsum(gaps) - 1).tolist(), values, strict=True))


def assert_same_points(history: History, points: Points) -> None:
    assert history.loss is not None
    assert_same_series(history.step, history.loss, points)


def assert_same_series(steps: FloatArray, values: FloatArray, points: Points) -> None:
    step, value = np.array([*zip(*points, strict=True)], dtype=np.float64)
    assert steps.tolist() == step.tolist()
    # bits, so that a NaN is one
    assert np.array_equal(np.isnan(values), np.isnan(value))
    finite = ~np.isnan(value)
    assert values[finite].tobytes() == value[finite].tobytes()
