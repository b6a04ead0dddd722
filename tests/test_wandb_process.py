"""`dqi` against W&B as a process of its own: training, scoring, signals, and being killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wandb_project import ADDRESS, add_runs
from tests.wandb_server.client import PATH, SERVED, P
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

DQI = [sys.executable, "-m", "dqi_tracking"]
SECONDS = 60.0


class Shell:
    """A folder and an environment to run programs in."""

    def __init__(self, server: WandbServer, folder: Path) -> None:
        from tests.wandb_server.fixtures import environment

        self.folder = folder / "work"
        self.folder.mkdir()
        inherited = {name: os.environ[name] for name in ("PATH", "HOME")}
        self.environment = inherited | environment(server, folder / "client")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, timeout=SECONDS,
            capture_output=True, text=True,
        )  # fmt: skip

    def dqi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(*DQI, *arguments)

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [*DQI, *arguments], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def shell(wandb_server: WandbServer, tmp_path: Path) -> Shell:
    return Shell(wandb_server, tmp_path)


TRAINING = """
    import math, wandb
    with wandb.init(entity="team", project="p", id="trained", name="mine", tags=["keep"]) as run:
        for step in range(60):
            run.log({"train/loss": math.exp(-step / 9) + math.sin(step) / 20, "lr": 0.1})
"""


def test_train_score_rank_and_explain(wandb_server: WandbServer, shell: Shell):
    trained = shell.run(sys.executable, "-c", textwrap.dedent(TRAINING))
    assert trained.returncode == 0, trained.stderr

    first = shell.dqi("backfill", ADDRESS)
    assert (first.returncode, first.stderr) == (0, "")
    assert "1 of 1 runs scored" in first.stdout
    assert wandb_server.run(P, "trained").summary["dqi_signal"] == "train/loss"
    assert wandb_server.run(P, "trained").tags == ["keep"]
    assert len(wandb_server.artifacts(P, "trained")) == 1

    second = shell.dqi("backfill", ADDRESS)
    assert "nothing left to do: 1 runs" in second.stdout

    ranked = shell.dqi("rank", ADDRESS)
    assert "mine" in ranked.stdout
    assert f"{wandb_server.url}/{PATH}/table" in ranked.stderr

    explained = shell.dqi("show", f"{ADDRESS}/trained")
    assert explained.returncode == 0
    assert "this score is written" in explained.stdout
    assert f"{wandb_server.url}/{PATH}/runs/trained" in explained.stdout
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_backfill_between_two_runs(
    wandb_server: WandbServer, shell: Shell, number: int, code: int
):
    add_runs(wandb_server, *(f"r{position:02}" for position in range(30)))
    with shell.started("backfill", ADDRESS, "--json") as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        # the whole group, as Ctrl-C on a terminal
        os.killpg(process.pid, number)
        # not `communicate`, which does not know of what `readline` read ahead
        rest = process.stdout.read()
        process.wait(SECONDS)
    assert process.returncode == code
    done = [json.loads(line)["run"] for line in [first, *rest.splitlines()]]
    scored = [run for run in wandb_server.runs(P) if "dqi" in wandb_server.run(P, run).summary]
    assert sorted(done) == scored
    assert 1 <= len(done) < 30
    assert wandb_server.run(P, "dqi-backfill").state == "finished"
    again = shell.dqi("backfill", ADDRESS)
    assert f"{30 - len(done)} of 30 runs scored" in again.stdout


def test_a_killed_backfill_is_carried_on(wandb_server: WandbServer, shell: Shell):
    runs = [f"r{position:02}" for position in range(20)]
    add_runs(wandb_server, *runs)
    for kills in range(1, 4):
        with shell.started("backfill", ADDRESS, "--json") as process:
            assert process.stdout is not None
            for _ in range(kills):
                process.stdout.readline()
            process.kill()
    done = shell.dqi("backfill", ADDRESS)
    assert done.returncode == 0, done.stderr
    for run in runs:
        summary = wandb_server.run(P, run).summary
        phases = json.loads(wandb_server.file(P, run, "dqi/phases.json") or "")
        assert phases["fingerprint"] == summary["dqi_fingerprint"]
        assert len(wandb_server.artifacts(P, run)) >= 1
    wandb_server.reset_counts()
    assert "nothing left to do" in shell.dqi("backfill", ADDRESS).stdout
    assert wandb_server.writes == []


def test_the_key_is_in_no_output(wandb_server: WandbServer, shell: Shell):
    add_runs(wandb_server, "r")
    for arguments in (["doctor", ADDRESS], ["backfill", ADDRESS, "--json"], ["rank", ADDRESS]):
        done = shell.dqi(*arguments)
        assert done.returncode == 0, done.stderr
        assert wandb_server.api_key not in done.stdout + done.stderr
