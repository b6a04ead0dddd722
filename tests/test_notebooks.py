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

import pandas as pd
import pytest

from dqi_tracking import History, score

FOLDER = Path(__file__).parents[1] / "notebooks"
NAMES = ("01_score_past_runs", "02_wandb", "03_what_dqi_means")
MAX_BYTES = 150_000
MACHINE = re.compile(r"(?<![\w.:/])/(home|root|tmp|var|work|Users|private)/|[A-Z]:\\\\", re.I)

Notebook = dict[str, Any]


def load(name: str) -> Notebook:
    found: Notebook = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return found


def outputs(notebook: Notebook, cell_id: str) -> str:
    """Return what a cell shows as text."""
    (cell,) = (cell for cell in notebook["cells"] if cell["id"] == cell_id)
    return "".join("".join(output["data"]["text/plain"]) for output in cell["outputs"])


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


def test_the_figures_are_those_of_this_engine() -> None:
    with files("dqi_tracking.demo").joinpath("curves.parquet").open("rb") as file:
        points = pd.read_parquet(file).set_index(["run", "key"]).sort_index()
    shown = outputs(load("03_what_dqi_means"), "end")
    names = re.findall(r"^(wmt\S+)\s+(\S+)", shown, re.MULTILINE)
    assert len(names) == 7
    for name, dqi in names:
        rows = points.loc[[(name, "loss")]].astype(float)
        history = History(step=rows["step"].to_numpy(), loss=rows["value"].to_numpy())
        assert round(score(history).dqi, 3) == float(dqi)


def test_both_trackers_show_the_same_scores() -> None:
    rows = re.compile(r"(fastmri\S+)\s+(0\.\d+)")
    by_mlflow = dict(rows.findall(outputs(load("01_score_past_runs"), "within")))
    by_wandb = dict(rows.findall(outputs(load("02_wandb"), "rank")))
    assert by_mlflow == by_wandb
    assert len(by_mlflow) == 3
