"""Writing, linking, reading and deleting artifacts with the real client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.wandb_server.client import PATH, SERVED, CommError, P, losses, names, wandb
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


def writer() -> wandb.Run:
    return wandb.init(
        project=P, entity="team", id="dqi-backfill", resume="allow", job_type="dqi-backfill",
        settings=wandb.Settings(
            console="off", x_disable_stats=True, x_disable_meta=True, disable_git=True
        ),
    )  # fmt: skip


def attach(writer: wandb.Run, name: str, path: Path, **metadata: str) -> None:
    artifact = wandb.Artifact(name, type="dqi", metadata=metadata)
    artifact.add_file(str(path), name="phases.json")
    writer.log_artifact(artifact)
    artifact.wait()


class TestArtifacts:
    @pytest.fixture
    def path(self, wandb_server: WandbServer, tmp_path: Path) -> Path:
        wandb_server.add_run(P, "r", history=losses(3))
        path = tmp_path / "phases.json"
        path.write_text('{"phases": [1]}')
        return path

    def test_a_writer_run_links_to_a_finished_run(
        self, wandb_server: WandbServer, api: wandb.Api, path: Path, tmp_path: Path
    ):
        before = wandb_server.run(P, "r")
        run = writer()
        attach(run, "dqi-r", path, run="r")
        scored = api.run(f"{PATH}/r")
        scored.log_artifact(api.artifact(f"{PATH}/dqi-r:latest"), aliases=["dqi"])
        run.finish()
        after = wandb_server.run(P, "r")
        assert (after.state, after.heartbeat_at, after.summary) == (
            before.state, before.heartbeat_at, before.summary,
        )  # fmt: skip
        (made,) = wandb_server.artifacts(P, "r")
        assert wandb_server.aliases(made) == ["dqi", "latest"]
        assert json.loads(made.metadata) == {"run": "r"}
        assert made.created_by == "dqi-backfill"
        assert wandb_server.run(P, "dqi-backfill").state == "finished"
        assert wandb_server.run(P, "dqi-backfill").job_type == "dqi-backfill"

        (listed,) = scored.logged_artifacts()
        assert (listed.name, listed.type, sorted(listed.aliases)) == (
            "dqi-r:v0", "dqi", ["dqi", "latest"],
        )  # fmt: skip
        assert [file.name for file in listed.files()] == ["phases.json"]
        folder = Path(listed.download(root=str(tmp_path / "got"), skip_cache=True))
        assert (folder / "phases.json").read_bytes() == path.read_bytes()
        assert wandb_server.counts["storage", "GET"] >= 2
        assert listed.logged_by().id == "dqi-backfill"

    def test_versions(self, wandb_server: WandbServer, api: wandb.Api, path: Path):
        run = writer()
        attach(run, "dqi-r", path)
        attach(run, "dqi-r", path)
        assert [a.index for a in wandb_server.artifacts(P)] == [0]
        path.write_text("{}")
        attach(run, "dqi-r", path)
        run.finish()
        assert [a.index for a in wandb_server.artifacts(P)] == [0, 1]
        assert api.artifact(f"{PATH}/dqi-r:latest").version == "v1"
        assert api.artifact(f"{PATH}/dqi-r:v0").version == "v0"
        assert [a.version for a in api.artifacts("dqi", f"{PATH}/dqi-r")] == ["v1", "v0"]

    def test_change_use_and_delete_them_all(
        self, wandb_server: WandbServer, api: wandb.Api, path: Path
    ):
        run = writer()
        attach(run, "dqi-r", path)
        run.finish()
        found = api.artifact(f"{PATH}/dqi-r:latest")
        found.aliases.append("mine")
        found.metadata["x"] = 1
        found.save()
        (made,) = wandb_server.artifacts(P)
        assert (wandb_server.aliases(made), made.metadata) == (["latest", "mine"], '{"x":1}')
        scored = api.run(f"{PATH}/r")
        scored.use_artifact(found)
        assert [a.name for a in scored.used_artifacts()] == ["dqi-r:v0"]
        assert names(found.used_by()) == ["r"]
        found.collection.delete()
        assert wandb_server.artifacts(P) == []

    def test_a_writer_run_goes_on(self, wandb_server: WandbServer, path: Path):
        for name in ("dqi-a", "dqi-b"):
            run = writer()
            attach(run, name, path, run=name)
            run.finish()
        assert wandb_server.runs(P) == ["dqi-backfill", "r"]
        assert len(wandb_server.run(P, "dqi-backfill").artifacts) == 2

    def test_delete(self, wandb_server: WandbServer, api: wandb.Api, path: Path):
        run = writer()
        attach(run, "dqi-r", path)
        run.finish()
        api.run(f"{PATH}/r").log_artifact(api.artifact(f"{PATH}/dqi-r:latest"))
        found = api.artifact(f"{PATH}/dqi-r:latest")
        with pytest.raises(CommError, match="existing alias"):
            found.delete()
        found.delete(delete_aliases=True)
        assert wandb_server.artifacts(P) == []
        assert list(api.run(f"{PATH}/r").logged_artifacts()) == []
        with pytest.raises(CommError, match="not found"):
            api.artifact(f"{PATH}/dqi-r:latest")

    def test_what_is_not_there(self, api: wandb.Api, path: Path):
        with pytest.raises(CommError, match="not found"):
            api.artifact(f"{PATH}/none:latest")
