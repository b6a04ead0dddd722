"""Writing summaries, tags and files with the real client."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.wandb_server.client import PATH, SERVED, P, WandbApiFailedError, losses, wandb
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


class TestSummary:
    @pytest.fixture
    def run(self, wandb_server: WandbServer, api: wandb.Api) -> wandb.apis.public.Run:
        wandb_server.add_run(P, "r", history=losses(3), tags=["a"], notes="n", config={"lr": 1})
        found = api.run(f"{PATH}/r")
        wandb_server.reset_counts()
        return found

    def test_update_is_one_mutation(self, wandb_server: WandbServer, run):
        before = wandb_server.run(P, "r")
        run.summary.update({"dqi": 0.5, "dqi.version": "1"})
        after = wandb_server.run(P, "r")
        assert wandb_server.requests == [("mutation", "UpsertBucket")]
        assert after.summary == before.summary | {"dqi": 0.5, "dqi.version": "1"}
        for name in ("state", "heartbeat_at", "tags", "notes", "config", "display_name"):
            assert getattr(after, name) == getattr(before, name)

    def test_update_writes_the_whole_summary(self, wandb_server: WandbServer, run):
        wandb_server.before("UpsertBucket", lambda: wandb_server.live(P, "r").summary.update(x=9))
        run.summary.update({"dqi": 0.5})
        assert "x" not in wandb_server.run(P, "r").summary

    def test_delete_a_key(self, wandb_server: WandbServer, run, api: wandb.Api):
        run.summary.update({"dqi": 0.5})
        del run.summary["dqi"]
        run.summary.update()
        assert "dqi" not in wandb_server.run(P, "r").summary
        api.flush()
        assert "dqi" not in api.run(f"{PATH}/r").summary

    def test_what_is_not_finite(self, wandb_server: WandbServer, run):
        run.summary.update({"bad": math.nan})
        assert wandb_server.run(P, "r").summary["bad"] is None
        with pytest.raises(WandbApiFailedError, match="invalid JSON"):
            run.summary.update({"bad": math.inf})

    def test_update_of_the_run_writes_everything(self, wandb_server: WandbServer, run):
        wandb_server.live(P, "r").tags.append("by a person")
        run.tags = ["dqi"]
        run.update()
        after = wandb_server.run(P, "r")
        assert (after.tags, after.notes, after.state) == (["dqi"], "n", "finished")
        assert after.config["lr"]["value"] == 1
        assert wandb_server.mutations == ["UpsertBucket", "UpsertBucket"]


class TestFiles:
    def test_upload_list_download_delete(
        self, wandb_server: WandbServer, api: wandb.Api, tmp_path: Path
    ):
        wandb_server.add_run(P, "r")
        before = wandb_server.run(P, "r")
        path = tmp_path / "dqi" / "phases.json"
        path.parent.mkdir()
        path.write_text('{"phases": []}')
        run = api.run(f"{PATH}/r")
        wandb_server.reset_counts()
        assert run.upload_file(str(path), root=str(tmp_path)).size == 14
        assert wandb_server.requests == [
            ("mutation", "CreateRunFiles"),
            ("storage", "PUT"),
            ("query", "ServerFeaturesQuery"),
            ("mutation", "MarkRunFilesUploaded"),
            ("query", "RunFiles"),
        ]
        after = wandb_server.run(P, "r")
        assert (after.state, after.heartbeat_at) == (before.state, before.heartbeat_at)
        assert after.files["dqi/phases.json"].marked
        assert wandb_server.file(P, "r", "dqi/phases.json") == path.read_bytes()

        wandb_server.add_file(P, "r", "other.txt", b"x")
        assert [file.name for file in run.files()] == ["dqi/phases.json", "other.txt"]
        assert [file.name for file in run.files(pattern="dqi/%")] == ["dqi/phases.json"]
        with run.file("dqi/phases.json").download(root=str(tmp_path / "got")) as got:
            assert json.load(got) == {"phases": []}
        run.file("dqi/phases.json").delete()
        assert [file.name for file in run.files()] == ["other.txt"]
        absent = run.file("dqi/phases.json")
        assert (absent.size, absent.md5) == (0, "0")

    def test_a_server_without_the_feature(
        self, wandb_server: WandbServer, api: wandb.Api, tmp_path: Path
    ):
        wandb_server.behaviour.features -= {"MARK_RUN_FILES_UPLOADED"}
        wandb_server.add_run(P, "r")
        path = tmp_path / "f"
        path.write_text("x")
        api.run(f"{PATH}/r").upload_file(str(path), root=str(tmp_path))
        assert wandb_server.mutations == ["CreateRunFiles"]

    def test_pages(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r")
        for i in range(5):
            wandb_server.add_file(P, "r", f"f{i}", b"")
        files = api.run(f"{PATH}/r").files(per_page=2)
        assert [file.name for file in files] == [f"f{i}" for i in range(5)]
        assert len(files) == 5
