"""Training with the real client, and what the server knows afterwards."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wandb_server.client import PATH, SERVED, CommError, P, wait_for, wandb
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


class TestTraining:
    def test_a_run_from_start_to_end(self, wandb_server: WandbServer):
        with wandb.init(
            project=P, entity="team", id="r", name="first", notes="hi", tags=["a"],
            config={"lr": 0.1, "net": {"depth": 3}},
        ) as run:  # fmt: skip
            for i in range(5):
                values = {3: math.nan, 4: math.inf}
                run.log(
                    {
                        "train/loss": 1 / (i + 1),
                        "a.b": float(i),
                        "nest": {"x": i, "y": {"z": 0.5}},
                        "odd": values.get(i, 1.0),
                    }
                )
            run.summary["best"] = 0.5
        after = wandb_server.run(P, "r")
        assert (after.state, after.exit_code, after.display_name) == ("finished", 0, "first")
        assert (after.tags, after.notes) == (["a"], "hi")
        assert after.config["net"] == {"value": {"depth": 3}}
        assert after.summary["best"] == 0.5
        assert after.summary["train/loss"] == 0.2
        assert after.summary["odd"] == math.inf
        assert [row["_step"] for row in after.history] == list(range(5))
        assert after.history[2]["nest"] == {"x": 2, "y": {"z": 0.5}}
        # A whole float leaves the client as an int.
        assert [(row["a.b"], type(row["a.b"])) for row in after.history[:2]] == [(0, int), (1, int)]
        assert math.isnan(after.history[3]["odd"])

    def test_a_run_that_fails(self, wandb_server: WandbServer):
        run = wandb.init(project=P, entity="team", id="bad")
        run.log({"loss": 1})
        run.finish(exit_code=1)
        after = wandb_server.run(P, "bad")
        assert (after.state, after.exit_code, len(after.history)) == ("failed", 1, 1)

    def test_a_script_that_raises(self, wandb_server: WandbServer, tmp_path: Path):
        script = f"import wandb; wandb.init(project='{P}', entity='team', id='r'); 1/0"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=tmp_path)
        assert b"ZeroDivisionError" in done.stderr
        assert wandb_server.run(P, "r").state == "failed"

    def test_a_run_that_goes_on_is_running(self, wandb_server: WandbServer, api: wandb.Api):
        run = wandb.init(project=P, entity="team", id="r")
        run.log({"loss": 1.5})
        wait_for(lambda: bool(wandb_server.run(P, "r").history))
        assert api.run(f"{PATH}/r").state == "running"
        run.finish()

    def test_media_and_steps_of_its_own(self, wandb_server: WandbServer, api: wandb.Api):
        with wandb.init(project=P, entity="team", id="r") as run:
            run.define_metric("epoch")
            run.define_metric("val/*", step_metric="epoch")
            for i in range(2):
                table = wandb.Table(columns=["a"], data=[[i]])
                run.log({"epoch": i / 2, "val/loss": 1.5, "h": wandb.Histogram([1, 2]), "t": table})
        metrics = wandb_server.run(P, "r").config["_wandb"]["value"]["m"]
        assert [metric.get("1") or metric["2"] for metric in metrics] == ["epoch", "val/*"]
        keys = api.run(f"{PATH}/r").historyKeys["keys"]
        kinds = {key: keys[key]["typeCounts"][0]["type"] for key in ("val/loss", "h", "t")}
        assert kinds == {"val/loss": "number", "h": "histogram", "t": "table-file"}
        assert len(wandb_server.artifacts(P, "r")) == 2

    def test_an_offline_run_is_synced(
        self, wandb_server: WandbServer, wandb_env: Path, monkeypatch: pytest.MonkeyPatch
    ):
        with wandb.init(project=P, entity="team", id="r", mode="offline") as run:
            for i in range(5):
                run.log({"loss": i})
        assert wandb_server.requests == []
        (folder,) = (wandb_env / "runs" / "wandb").glob("offline-run-*")
        subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(folder)], check=True, capture_output=True
        )
        after = wandb_server.run(P, "r")
        assert (after.state, [row["loss"] for row in after.history]) == ("finished", [*range(5)])

    def test_not_into_the_projects_of_others(self, wandb_server: WandbServer):
        wandb_server.add_project("theirs", entity="others")
        with pytest.raises(CommError, match="permission denied"):
            wandb.init(project="theirs", entity="others")
        with pytest.raises(CommError, match="entity nobody not found"):
            wandb.init(project=P, entity="nobody")
        # the client keeps the id in use for a run that it could not start
        wandb_server.add_run(P, "refused")
        wandb_server.delete_run(P, "refused")
        with pytest.raises(CommError, match="previously created and deleted"):
            wandb.init(project=P, entity="team", id="refused")
