"""`dqi forecast` of one run: what it says, where it looks, and what it makes of broken curves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import dqi_tracking.trackers
from dqi_tracking import History, forecast
from dqi_tracking.cli import main
from dqi_tracking.report.printable import printable
from tests.tracker_harness.memory import ENTRY, MemoryHarness, SharedMemory

Dqi = Callable[..., tuple[int, str, str]]
STEP = 10.0 * np.arange(1, 401)
LOSS = 2 + 3 * (STEP / 100) ** -0.5 + 0.02 * np.random.default_rng(0).normal(size=400)
HOSTILE = "\x1b[31mred\x1b]0;t\x07 <b>"


@pytest.fixture
def dqi(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dqi:
    """Give a function that runs a command line in the test's folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryHarness:
    monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", ENTRY)
    return MemoryHarness()


def file(tmp_path: Path, **columns: Sequence[float] | np.ndarray) -> str:
    """Write a curve file: NaN is logged as such, None is an empty cell."""
    rows = zip(*columns.values(), strict=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    (tmp_path / "run.csv").write_text("\n".join([",".join(columns), *lines]) + "\n")
    return "run.csv"


def told(dqi: Dqi, *arguments: str) -> dict:
    code, out, err = dqi("forecast", *arguments, "--json")
    assert code == 0, err
    (line,) = out.splitlines()
    return json.loads(line, parse_constant=pytest.fail)


def points(values: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(STEP.tolist(), values.tolist(), strict=True))


def test_a_forecast_is_that_of_the_library(dqi: Dqi, tmp_path: Path) -> None:
    row = told(dqi, file(tmp_path, step=STEP, loss=LOSS), "--at", "10000", "--level", "0.95")
    direct = forecast(History(STEP, LOSS), 10000, 0.95)
    for name in ("loss", "low", "high", "low80", "high90", "gain", "saturation_step", "verdict"):
        assert row[name] == getattr(direct, name), name
    assert (row["calibration"], row["calibration_size"]) == (direct.group, direct.group_size)
    # the run goes on as it began: the curve is known
    assert row["low90"] < 2 + 3 * 100**-0.5 < row["high90"]
    assert (row["advice"], row["horizon_from"]) == ("continue", "")


def test_the_words_hold_every_figure(dqi: Dqi, tmp_path: Path) -> None:
    name = file(tmp_path, step=STEP, loss=LOSS)
    code, out, err = dqi("forecast", name, "--at", "10000", "--level", "0.95")
    assert (code, err) == (0, "")
    row = told(dqi, name, "--at", "10000")
    for wanted in (
        f"`loss` at step {row['horizon']:.0f}",
        f"expected          {row['loss']:.4g}",
        f"80 % interval     {row['low80']:.4g} to {row['high80']:.4g}",
        f"90 % interval     {row['low90']:.4g} to {row['high90']:.4g}",
        "95 % interval     ",
        f"gain over now     {row['gain']:.4g} better",
        f"95 % of the gain  by step {row['saturation_step']:.0f}",
        f"{row['gain_per_1000_steps']:.4g} better per 1,000 steps; no time was logged",
        "diminishing returns: ",
        "advice: no reason to stop is seen: the loss still reaches new bests",
        "public runs of 7 workload families",
        f"{row['calibration_size']:,} curves",
        "75 to 100 %",
        "No promise: ",
    ):
        assert wanted in out, wanted
    assert max(map(len, out.splitlines())) <= 100


def test_csv_has_the_same_columns(dqi: Dqi, tmp_path: Path) -> None:
    name = file(tmp_path, step=STEP, loss=LOSS)
    code, out, _ = dqi("forecast", name, "--csv")
    (row,) = csv.DictReader(io.StringIO(out))
    whole = told(dqi, name)
    assert code == 0
    assert list(row) == list(whole)
    assert float(row["loss"]) == whole["loss"]
    assert row["gain_per_hour"] == ""
    assert whole["gain_per_hour"] is None


@pytest.mark.parametrize(
    ("option", "horizon"),
    [
        (["--at", "9000"], 9000),
        (["--at", "9e3"], 9000),
        (["--at", "9,000"], 9000),
        (["--at", "+500"], 4500),
        (["--at", "+50%"], 6000),
        ([], 8000),
    ],
)
def test_where_it_looks(dqi: Dqi, tmp_path: Path, option: list[str], horizon: float) -> None:
    assert told(dqi, file(tmp_path, step=STEP, loss=LOSS), *option)["horizon"] == horizon


def test_a_resumed_runs_share_is_of_what_it_logged(dqi: Dqi, tmp_path: Path) -> None:
    name = file(tmp_path, step=STEP + 100_000, loss=LOSS)
    assert told(dqi, name, "--at", "+50%")["horizon"] == pytest.approx(104_000 + 3990 / 2)


@pytest.mark.parametrize(
    ("epochs", "horizon"), [("+10", 5000), ("+0.5", 4050), ("50", 5000), ("41", 4100)]
)
@pytest.mark.parametrize("name", ["epoch", "train/epoch"])
@pytest.mark.parametrize("whole", [True, False])
def test_epochs_are_counted_by_the_logged_epoch(
    dqi: Dqi, tmp_path: Path, epochs: str, horizon: float, name: str, whole: bool
) -> None:
    epoch = STEP // 100 if whole else STEP / 100
    run = file(tmp_path, step=STEP, loss=LOSS, **{name: epoch})
    row = told(dqi, run, "--epochs", epochs)
    assert row["horizon"] == pytest.approx(horizon)
    assert "of 100 steps each" in row["horizon_from"]


def test_epochs_as_steps(dqi: Dqi, tmp_path: Path) -> None:
    run = file(tmp_path, step=STEP, loss=LOSS, epoch=STEP / 100)
    assert told(dqi, run, "--epochs", "+10", "--step-key", "epoch")["horizon"] == 50
    assert told(dqi, run, "--epochs", "60", "--step-key", "epoch")["horizon"] == 60


def test_without_epochs_there_is_a_way_out(dqi: Dqi, tmp_path: Path) -> None:
    run = file(tmp_path, step=STEP, loss=LOSS, epoch=np.ones(400))
    code, out, err = dqi("forecast", run, "--epochs", "+3")
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "error: no epochs are logged on run `run` to count by"
    assert "--step-key" in err.splitlines()[1]


def test_a_logged_learning_rate_is_followed_once_it_decays(dqi: Dqi, tmp_path: Path) -> None:
    decay = 1e-3 * np.minimum(1, 1 - (STEP - 2000) / 2500)
    rows = {
        name: told(dqi, file(tmp_path, step=STEP, loss=LOSS, **{name: rate}), "--at", "4500")
        for name, rate in {"train/learning_rate": decay, "lr": np.full(400, 1e-3)}.items()
    }
    found = rows["train/learning_rate"]
    direct = forecast(History(STEP, LOSS), 4500, learning_rate=(STEP, decay))
    assert (found["mode"], found["loss"]) == ("learning_rate", direct.loss)
    assert found["learning_rate"] == "train/learning_rate"
    assert (rows["lr"]["mode"], rows["lr"]["learning_rate"]) == ("time", "lr")
    _, out, _ = dqi("forecast", "run.csv", "--at", "4500")
    assert "`lr` has not fallen to half of its peak" in " ".join(out.split())


def test_a_learning_rate_that_cannot_be_read_is_told_and_left_out(dqi: Dqi, tmp_path: Path) -> None:
    run = file(tmp_path, step=STEP, loss=LOSS, lr=np.array(["low", "high"] * 200))
    row = told(dqi, run, "--at", "8000")
    assert row["loss"] == forecast(History(STEP, LOSS), 8000).loss
    assert any("the learning rate could not be read: " in note for note in row["warnings"])


def test_another_metric_and_one_that_rises(dqi: Dqi, tmp_path: Path) -> None:
    run = file(tmp_path, step=STEP, loss=LOSS, accuracy=1 - (LOSS - 2) / 6)
    row = told(dqi, run, "--metric", "accuracy", "--higher-is-better", "--at", "8000")
    assert (row["signal"], row["verdict"]) == ("accuracy", "diminishing")
    assert row["loss"] > row["loss_now"]
    assert row["gain"] > 0
    wrong = told(dqi, run, "--metric", "accuracy", "--at", "8000")
    assert any("--higher-is-better" in note for note in wrong["warnings"])


BROKEN = {
    "too_short": LOSS[:7],
    "nan": np.where(np.arange(400) < 300, LOSS, np.nan),
    "flat": np.full(400, 2.5),
}


@pytest.mark.parametrize("status", BROKEN)
def test_what_cannot_be_foretold_is_said_and_is_no_error(
    dqi: Dqi, tmp_path: Path, status: str
) -> None:
    loss = BROKEN[status]
    run = file(tmp_path, step=STEP[: loss.size], loss=loss)
    row = told(dqi, run, "--at", "9000")
    assert (row["status"], row["advice"], row["loss"]) == (status, "unknown", None)
    code, out, _ = dqi("forecast", run, "--at", "9000")
    assert code == 0
    assert f"no forecast: {row['sentence']} (status {status})" in out
    assert "advice" not in out


def test_a_diverging_loss_gets_no_gain(dqi: Dqi, tmp_path: Path) -> None:
    row = told(dqi, file(tmp_path, step=STEP, loss=np.exp(STEP / 200)), "--at", "+50%")
    assert row["gain"] <= 0
    assert row["verdict"] in ("undetermined", "ceiling")


def test_gaps_lost_points_and_a_restart_are_told(dqi: Dqi, tmp_path: Path) -> None:
    kept = (STEP < 1000) | (STEP > 2500)
    row = told(dqi, file(tmp_path, step=STEP[kept], loss=LOSS[kept]))
    assert "nothing was logged between steps 990 and 2510" in row["warnings"]
    holes = np.where(np.arange(400) % 3 == 1, np.nan, LOSS)
    row = told(dqi, file(tmp_path, step=STEP, loss=holes))
    assert row["status"] == "ok"
    assert "133 of 400 points are not finite: left out" in row["warnings"]
    jumped = LOSS + 8 * (STEP > 2000)
    assert any(
        "a restart?" in note
        for note in told(dqi, file(tmp_path, step=STEP, loss=jumped))["warnings"]
    )


def test_a_hundred_times_the_run_is_wide_and_told(dqi: Dqi, tmp_path: Path) -> None:
    run = file(tmp_path, step=STEP, loss=LOSS)
    near, far = told(dqi, run, "--at", "8000"), told(dqi, run, "--at", "400000")
    assert far["high90"] - far["low90"] > 2 * (near["high90"] - near["low90"])
    assert any(note.startswith("the horizon is 100 times") for note in far["warnings"])


def test_a_short_way_ahead_is_not_sold_as_the_ceiling_of_the_run(dqi: Dqi, tmp_path: Path) -> None:
    row = told(dqi, file(tmp_path, step=STEP, loss=LOSS), "--at", "+100")
    assert row["verdict"] == "undetermined"
    assert any(note.startswith("so short a way ahead") for note in row["warnings"])


REFUSED = [
    (["run.csv", "--at", "4000"], 2, "step 4000 is not after the last step of the run, 4000"),
    (["run.csv", "--at", "10"], 2, "is not after the last step"),
    (["run.csv", "--at", "soon"], 2, "--at `soon` is no place ahead"),
    (["run.csv", "--at", "0"], 2, "is no place ahead"),
    (["run.csv", "--at", "50%"], 2, "is no place ahead"),
    (["run.csv", "--at", "1e999"], 2, "is no place ahead"),
    (["run.csv", "--at", "9", "--epochs", "+1"], 2, "exclude each other"),
    (["run.csv", "--level", "0.3"], 2, "--level"),
    (["run.csv", "--json", "--csv"], 2, "exclude each other"),
    (["run.csv", "--where", "x"], 2, "a forecast is of one"),
    (["run.csv", "--out", "x"], 2, "--out is the file of --calibrate"),
    (["run.csv", "--calibration", "none.json"], 2, "no calibration in `none.json`"),
    (["run.csv", "--calibration", "run.csv"], 2, "the file is not a calibration"),
    (["run.csv", "--backtest", "run.csv"], 2, "exclude each other"),
    (["--calibrate", "run.csv"], 2, "nowhere to write to"),
    ([], 2, "no run to forecast"),
    (["none.csv"], 3, "no file `none.csv`"),
    (["run.csv", "--metric", "nothing"], 1, "no loss and no gradient norm was logged"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_what_cannot_be_meant_is_refused_with_a_fix(
    dqi: Dqi, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    file(tmp_path, step=STEP, loss=LOSS)
    found, out, err = dqi("forecast", *arguments)
    assert (found, out) == (code, "")
    first, second = err.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert second.startswith("fix: ")


def test_a_gradient_norm_alone_is_not_foretold(dqi: Dqi, tmp_path: Path) -> None:
    code, _, err = dqi("forecast", file(tmp_path, step=STEP, grad_norm=LOSS))
    assert code == 1
    assert "a gradient norm is not foretold" in err


def test_several_runs_are_one_too_many(dqi: Dqi, memory: MemoryHarness) -> None:
    for name in "ab":
        memory.add(name, {"loss": points(LOSS)})
    code, _, err = dqi("forecast", "memory:")
    assert code == 2
    assert "holds several runs" in err


def run_of(memory: MemoryHarness, **given: object) -> None:
    """Put the one run into the tracker in memory."""
    run_id = memory.add("one", {"loss": points(LOSS)}, **given)
    SharedMemory.store[run_id].group = HOSTILE


@pytest.mark.parametrize(
    ("params", "horizon", "origin"),
    [
        ({"max_steps": "6000"}, 6000, "the run's own plan, params.max_steps"),
        ({"max_steps": "-1", "num_train_steps": "5000.0"}, 5000, "params.num_train_steps"),
        ({"max_steps": "4000"}, 8000, "twice the run so far"),
        ({"max_steps": "1000000"}, 8000, "twice the run so far"),
        ({"max_steps": "many"}, 8000, "twice the run so far"),
        ({"max_steps": "nan"}, 8000, "twice the run so far"),
        # without a logged epoch nothing tells how long one is
        ({"num_train_epochs": "60"}, 8000, "twice the run so far"),
    ],
)
def test_the_runs_own_plan_is_where_it_looks(
    dqi: Dqi, memory: MemoryHarness, params: dict[str, str], horizon: float, origin: str
) -> None:
    run_of(memory, params=params, status="RUNNING")
    row = told(dqi, "memory:")
    assert row["horizon"] == horizon
    assert origin in row["horizon_from"]


def test_a_plan_in_epochs_is_one_where_they_are_logged(dqi: Dqi, memory: MemoryHarness) -> None:
    metrics = {"loss": points(LOSS), "epoch": points(STEP // 100)}
    memory.add("one", metrics, params={"num_train_epochs": "60"})
    row = told(dqi, "memory:")
    assert (row["horizon"], row["horizon_from"]) == (
        6000,
        "the run's own plan, params.num_train_epochs",
    )
    # as steps they are what the plan counts in, and steps are not
    SharedMemory.store["id-one"].params["max_steps"] = "50"
    assert told(dqi, "memory:", "--step-key", "epoch")["horizon"] == 60


def test_gain_per_hour_is_by_start_and_end(dqi: Dqi, memory: MemoryHarness) -> None:
    run_of(memory)
    run = SharedMemory.store["id-one"]
    run.ended = run.started + 2 * 3_600_000
    row = told(dqi, "memory:", "--at", "8000")
    assert row["steps_per_hour"] == pytest.approx(3990 / 2)
    assert row["gain_per_hour"] == pytest.approx(row["gain"] / 4000 * 3990 / 2)
    _, out, _ = dqi("forecast", "memory:", "--at", "8000")
    assert "1995 steps an hour by the run's start and end time" in " ".join(out.split())
    run.status = "RUNNING"
    _, out, _ = dqi("forecast", "memory:", "--at", "8000")
    assert "by the run's start and the time now" in " ".join(out.split())
    run.status = "FINISHED"
    # an import takes seconds
    run.ended = run.started + 30_000
    assert told(dqi, "memory:")["steps_per_hour"] is None


def test_names_cannot_reach_the_terminal(dqi: Dqi, memory: MemoryHarness) -> None:
    run_of(memory)
    _, out, _ = dqi("forecast", "memory:")
    assert "\x1b" not in out
    assert printable(HOSTILE) in out
