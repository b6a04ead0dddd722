"""`dqi forecast` at real stores: a run that goes on in MLflow, and one that W&B logged offline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqi_tracking import History, forecast
from dqi_tracking.cli import main
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun
from tests.stores import Store
from tests.wandb_logs import make_runs

SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
Captured = pytest.CaptureFixture[str]
STEP = np.arange(1, 301)
LOSS = 2 + 3 * STEP**-0.5 + 0.02 * np.random.default_rng(1).normal(size=300)
RATE = 1e-3 * np.minimum(1, (320 - STEP) / 200)


def told(capsys: Captured, *arguments: str) -> dict:
    capsys.readouterr()
    assert main(["forecast", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def rows(values: np.ndarray) -> list[tuple[int, float]]:
    return list(zip(STEP.tolist(), values.tolist(), strict=True))


@SQLITE
def test_a_running_run_with_plan_rate_and_epochs(
    store: Store, experiment: Experiment, log_run: LogRun, capsys: Captured
) -> None:
    run = log_run(
        store,
        experiment.id,
        status="RUNNING",
        metrics={"loss": rows(LOSS), "learning_rate": rows(RATE), "epoch": rows(STEP / 50)},
        params={"max_steps": "320"},
    )
    at = (f"runs:/{run}", "--tracking-uri", store.uri)
    row = told(capsys, *at)
    direct = forecast(History(STEP, LOSS), 320, learning_rate=(STEP, RATE))
    assert (row["run"], row["horizon"]) == (run, 320)
    assert row["horizon_from"] == "the run's own plan, params.max_steps"
    assert (row["mode"], row["learning_rate"]) == ("learning_rate", "learning_rate")
    assert row["loss"] == direct.loss
    assert told(capsys, *at, "--epochs", "+2")["horizon"] == pytest.approx(400)


@SQLITE
def test_a_run_of_a_loss_alone(
    store: Store, experiment: Experiment, log_run: LogRun, capsys: Captured
) -> None:
    run = log_run(store, experiment.id, metrics={"loss": rows(LOSS)})
    row = told(capsys, f"runs:/{run}", "--tracking-uri", store.uri, "--at", "600")
    assert row["loss"] == forecast(History(STEP, LOSS), 600).loss
    # these were logged within a second: an import, not a training
    assert row["steps_per_hour"] is None


@SQLITE
def test_runs_of_an_experiment_calibrate_and_are_replayed(
    store: Store,
    make_experiment: Callable[[Store], Experiment],
    log_run: LogRun,
    capsys: Captured,
    tmp_path: Path,
) -> None:
    experiment = make_experiment(store)
    rng = np.random.default_rng(0)
    step = np.arange(1, 41)
    for number in range(22):
        values = 1 + step ** -rng.uniform(0.3, 0.8) + 0.01 * rng.normal(size=40)
        log_run(
            store,
            experiment.id,
            metrics={"loss": list(zip(step.tolist(), values.tolist(), strict=True))},
            params={"model": "ab"[number % 2]},
        )
    log_run(store, experiment.id, metrics={"loss": [(0, 1.0)]}, status="RUNNING")
    at = (f"mlflow:{experiment.name}", "--tracking-uri", store.uri)
    out = str(tmp_path / "own.json")
    assert main(["forecast", "--calibrate", *at, "--out", out]) == 0
    assert "22 finished runs" in capsys.readouterr().out
    found = told(capsys, "--backtest", *at, "--cohort", "params.model")
    assert (found["runs"], found["listed"]) == (22, 22)
    assert {(group["group"], group["runs"]) for group in found["groups"]} == {("a", 11), ("b", 11)}


def test_an_offline_run_of_wandb(tmp_path: Path, capsys: Captured) -> None:
    body = (
        "for i in range(1, 201): run.log({'train/loss': 2 + 3 * i**-0.5,"
        " 'train/learning_rate': 1e-3, 'train/epoch': i / 40}, step=i)"
    )
    config = {"max_steps": 300}
    path = make_runs(tmp_path, {"id": "one", "name": "one", "config": config, "body": body})["one"]
    row = told(capsys, str(path))
    assert (row["signal"], row["learning_rate"]) == ("train/loss", "train/learning_rate")
    assert (row["horizon"], row["horizon_from"]) == (300, "the run's own plan, config.max_steps")
    step = np.arange(1, 201)
    # what the client logged is the curve, to the last digit
    direct = forecast(History(step, [2 + 3 * int(at) ** -0.5 for at in step]), 300)
    assert row["loss"] == pytest.approx(direct.loss, rel=1e-9)
    assert told(capsys, str(path), "--epochs", "10")["horizon"] == pytest.approx(400)
    by_epoch = told(capsys, str(path), "--epochs", "+10", "--step-key", "train/epoch")
    assert by_epoch["horizon"] == pytest.approx(15)
