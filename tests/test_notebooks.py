"""The notebooks as they are committed: executed, small, of no machine, and still true.

That they run is another test: nbmake executes each of them in the same run as these.
"""

from __future__ import annotations

import base64
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dqi_tracking import History, backtest, forecast, score
from dqi_tracking.insight.convergence import states

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = (
    "01_score_past_runs",
    "02_wandb",
    "03_what_dqi_means",
    "04_where_is_this_run_going",
)
MAX_BYTES = 150_000
TRAINING, VALIDATION = ("loss", "train_loss"), ("validation/loss", "val_loss")
MACHINE = re.compile(r"(?<![\w.:/])/(home|root|tmp|var|work|Users|private)/|[A-Z]:\\\\", re.I)

Notebook = dict[str, Any]


def load(name: str) -> Notebook:
    found: Notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return found


def outputs(notebook: Notebook, cell_id: str) -> str:
    """Return what a cell shows as text."""
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == cell_id)
    return "\n".join("".join(output["data"]["text/plain"]) for output in cell["outputs"])


@pytest.fixture(params=NAMES)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    return load(request.param)


def test_there_are_no_others() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_small_and_know_no_machine(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    assert MACHINE.findall(text) == []


def test_they_were_executed_from_top_to_bottom(notebook: Notebook) -> None:
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def test_they_show_results_and_pictures_but_no_warnings_or_progress(notebook: Notebook) -> None:
    shown = [
        output
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]
    assert {output["output_type"] for output in shown} == {"execute_result", "display_data"}
    pictures = [output["data"]["image/png"] for output in shown if "image/png" in output["data"]]
    assert pictures
    assert all(base64.b64decode(picture)[:4] == b"\x89PNG" for picture in pictures)


def test_they_carry_nothing_that_changes_by_itself(notebook: Notebook) -> None:
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert notebook["metadata"]["language_info"] == {"name": "python"}
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    # words, not the random ones that are made anew
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cell_id) for cell_id in ids)


def test_their_links_lead_somewhere(notebook: Notebook) -> None:
    text = "".join("".join(cell["source"]) for cell in notebook["cells"])
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (FOLDER / target).exists(), target


@pytest.fixture(scope="module")
def demo_points() -> pd.DataFrame:
    with files("dqi_tracking.demo").joinpath("curves.parquet").open("rb") as file:
        return pd.read_parquet(file).astype({"step": float, "value": float})


def series(points: pd.DataFrame, run: str, keys: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    rows = points[(points["run"] == run) & points["key"].isin(keys)]
    return rows["step"].to_numpy(), rows["value"].to_numpy()


def histories(points: pd.DataFrame, keys: tuple[str, ...]) -> dict[str, History]:
    """Return the runs that log a loss, with their gradient norm where they log one."""
    found: dict[str, History] = {}
    for run in pd.unique(points["run"]):
        step, loss = series(points, run, keys)
        grad_step, grad_norm = series(points, run, ("grad_norm",))
        if step.size:
            gradient = {"grad_norm": grad_norm, "grad_step": grad_step} if grad_step.size else {}
            found[run] = History(step, loss, **gradient)
    return found


def test_the_figures_are_those_of_this_engine(demo_points: pd.DataFrame) -> None:
    curves = histories(demo_points, TRAINING)
    shown = outputs(load("03_what_dqi_means"), "end")
    names = re.findall(r"^(wmt\S+)\s+(\S+)", shown, re.MULTILINE)
    assert len(names) == 7
    for name, dqi in names:
        assert round(score(curves[name]).dqi, 3) == float(dqi)


def test_the_forecasts_are_those_of_this_version(demo_points: pd.DataFrame) -> None:
    shown = outputs(load("04_where_is_this_run_going"), "forecast")
    rows = re.findall(r"^.* (step|validation) loss +(\S+) +(\d+) +(.+)$", shown, re.MULTILINE)
    assert [kind for kind, *_ in rows] == ["validation", "step", "validation"]
    for kind, run, n_points, rest in rows:
        curve = histories(demo_points, TRAINING if kind == "step" else VALIDATION)[run]
        first, last = curve.step[0], curve.step[-1]
        seen = curve.step <= first + 0.4 * (last - first)
        found = forecast(History(curve.step[seen], curve.loss[seen]), last)
        ends = (found.low90, found.low80, found.high80, found.high90)
        told = (curve.loss[seen][-1], found.loss, *ends, curve.loss[-1])
        assert int(n_points) == found.n_points
        assert rest.split() == [f"{value:.4g}" for value in told]


def test_the_states_are_those_of_this_version(demo_points: pd.DataFrame) -> None:
    curves = histories(demo_points, TRAINING)
    beside = histories(demo_points, VALIDATION)
    found = states(curves.values(), validations=[beside.get(run) for run in curves])
    shown = outputs(load("04_where_is_this_run_going"), "states")
    expected = {run: state.name for run, state in zip(curves, found, strict=True)}
    assert dict(re.findall(r"^(\w\S+-\S+)\s+([a-z]+)", shown, re.MULTILINE)) == expected


def test_the_back_test_is_that_of_this_version(demo_points: pd.DataFrame) -> None:
    shown = outputs(load("04_where_is_this_run_going"), "backtest")
    for kind, keys in (("step", TRAINING), ("validation", VALIDATION)):
        found = backtest(histories(demo_points, keys).values())
        (row,) = re.findall(rf"^{kind} +(\d+) of (\d+) +(\S+) +(\S+)", shown, re.MULTILINE)
        assert tuple(map(int, row[:2])) == (found.stopped, found.runs)
        told = round(100 * found.saved, 1), round(100 * found.regret, 2)
        assert tuple(map(float, row[2:])) == told


def test_the_planted_signal_is_found_and_the_hash_is_not() -> None:
    shown = outputs(load("04_where_is_this_run_going"), "controls")
    assert re.search(r"^verdict +evidence +no evidence$", shown, re.MULTILINE)


def test_both_trackers_show_the_same_scores() -> None:
    rows = re.compile(r"(fastmri\S+)\s+(0\.\d+)")
    by_mlflow = dict(rows.findall(outputs(load("01_score_past_runs"), "within")))
    by_wandb = dict(rows.findall(outputs(load("02_wandb"), "rank")))
    assert by_mlflow == by_wandb
    assert len(by_mlflow) == 3
