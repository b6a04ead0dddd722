"""Disks that are full or not to be written, for real: what is said, and what stands on the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.mlflow_runs import FILES, LogRun, curve, one_pass, written
from tests.namespaces import MOUNTS, OWNER, Namespaced, Said, allowed, namespaced
from tests.stores import Store

NOTHING = {"metrics": {}, "tags": {}, "files": []}
FULL = "mount -t tmpfs -o size=8k none"

pytestmark = [
    pytest.mark.xdist_group("disk"),
    pytest.mark.skipif(not allowed(), reason="namespaces are not allowed here"),
]


@pytest.fixture(scope="module")
def mounts(session_environment: object) -> Iterator[Namespaced]:
    """Give a `dqi` that may mount."""
    with namespaced(MOUNTS) as process:
        yield process


@pytest.fixture(scope="module")
def owner(session_environment: object) -> Iterator[Namespaced]:
    """Give a `dqi` that owns the files, and keeps to their modes."""
    with namespaced(OWNER) as process:
        yield process


@pytest.fixture
def run_id(fresh_sqlite: Store, log_run: LogRun) -> str:
    """Give a run that is not scored, in the store's only experiment with runs."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    made = client.create_experiment("disk", artifact_location=fresh_sqlite.artifact_root)
    artifacts(fresh_sqlite).mkdir()
    return log_run(fresh_sqlite, made, metrics={"loss": curve()})


def artifacts(store: Store) -> Path:
    return folder(store) / "artifacts"


def folder(store: Store) -> Path:
    return Path(store.uri.removeprefix("sqlite:///")).parent


def backfill(process: Namespaced, store: Store, after: str, *options: str) -> Said:
    where = ["mlflow:disk", "--tracking-uri", store.uri, "--json"]
    return process.dqi("backfill", *where, *options, after=after)


def read_only(path: Path) -> str:
    return f"mount --bind '{path}' '{path}'; mount -o remount,bind,ro '{path}'"


def test_a_full_disk_of_artifacts(mounts: Namespaced, fresh_sqlite: Store, run_id: str) -> None:
    said = backfill(mounts, fresh_sqlite, f"{FULL} '{artifacts(fresh_sqlite)}'")
    assert said.code == 1
    assert [row["outcome"] for row in said.rows] == ["failed"]
    assert "No space left" in str(said.rows[0]["reason"])
    assert "fix: free space on the disk" in said.stderr
    assert written(fresh_sqlite, run_id) == NOTHING
    # outside, there is space
    assert one_pass(fresh_sqlite, "mlflow:")[0].counts == {"scored": 1}
    assert written(fresh_sqlite, run_id)["files"] == FILES


def test_a_read_only_disk_of_artifacts(
    mounts: Namespaced, fresh_sqlite: Store, run_id: str
) -> None:
    said = backfill(mounts, fresh_sqlite, read_only(artifacts(fresh_sqlite)))
    assert said.code == 1
    assert "Read-only file system" in str(said.rows[0]["reason"])
    assert "fix: get write access" in said.stderr
    assert written(fresh_sqlite, run_id) == NOTHING
    assert one_pass(fresh_sqlite, "mlflow:")[0].counts == {"scored": 1}


def test_a_read_only_database(mounts: Namespaced, fresh_sqlite: Store, run_id: str) -> None:
    said = backfill(mounts, fresh_sqlite, read_only(folder(fresh_sqlite) / "mlflow.db"))
    assert said.code == 1
    assert "attempt to write a readonly database" in str(said.rows[0]["reason"])
    assert "fix: get write access" in said.stderr
    assert written(fresh_sqlite, run_id) == {**NOTHING, "files": FILES}
    assert one_pass(fresh_sqlite, "mlflow:")[0].counts == {"scored": 1}


@pytest.mark.parametrize("closed", ["artifacts", "artifacts/*/artifacts/dqi/*", "mlflow.db", "."])
def test_modes_that_let_nobody_write(
    owner: Namespaced, fresh_sqlite: Store, run_id: str, closed: str
) -> None:
    if closed != "artifacts":
        one_pass(fresh_sqlite, "mlflow:")
    before = written(fresh_sqlite, run_id)
    paths = [folder(fresh_sqlite)] if closed == "." else [*folder(fresh_sqlite).glob(closed)]
    modes = {path: path.stat().st_mode for path in paths}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        said = backfill(owner, fresh_sqlite, ":", "--reprocess", "all")
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert said.code == 1
    assert [row["outcome"] for row in said.rows] == ["failed"]
    assert "fix: get write access" in said.stderr
    after = written(fresh_sqlite, run_id)
    assert (after["metrics"], after["tags"]) == (before["metrics"], before["tags"])
    assert one_pass(fresh_sqlite, "mlflow:", reprocess="all")[0].counts == {"scored": 1}


def test_a_database_that_may_not_be_read(
    owner: Namespaced, fresh_sqlite: Store, run_id: str
) -> None:
    database = folder(fresh_sqlite) / "mlflow.db"
    mode = database.stat().st_mode
    database.chmod(0)
    try:
        said = backfill(owner, fresh_sqlite, ":")
    finally:
        database.chmod(mode)
    assert (said.code, said.rows) == (3, [])
    assert "fix: check that you may read the file" in said.stderr
