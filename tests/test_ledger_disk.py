"""A state folder on a disk that is full or not to be written, for real: the pass does without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.mlflow_runs import LogRun, curve
from tests.namespaces import MOUNTS, Namespaced, Said, allowed, namespaced
from tests.stores import Store

pytestmark = [
    pytest.mark.xdist_group("disk"),
    pytest.mark.skipif(not allowed(), reason="namespaces are not allowed here"),
]

FULL = "mount -t tmpfs -o size=8k none"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the state folder that a process started now will use."""
    (folder := tmp_path / "state").mkdir()
    monkeypatch.setenv("DQI_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def mounts(state: Path) -> Iterator[Namespaced]:
    """Give a `dqi` that may mount."""
    with namespaced(MOUNTS) as process:
        yield process


def test_a_full_and_a_read_only_disk_cost_the_memory_and_nothing_else(
    mounts: Namespaced, state: Path, fresh_sqlite: Store, log_run: LogRun
) -> None:
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    root = f"{fresh_sqlite.artifact_root}/e"
    experiment = client.create_experiment("e", artifact_location=root)

    def n_scored(said: Said) -> int:
        assert said.code == 0
        return [row.get("outcome") for row in said.rows].count("scored")

    where = ["mlflow:e", "--tracking-uri", fresh_sqlite.uri, "--json"]

    def backfill(after: str) -> Said:
        log_run(fresh_sqlite, experiment, metrics={"loss": curve()})
        return mounts.dqi("backfill", *where, after=after)

    def status() -> Said:
        return mounts.dqi("backfill", *where, "--status")

    mount = f"mount --bind '{state}' '{state}'; mount -o remount,bind,ro '{state}'"
    for after, why in (
        (f"{FULL} '{state}'", "database or disk is full"),
        (f"umount '{state}'; {mount}", "unable to open database file"),
    ):
        said = backfill(after)
        assert n_scored(said) == 1
        (note,) = [line for line in said.stderr.splitlines() if line.startswith("note: ")]
        assert f"({why}): going on without its memory and its lease" in note
        said = status()
        assert (said.code, said.rows) == (0, [])
        assert "nothing is known here" in said.stderr
    said = backfill(f"umount '{state}'; umount '{state}' || :")
    assert (n_scored(said), "note" in said.stderr) == (1, False)
    # what was known before the disk became read-only is still told
    said = backfill(mount)
    assert n_scored(said) == 1
    assert "attempt to write a readonly database" in said.stderr
    assert [row["kind"] for row in status().rows] == ["pass"]
