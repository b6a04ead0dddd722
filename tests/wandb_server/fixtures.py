"""pytest fixtures: a server and a service process of the client for each worker.

A test module names this one in `pytest_plugins`: an imported session fixture would be set up
again for each module.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.wandb_server.server import WandbServer
from tests.wandb_server.server import wandb_server as running_server

if TYPE_CHECKING:
    import wandb


def environment(server: WandbServer, folder: Path) -> dict[str, str]:
    """Return the variables with which the client talks to a server and writes to a folder only.

    Retries end within seconds, and nothing is sent elsewhere.
    """
    folders = {
        f"WANDB_{name}_DIR": str(folder / name.lower())
        for name in ("CACHE", "CONFIG", "DATA", "ARTIFACT")
    }
    for path in [*folders.values(), str(folder / "runs")]:
        Path(path).mkdir(parents=True, exist_ok=True)
    # Waits between retries are whole seconds: the client cuts them off, and takes 0 for unset.
    return folders | {
        "WANDB_DIR": str(folder / "runs"),
        "WANDB_BASE_URL": server.url,
        "WANDB_API_KEY": server.api_key,
        "WANDB_SILENT": "true",
        "WANDB_QUIET": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_DISABLE_GIT": "true",
        "WANDB_DISABLE_CODE": "true",
        "WANDB_HTTP_TIMEOUT": "10",
        "WANDB_X_GRAPHQL_RETRY_MAX": "2",
        "WANDB_X_GRAPHQL_RETRY_WAIT_MIN_SECONDS": "1",
        "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "1",
        "WANDB_X_FILE_STREAM_RETRY_MAX": "2",
        "WANDB_X_FILE_STREAM_RETRY_WAIT_MIN_SECONDS": "1",
        "WANDB_X_FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "1",
        "WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL": "1",
        "WANDB_X_FILE_TRANSFER_RETRY_MAX": "2",
        "WANDB_X_FILE_TRANSFER_RETRY_WAIT_MIN_SECONDS": "1",
        "WANDB_X_FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "1",
        "WANDB_X_DISABLE_STATS": "true",
        "WANDB_X_DISABLE_META": "true",
        "WANDB_X_SAVE_REQUIREMENTS": "false",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def end_client() -> None:
    """End the client's service process and with it its runs, if the client was used at all."""
    if wandb := sys.modules.get("wandb"):
        wandb.teardown()
        # It would leave a run that was not finished as `wandb.run`.
        wandb.sdk.lib.module.unset_globals()


def start_client() -> None:
    """Start the client's service process, if none runs with this environment.

    Subprocesses do not find it: theirs start one of their own, as from a shell.
    """
    import wandb

    if wandb.setup().did_environment_change():
        end_client()
        wandb.setup()
    os.environ.pop("WANDB_SERVICE", None)


def _busy(server: WandbServer) -> bool:
    """Return whether a run goes on, or a request that hung may be tried again."""
    training = any(run.state == "running" for run in server.store.all_runs())
    return server.hung or training or sys.modules["wandb"].run is not None


@pytest.fixture(scope="session")
def wandb_server() -> Iterator[WandbServer]:
    """Give the worker's server, started when first asked for."""
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def wandb_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder that the worker's client writes to; the client ends with the session."""
    yield tmp_path_factory.mktemp("wandb")
    end_client()


@pytest.fixture
def wandb_env(
    wandb_server: WandbServer, wandb_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Lead the client to an empty server, and give the empty folder that it writes to.

    The service process, which takes most of a second to start and end, serves one test after the
    other. It inherits the environment when it starts: a test that changes it uses `new_client`.
    """
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name, value in environment(wandb_server, wandb_folder).items():
        monkeypatch.setenv(name, value)
    start_client()
    wandb_server.reset_counts()
    yield wandb_folder
    busy = _busy(wandb_server)
    # What hangs is let go first, or ending the client would wait for it.
    wandb_server.clear()
    if busy:
        end_client()
    errors = list(wandb_server.errors)
    wandb_server.reset()
    for path in wandb_folder.iterdir():
        shutil.rmtree(path, ignore_errors=True)  # the service may be writing its log
    assert not errors, "the server itself failed"


@pytest.fixture
def new_client(wandb_env: Path) -> Iterator[None]:
    """Let the test start a service process of its own, with the environment that it sets."""
    end_client()
    yield
    end_client()


@pytest.fixture
def api(wandb_env: Path) -> wandb.Api:
    """Give the public API of the real client."""
    import wandb

    return wandb.Api(timeout=10)
