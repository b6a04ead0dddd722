"""Fixtures: runs that the real client made offline, once for the session, and copies of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.wandb_logs import client_runs


@pytest.fixture(scope="session")
def offline_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Give the client's files, to be copied and not changed."""
    return client_runs(tmp_path_factory.mktemp("wandb-runs"))


@pytest.fixture
def offline_folder(offline_files: dict[str, Path], tmp_path: Path) -> Path:
    """Give a copy of all that the client made, links and logs included."""
    shutil.copytree(offline_files["plain"].parents[2], tmp_path / "runs", symlinks=True)
    return tmp_path / "runs"


@pytest.fixture
def offline_run(offline_files: dict[str, Path], tmp_path: Path) -> Path:
    """Give a copy of one run of the client's."""
    run = offline_files["plain"].parent
    shutil.copytree(run, tmp_path / "wandb" / run.name)
    return tmp_path / "wandb" / run.name / "run-plain.wandb"
