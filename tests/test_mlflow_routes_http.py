"""The bulk route of a server: taken where it is exact, left where it is not what it should be."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from dqi_tracking import Query
from dqi_tracking.trackers.base import Reading
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun, MakeExperiment, curve, history_requests, opened, through
from tests.proxy import FaultProxy, When
from tests.stores import Server, Store

N_RUNS = 30
BULK = "/api/2.0/mlflow/metrics/get-history-bulk-interval"
SINGLE = "/api/2.0/mlflow/metrics/get-history"


def is_bulk(_method: str, target: str, _body: bytes) -> bool:
    return target.startswith(BULK)


@pytest.fixture(scope="module")
def curves() -> list[np.ndarray]:
    return [curve(20, seed=number) for number in range(N_RUNS)]


@pytest.fixture
def served(
    http_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun, curves: list[np.ndarray]
) -> Experiment:
    """Give an experiment of the proxied server with thirty runs, named by their place."""
    experiment = make_experiment(http_sqlite)
    for number, points in enumerate(curves):
        log_run(http_sqlite, experiment.id, name=str(number), metrics={"loss": points})
    return experiment


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Give what was said at INFO or above."""
    with caplog.at_level(logging.INFO, "dqi_tracking"):
        yield lambda: [r.getMessage() for r in caplog.records if r.name == "dqi_tracking"]


def _read(proxy: FaultProxy, served: Experiment) -> list[Reading]:
    tracker = opened(through(proxy), served)
    refs = list(tracker.find(Query()))
    proxied = list(tracker.read(refs))
    assert [reading.ref for reading in proxied] == refs
    return proxied


def _all_right(readings: list[Reading], curves: list[np.ndarray]) -> bool:
    losses = {int(reading.ref.name): reading.found().loss for reading in readings}
    return losses.keys() == set(range(len(curves))) and all(
        np.array_equal(losses[number], points)  # type: ignore[arg-type]
        for number, points in enumerate(curves)
    )


def _count(proxy: FaultProxy, path: str) -> int:
    return proxy.counts["GET", path]


def test_many_runs_take_few_requests(
    fault_proxy: FaultProxy,
    served: Experiment,
    curves: list[np.ndarray],
    told: Callable[[], list[str]],
) -> None:
    assert _all_right(_read(fault_proxy, served), curves)
    assert (_count(fault_proxy, SINGLE), told()) == (0, [])
    assert _count(fault_proxy, BULK) <= N_RUNS // 4
    # neither is any run asked for by itself
    assert _count(fault_proxy, "/api/2.0/mlflow/runs/get") == 0


NOT_THE_ROUTE: dict[str, Callable[[FaultProxy, When], None]] = {
    "404": lambda proxy, when: proxy.fail(when, status=404, body=b"Not Found"),
    "501": lambda proxy, when: proxy.fail(when, status=501),
    "400": lambda proxy, when: proxy.fail(when, status=400, body=b"{}"),
    "HTML": lambda proxy, when: proxy.fail(when, status=200, body=b"<html>Log in</html>"),
    "cut": lambda proxy, when: proxy.cut(when),
    "a list": lambda proxy, when: proxy.fail(when, status=200, body=b"[]"),
    "a word": lambda proxy, when: proxy.fail(when, status=200, body=b'{"metrics": "no"}'),
    "other points": lambda proxy, when: proxy.fail(
        when, status=200, body=b'{"metrics": [{"key": 1}, 3]}'
    ),
    "other runs": lambda proxy, when: proxy.fail(
        when,
        status=200,
        body=b'{"metrics": [{"key": "loss", "value": 1, "timestamp": 1, "run_id": "x"}]}',
    ),
}


@pytest.mark.parametrize("fault", NOT_THE_ROUTE)
def test_what_is_not_the_route_is_asked_once_and_told(
    fault_proxy: FaultProxy,
    served: Experiment,
    curves: list[np.ndarray],
    told: Callable[[], list[str]],
    fault: str,
) -> None:
    NOT_THE_ROUTE[fault](fault_proxy, is_bulk)
    assert _all_right(_read(fault_proxy, served), curves)
    assert (_count(fault_proxy, BULK), _count(fault_proxy, SINGLE)) == (1, N_RUNS)
    (line,) = told()
    assert "without the bulk route" in line


def test_a_route_that_fails_is_asked_again_for_the_next_runs(
    fault_proxy: FaultProxy,
    served: Experiment,
    curves: list[np.ndarray],
    told: Callable[[], list[str]],
) -> None:
    # sent twice by MLflow's client
    fault_proxy.fail(is_bulk, status=502, times=2)
    assert _all_right(_read(fault_proxy, served), curves)
    assert 0 < _count(fault_proxy, SINGLE) < N_RUNS
    assert len(told()) == 1


@pytest.mark.parametrize("body", [b"{}", b'{"metrics": []}'])
def test_points_that_the_listing_knows_of_are_not_taken_for_missing(
    fault_proxy: FaultProxy, served: Experiment, curves: list[np.ndarray], body: bytes
) -> None:
    fault_proxy.fail(is_bulk, status=200, body=body)
    assert _all_right(_read(fault_proxy, served), curves)
    assert _count(fault_proxy, SINGLE) == N_RUNS


def test_a_series_without_its_last_point_is_read_again(
    fault_proxy: FaultProxy, served: Experiment, curves: list[np.ndarray]
) -> None:
    asked: list[str] = []

    def watch(_method: str, target: str, _body: bytes) -> bool:
        if target.startswith(BULK):
            asked.extend(parse_qs(urlsplit(target).query)["run_ids"])
        return False

    fault_proxy.fail(watch)
    _read(fault_proxy, served)
    first = asked[:4]
    point = {"key": "loss", "value": 0.5, "timestamp": 1, "step": 3}
    part = json.dumps({"metrics": [{**point, "run_id": run} for run in first]}).encode()
    fault_proxy.reset()
    fault_proxy.fail(is_bulk, status=200, body=part, times=1)
    assert _all_right(_read(fault_proxy, served), curves)
    assert _count(fault_proxy, SINGLE) == len(first)


def test_one_run_that_cannot_be_read_spoils_no_other(
    fault_proxy: FaultProxy, served: Experiment, curves: list[np.ndarray]
) -> None:
    tracker = opened(through(fault_proxy), served)
    refs = list(tracker.find(Query()))
    bad = refs[5]
    fault_proxy.fail(lambda _m, target, _b: "get-history" in target and bad.run_id in target)
    readings = list(tracker.read(refs))
    assert [r.ref for r in readings if r.error is not None] == [bad]
    assert all(r.error is not None or r.found().loss is not None for r in readings)
    # the runs beside it one at a time, the others as ever
    assert history_requests(fault_proxy) < N_RUNS


def test_the_route_is_asked_with_mlflows_own_credentials(
    auth_server: Server,
    make_experiment: MakeExperiment,
    log_run: LogRun,
    monkeypatch: pytest.MonkeyPatch,
    told: Callable[[], list[str]],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", auth_server.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", auth_server.password)
    with FaultProxy(auth_server.uri) as proxy:
        store = through(proxy)
        experiment = make_experiment(store)
        for number in range(9):
            log_run(store, experiment.id, metrics={"loss": curve(20, seed=number)})
        assert all(reading.found().step.size == 20 for reading in _read(proxy, experiment))
        assert (_count(proxy, SINGLE), told()) == (0, [])
