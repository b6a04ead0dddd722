"""The real client against answers that fail, hang, are cut or get lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.wandb_server.client import (
    PATH,
    SERVED,
    CommError,
    P,
    WandbApiFailedError,
    losses,
    names,
    scan,
    wandb,
)
from tests.wandb_server.faults import AT_ONCE
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


class TestFaults:
    @pytest.fixture(autouse=True)
    def run(self, wandb_server: WandbServer, api: wandb.Api) -> wandb.apis.public.Run:
        wandb_server.add_run(P, "r", history=losses(50), summary={"x": 1})
        found = api.run(f"{PATH}/r")
        wandb_server.reset_counts()
        return found

    @pytest.mark.parametrize("status", [429, 500, 502, 503])
    def test_a_passing_failure_is_retried(
        self, wandb_server: WandbServer, api: wandb.Api, status: int
    ):
        wandb_server.fail("Runs", status=status, times=1, headers=AT_ONCE)
        assert names(api.runs(PATH)) == ["r"]
        assert wandb_server.counts["query", "Runs"] == 2

    def test_retry_after_is_honoured(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.fail("Runs", status=429, times=1, headers={"Retry-After": "1.25"})
        start = time.monotonic()
        assert names(api.runs(PATH)) == ["r"]
        assert time.monotonic() - start >= 1.2  # its own longest wait is a second here

    @pytest.mark.slow
    def test_an_endless_failure_ends(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.fail("Runs", status=502)
        start = time.monotonic()
        with pytest.raises(WandbApiFailedError):
            names(api.runs(PATH))
        assert wandb_server.counts["query", "Runs"] == 3
        assert time.monotonic() - start >= 1.9

    def test_what_a_rule_sees(self, wandb_server: WandbServer, run):
        wandb_server.add_run(P, "s", history=losses(5))
        wandb_server.fail(lambda request: request.variables.get("run") == "r", status=404)
        with pytest.raises((WandbApiFailedError, CommError)):
            scan(run, "loss")
        assert len(scan(wandb.Api().run(f"{PATH}/s"), "loss")) == 5

    def test_html_with_200(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.html("Runs")
        with pytest.raises(WandbApiFailedError):
            names(api.runs(PATH))

    @pytest.mark.parametrize("aborted", [True, False])
    def test_a_cut_body(self, wandb_server: WandbServer, run, aborted: bool):
        wandb_server.cut("SampledHistoryPage", aborted=aborted)
        with pytest.raises((WandbApiFailedError, CommError)):
            scan(run, "loss")

    def test_a_slow_body(self, wandb_server: WandbServer, run):
        wandb_server.drip("SampledHistoryPage", size=500, interval=0.01)
        assert len(scan(run, "loss")) == 50

    def test_a_black_hole(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.hang("Runs")
        with pytest.raises(WandbApiFailedError):
            names(wandb.Api(timeout=1).runs(PATH))
        wandb_server.clear()
        assert names(api.runs(PATH)) == ["r"]

    def test_a_hang_that_is_let_go(self, wandb_server: WandbServer, api: wandb.Api):
        release = wandb_server.hang("Runs", times=1)
        threading.Timer(0.2, release.set).start()
        assert names(api.runs(PATH)) == ["r"]

    @pytest.mark.parametrize("status", [500, None])
    def test_a_lost_answer(self, wandb_server: WandbServer, run, status: int | None):
        wandb_server.lost_answer("UpsertBucket", status=status, headers=AT_ONCE)
        with pytest.raises(WandbApiFailedError):
            run.summary.update({"dqi": 0.5})
        assert wandb_server.run(P, "r").summary == {"x": 1, "dqi": 0.5}

    def test_uploads_fail_too(self, wandb_server: WandbServer, run, tmp_path: Path):
        path = tmp_path / "f"
        path.write_text("x")
        wandb_server.fail(lambda request: request.kind == "storage", status=503, headers=AT_ONCE)
        with pytest.raises((WandbApiFailedError, CommError)):
            run.upload_file(str(path), root=str(tmp_path))
        assert wandb_server.file(P, "r", "f") is None

    def test_training_outlives_a_lost_answer(self, wandb_server: WandbServer):
        wandb_server.lost_answer(
            lambda request: request.kind == "file_stream", times=1, headers=AT_ONCE
        )
        with wandb.init(project=P, entity="team", id="t") as training:
            for i in range(5):
                training.log({"loss": i})
        after = wandb_server.run(P, "t")
        assert ([row["loss"] for row in after.history], after.state) == ([*range(5)], "finished")
