"""Logging in to W&B: what is missing or wrong is said at once, and never asked for."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dqi_tracking import Query
from dqi_tracking.errors import AuthError, TransientTrackerError
from tests.stores import free_port
from tests.wandb_project import ADDRESS, add_runs, falling, listed, tracker_of
from tests.wandb_server.client import PATH, SERVED, P
from tests.wandb_server.server import API_KEY, WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = [*SERVED, pytest.mark.usefixtures("new_client")]

WRONG = "f" * 40


@pytest.fixture(autouse=True)
def run(wandb_server: WandbServer) -> None:
    add_runs(wandb_server, "r")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return tmp_path


def test_a_key_in_the_environment():
    assert [ref.run_id for ref in listed()] == ["r"]


def test_a_key_in_netrc(wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch, home: Path):
    monkeypatch.delenv("WANDB_API_KEY")
    netrc = home / "netrc"
    machine = wandb_server.url.removeprefix("http://")
    netrc.write_text(f"machine {machine}\n  login user\n  password {API_KEY}\n")
    netrc.chmod(0o600)
    assert [ref.run_id for ref in listed()] == ["r"]


def test_no_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(AuthError, match="no W&B key") as caught:
        listed()
    assert "wandb login" in caught.value.fix


def test_a_wrong_key_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_API_KEY", WRONG)
    with pytest.raises(AuthError, match="could not log in") as caught:
        listed()
    assert "WANDB_API_KEY" in caught.value.fix
    assert WRONG not in str(caught.value) + caught.value.fix


def test_a_server_that_is_down(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(TransientTrackerError, match="connection refused") as caught:
        listed()
    assert "up" in caught.value.fix


def test_nobody_is_asked_for_a_key_on_a_terminal(wandb_server: WandbServer, tmp_path: Path):
    from tests.wandb_server.fixtures import environment

    told = environment(wandb_server, tmp_path)
    # as on a terminal of somebody who never logged in
    for name in ("WANDB_API_KEY", "WANDB_SILENT", "WANDB_QUIET"):
        del told[name]
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "NETRC")}
    here, there = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "dqi_tracking", "rank", ADDRESS],
        stdin=there, stdout=subprocess.PIPE, stderr=there,
        env=inherited | told, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    os.close(there)
    shown = os.read(here, 65_536).decode()
    os.close(here)
    assert done.returncode == 3
    assert shown.splitlines()[0] == f"error: no W&B key for {wandb_server.url}"
    assert shown.splitlines()[1].startswith("fix: ")


def test_a_project_is_named_after_its_page(wandb_server: WandbServer):
    with tracker_of() as tracker:
        assert tracker.view().url == f"{wandb_server.url}/{PATH}/table"
        (ref,) = listed()
        assert tracker.view(ref).url == f"{wandb_server.url}/team/{P}/runs/r"


def test_links_hold_names_of_any_signs(wandb_server: WandbServer):
    name = "a b#c?d%e"
    wandb_server.add_run(name, "r", history=falling())
    with tracker_of(f"wandb:team/{name}") as tracker:
        (ref,) = tracker.find(Query())
        home = f"{wandb_server.url}/team/a%20b%23c%3Fd%25e"
        assert tracker.view().url == f"{home}/table"
        assert tracker.view(ref).url == f"{home}/runs/r"
        assert tracker.view(replace(ref, run_id="r/1")).url == f"{home}/runs/r%2F1"
