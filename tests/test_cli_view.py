"""`dqi view`: what it prints, and what it says where no view can be kept."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from tests.mlflow_runs import LogRun, curve
from tests.stores import Store
from tests.wandb_project import ADDRESS
from tests.wandb_server.client import PATH, SERVED, P
from tests.wandb_server.fixtures import environment
from tests.wandb_server.server import WandbServer

pytest.importorskip("wandb_workspaces.workspaces")

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def url(wandb_server: WandbServer) -> str:
    """Make the project, and give the link that its view will have."""
    wandb_server.add_project(P)
    return f"{wandb_server.url}/{PATH}?nw=dqitracking"


def test_it_saves_the_view_and_prints_its_link(
    wandb_server: WandbServer, url: str, capsys: Captured
) -> None:
    for _ in range(2):
        assert main(["view", ADDRESS]) == 0
        assert capsys.readouterr() == (f"saved view: {url}\n", "")
    assert [view.display_name for view in wandb_server.views(P)] == ["DQI"]


def test_json_and_csv_are_one_row(url: str, capsys: Captured) -> None:
    row = {"address": ADDRESS, "url": url, "command": ""}
    assert main(["view", ADDRESS, "--json"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [row]
    assert main(["view", ADDRESS, "--csv"]) == 0
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out))) == [row]


def test_without_the_extra_it_says_how_to_get_it(
    wandb_server: WandbServer, url: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("wandb_workspaces")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    assert main(["view", ADDRESS]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[1] == "fix: pip install 'dqi-tracking[workspaces]'"
    assert wandb_server.views(P) == []


@pytest.mark.parametrize(
    ("address", "code", "fix"),
    [
        (f"{ADDRESS}/some-run", 2, "wandb:ENTITY/PROJECT"),
        ("wandb:team/nothing", 3, "wandb:ENTITY/PROJECT"),
        ("nothing-known", 2, "mlflow:EXPERIMENT"),
    ],
)
def test_where_no_view_can_be_it_says_why(
    url: str, capsys: Captured, address: str, code: int, fix: str
) -> None:
    assert main(["view", address]) == code
    said = capsys.readouterr()
    assert said.out == ""
    error, advice = said.err.splitlines()
    assert error.startswith("error: ")
    assert advice.startswith("fix: ")
    assert fix in advice


def test_on_mlflow_it_says_how_to_start_the_ui(
    fresh_sqlite: Store, log_run: LogRun, capsys: Captured
) -> None:
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    made = client.create_experiment("e", artifact_location=f"{fresh_sqlite.artifact_root}/e")
    log_run(fresh_sqlite, made, metrics={"loss": curve()})
    assert main(["view", "mlflow:e", "--tracking-uri", fresh_sqlite.uri]) == 0
    link, start = capsys.readouterr().out.splitlines()
    assert link.startswith(f"saved view: http://127.0.0.1:5000/#/experiments/{made}")
    assert "viewStateShareKey=dqi" in link
    assert start.startswith("start its UI first: ")
    assert "mlflow.sharedViewState.dqi" in client.get_experiment(made).tags


def test_a_file_of_curves_keeps_no_view(capsys: Captured, tmp_path: Path) -> None:
    curves = tmp_path / "curves.csv"
    curves.write_text("step,loss\n1,3\n2,2\n3,1\n")
    assert main(["view", str(curves)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "mlflow:EXPERIMENT or wandb:ENTITY/PROJECT" in said.err.splitlines()[1]


def test_as_a_program_it_prints_the_link_alone_and_no_key(
    wandb_server: WandbServer, url: str, tmp_path: Path
) -> None:
    # as a person has it: the client may print what it likes
    told = environment(wandb_server, tmp_path)
    for name in ("WANDB_SILENT", "WANDB_QUIET"):
        del told[name]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME")}
    done = subprocess.run(
        [sys.executable, "-m", "dqi_tracking", "view", ADDRESS],
        capture_output=True, text=True, env=inherited | told, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, f"saved view: {url}\n", "")
