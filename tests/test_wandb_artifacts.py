"""Artifacts of scored runs, and the run that logs them."""

from __future__ import annotations

import json

import pytest

from dqi_tracking.trackers.wandb.artifacts import name_of
from tests.wandb_project import add_runs, falling, score_all
from tests.wandb_server.client import PATH, SERVED, P, wandb
from tests.wandb_server.faults import AT_ONCE
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

WRITER = "dqi-backfill"


class TestLogged:
    def test_one_for_each_run_linked_to_it(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a", "b")
        assert score_all(artifact=True).counts == {"scored": 2}
        for run_id in "ab":
            (made,) = wandb_server.artifacts(P, run_id)
            assert made.collection.name == f"dqi-{run_id}"
            assert made.created_by == WRITER
            assert json.loads(made.metadata) == {"run": run_id}
            assert wandb_server.aliases(made) == ["dqi", "latest"]

    def test_what_is_in_it(self, wandb_server: WandbServer, api: wandb.Api, tmp_path):
        add_runs(wandb_server, "a")
        score_all(artifact=True)
        (made,) = api.run(f"{PATH}/a").logged_artifacts()
        folder = made.download(root=str(tmp_path), skip_cache=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["phases.html", "phases.json"]
        content = (tmp_path / "phases.json").read_bytes()
        assert content == wandb_server.file(P, "a", "dqi/phases.json"), folder

    def test_one_run_of_the_project_logs_them_all(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a")
        score_all(artifact=True)
        add_runs(wandb_server, "b")
        score_all(artifact=True)
        assert wandb_server.runs(P) == ["a", "b", WRITER]
        writer = wandb_server.run(P, WRITER)
        assert (writer.state, writer.job_type) == ("finished", WRITER)
        assert len(writer.artifacts) == 2

    def test_none_where_none_are_wanted(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a")
        assert score_all(artifact=False).counts == {"scored": 1}
        assert wandb_server.runs(P) == ["a"]
        assert wandb_server.file(P, "a", "dqi/phases.json")

    def test_no_run_that_logs_where_nothing_is_to_be_logged(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a")
        score_all(artifact=True, files=False)
        assert wandb_server.runs(P) == ["a"]

    def test_a_new_score_is_a_new_version(self, wandb_server: WandbServer, api: wandb.Api):
        add_runs(wandb_server, "a")
        score_all(artifact=True)
        wandb_server.live(P, "a").history.extend(falling(60)[40:])
        score_all(artifact=True)
        assert [made.index for made in wandb_server.artifacts(P)] == [0, 1]
        latest = api.artifact(f"{PATH}/dqi-a:latest")
        assert (latest.version, "dqi" in latest.aliases) == ("v1", True)

    def test_a_failing_artifact_fails_the_run_and_leaves_no_mark(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a", "b")
        wandb_server.fail(
            lambda request: (
                request.operation == "CreateArtifact"
                and request.variables.get("input", request.variables).get("runName") == "a"
            ),
            status=400,
            headers=AT_ONCE,
        )
        report = score_all(artifact=True)
        assert report.counts == {"scored": 1, "failed": 1}
        assert "dqi_fingerprint" not in wandb_server.run(P, "a").summary
        wandb_server.clear()
        assert score_all(artifact=True).counts == {"unchanged": 1, "scored": 1}


class TestNames:
    @pytest.mark.parametrize("run_id", ["a1b2c3d4", "my.run_1-x"])
    def test_a_plain_id_is_the_name(self, run_id: str):
        assert name_of(run_id) == f"dqi-{run_id}"

    def test_names_are_those_that_the_client_takes_and_differ(self):
        ids = ["a b", "a-b", "ä", "ö", "x" * 200, "x" * 201, "a:b", "../x", "run@1"]
        made = [name_of(run_id) for run_id in ids]
        assert len(set(made)) == len(ids)
        for name in made:
            assert wandb.Artifact(name, type="dqi").name == name
            assert len(name) <= 128

    def test_an_id_that_is_no_name_is_scored(self, wandb_server: WandbServer):
        add_runs(wandb_server, "run 1 ü")
        assert score_all(artifact=True).counts == {"scored": 1}
        assert len(wandb_server.artifacts(P, "run 1 ü")) == 1
