"""Validation losses of an MLflow store: by few requests, and where they cannot be read, later."""

from __future__ import annotations

import pytest

from dqi_tracking import Query
from dqi_tracking.cli import main
from dqi_tracking.trackers.base import Reading
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun, MakeExperiment, one_pass, opened, through, written
from tests.overfitting_runs import falling, rising, training
from tests.proxy import FaultProxy
from tests.stores import Store

BULK = "/api/2.0/mlflow/metrics/get-history-bulk-interval"
SINGLE = "/api/2.0/mlflow/metrics/get-history"
N_RUNS = 16
OVERFITS = {"loss": training(), "val_loss": rising()}


@pytest.fixture
def served(http_sqlite: Store, make_experiment: MakeExperiment) -> Experiment:
    """Give an experiment of the server that `fault_proxy` stands before."""
    return make_experiment(http_sqlite)


def read(proxy: FaultProxy, served: Experiment, **settings: object) -> list[Reading]:
    tracker = opened(through(proxy), served, **settings)
    return list(tracker.read(list(tracker.find(Query()))))


def of_validation(_method: str, target: str, _body: bytes) -> bool:
    return target.startswith(SINGLE) and "val_loss" in target


def test_many_runs_take_one_request_more_where_they_take_one_for_the_loss(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, log_run: LogRun
) -> None:
    for _ in range(N_RUNS):
        log_run(http_sqlite, served.id, metrics=OVERFITS)
    found = read(fault_proxy, served)
    assert [reading.found().validation.loss_key for reading in found] == ["val_loss"] * N_RUNS
    assert fault_proxy.counts["GET", SINGLE] == 0
    with_it = fault_proxy.counts["GET", BULK]
    fault_proxy.reset()
    read(fault_proxy, served, validation_aliases=())
    assert with_it <= 2 * fault_proxy.counts["GET", BULK] < N_RUNS


@pytest.mark.parametrize("fault", ["502", "other JSON"])
def test_one_that_cannot_be_read_stops_no_score_and_is_read_once_it_can(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, log_run: LogRun, fault: str
) -> None:
    run = log_run(http_sqlite, served.id, metrics=OVERFITS)
    beside = log_run(http_sqlite, served.id, metrics={"loss": training()})
    if fault == "502":
        fault_proxy.fail(of_validation, status=502)
    else:
        fault_proxy.fail(of_validation, status=200, body=b'{"metrics": [{"key": 1}]}')
    _, outcomes = one_pass(through(fault_proxy), served)
    assert {each.outcome for each in outcomes.values()} == {"scored"}
    (told,) = outcomes[run].score.warnings
    assert told.startswith("the validation loss could not be read")
    before = {each: written(http_sqlite, each) for each in (run, beside)}
    assert before[run]["tags"]["state"] == "learning"

    # it is tried again, and nothing is written while it stays so
    _, outcomes = one_pass(through(fault_proxy), served)
    assert {each.outcome for each in outcomes.values()} == {"unchanged"}
    assert {each: written(http_sqlite, each) for each in (run, beside)} == before

    fault_proxy.reset()
    _, outcomes = one_pass(through(fault_proxy), served)
    assert (outcomes[run].outcome, outcomes[beside].outcome) == ("scored", "unchanged")
    assert written(http_sqlite, run)["tags"]["state"] == "overfitting"
    assert one_pass(through(fault_proxy), served)[0].counts == {"unchanged": 2}


def test_a_command_that_judges_no_state_does_not_ask_for_it(
    fault_proxy: FaultProxy, http_sqlite: Store, served: Experiment, log_run: LogRun
) -> None:
    run = log_run(http_sqlite, served.id, metrics=OVERFITS)
    asked: list[str] = []

    def note(method: str, target: str, body: bytes) -> bool:
        asked.extend([target] * of_validation(method, target, body))
        return False

    fault_proxy.fail(note, status=500)
    given = [f"runs:/{run}", "--tracking-uri", fault_proxy.uri]
    assert main(["forecast", *given]) == 0
    assert asked == []
    assert main(["show", *given, "--no-forecast"]) == 0
    assert len(asked) == 1


def test_a_folder_of_files_tells_it_too(
    files: Store, make_experiment: MakeExperiment, log_run: LogRun
) -> None:
    experiment = make_experiment(files)
    run = log_run(files, experiment.id, metrics=OVERFITS)
    other = log_run(files, experiment.id, metrics={**OVERFITS, "val_loss": falling()})
    one_pass(files, experiment)
    states = [written(files, each)["tags"]["state"] for each in (run, other)]
    assert states == ["overfitting", "learning"]
