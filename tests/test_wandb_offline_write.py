"""Offline runs of W&B: what is written beside a run, and taken off again."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dqi_tracking import backfill, rank
from dqi_tracking.config import Settings
from dqi_tracking.errors import (
    WriteRejected,
)
from dqi_tracking.stamp import is_whole
from dqi_tracking.unscoring import unscore
from tests.namespaces import MOUNTS, OWNER, allowed, namespaced
from tests.wandb_logs import (
    losses,
    put,
    run_of,
)
from tests.wandb_offline_runs import (
    ALL,
    CURVE,
    FILES,
    STAMP,
    find,
    opened,
)

pytest_plugins = ["tests.wandb_offline_fixtures"]
pytestmark = pytest.mark.xdist_group("wandb_offline")

needs_namespaces = pytest.mark.skipif(not allowed(), reason="namespaces are not allowed here")


def beside(path: Path) -> list[str]:
    return sorted(p.name for p in (path.parent / "dqi").iterdir())


def test_a_score_is_written_beside_the_run_and_found_again(offline_run: Path) -> None:
    content = offline_run.read_bytes()
    tracker = opened(offline_run)
    (ref,) = tracker.find(ALL)
    tracker.write(ref, STAMP, FILES)
    assert beside(offline_run) == ["phases.html", "phases.json", "summary.json"]
    summary = json.loads((offline_run.parent / "dqi" / "summary.json").read_text())
    assert (summary["dqi"], summary["dqi_fingerprint"]) == (0.25, "f-1")
    assert "dqi_mid" not in summary
    (again,) = find(offline_run.parents[1])
    assert again.stamp is not None
    assert is_whole(again.stamp)
    assert again.stamp.metrics["dqi"] == 0.25
    assert np.isnan(again.stamp.metrics["dqi_mid"])
    assert again.stamp.facts == dict(STAMP.facts)
    assert offline_run.read_bytes() == content
    assert replace(again, stamp=None) == ref


def test_without_files_only_the_summary_is_written(offline_run: Path) -> None:
    tracker = opened(offline_run)
    tracker.write(next(tracker.find(ALL)), STAMP, {})
    assert beside(offline_run) == ["summary.json"]


@pytest.mark.parametrize(
    "broken",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"dqi": 0.5}', b'{"file": "x"}'],
)
def test_a_broken_summary_counts_as_not_scored(offline_run: Path, broken: bytes) -> None:
    tracker = opened(offline_run)
    tracker.write(next(tracker.find(ALL)), STAMP, FILES)
    (offline_run.parent / "dqi" / "summary.json").write_bytes(broken)
    (ref,) = find(offline_run)
    assert ref.stamp is None or not is_whole(ref.stamp)
    report = backfill(str(offline_run), settings=Settings())
    assert report.counts["scored"] == 1
    (ref,) = find(offline_run)
    assert ref.stamp is not None
    assert is_whole(ref.stamp)


def test_two_files_in_one_folder_keep_their_scores_apart(tmp_path: Path) -> None:
    for name, scale in (("a", 1.0), ("b", 2.0), ("..", 3.0)):
        values = losses([scale * value + np.cos(scale * n) for n, value in enumerate(CURVE)])
        (tmp_path / f"{name}.wandb").write_bytes(bytes(run_of(values, run_id=name).content))
    backfill(str(tmp_path), settings=Settings())
    table = rank(str(tmp_path), settings=Settings())
    assert sorted(table["run"]) == ["..", "a", "b"]
    assert table["dqi"].nunique() == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["...wandb", "a.wandb", "b.wandb", "dqi"]
    # alone again, `a` is not taken for what was written in the place of one
    (tmp_path / "a.wandb").rename(tmp_path / "c.wandb")
    assert {ref.run_id: ref.stamp is not None for ref in find(tmp_path)} == {
        "..": True,
        "a": False,
        "b": True,
    }
    for ref in find(tmp_path):
        assert opened(tmp_path).erase(ref) == ""


def test_a_file_that_takes_the_place_of_another_does_not_get_its_score(offline_run: Path) -> None:
    tracker = opened(offline_run)
    tracker.write(next(tracker.find(ALL)), STAMP, FILES)
    offline_run.rename(offline_run.with_name("run-other.wandb"))
    (ref,) = find(offline_run.parent)
    assert ref.stamp is None or not is_whole(ref.stamp)


def test_erasing_takes_off_what_was_written_and_nothing_else(offline_run: Path) -> None:
    before = {p: p.is_file() and p.read_bytes() for p in offline_run.parent.rglob("*")}
    tracker = opened(offline_run)
    (ref,) = tracker.find(ALL)
    assert tracker.erase(ref) == ""
    tracker.write(ref, STAMP, FILES)
    (offline_run.parent / "dqi" / f".summary.json.{'0' * 32}.tmp").write_bytes(b"killed")
    assert tracker.erase(ref) == ""
    assert {p: p.is_file() and p.read_bytes() for p in offline_run.parent.rglob("*")} == before
    tracker.write(ref, STAMP, FILES)
    (offline_run.parent / "dqi" / "mine.txt").write_text("mine")
    assert tracker.erase(ref) == ""
    assert beside(offline_run) == ["mine.txt"]
    assert find(offline_run)[0].stamp is None


def test_what_an_erasure_that_was_killed_left_can_still_be_taken_off(offline_run: Path) -> None:
    backfill(str(offline_run), settings=Settings())
    (offline_run.parent / "dqi" / "summary.json").unlink()
    (ref,) = find(offline_run)
    assert ref.stamp is not None
    assert not is_whole(ref.stamp)
    assert len(rank(str(offline_run), settings=Settings())) == 0
    unscore(str(offline_run), settings=Settings())
    assert not (offline_run.parent / "dqi").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_something_else_in_the_place_of_the_folder_is_left_alone(
    offline_run: Path, tmp_path: Path, kind: str
) -> None:
    place, elsewhere = offline_run.parent / "dqi", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(elsewhere)
    tracker = opened(offline_run)
    (ref,) = tracker.find(ALL)
    assert ref.stamp is None
    with pytest.raises(WriteRejected) as caught:
        tracker.write(ref, STAMP, FILES)
    assert (caught.value.run, bool(caught.value.fix)) == ("plain", True)
    assert list(elsewhere.iterdir()) == []
    assert kind == "link" or place.read_text() == "mine"


@pytest.mark.parametrize("run_id", ["../../outside", "/outside", "a\x1b[31mb", "", "<b>"])
def test_what_a_file_says_of_its_run_decides_no_path(tmp_path: Path, run_id: str) -> None:
    path = put(tmp_path / "below", bytes(run_of(losses(CURVE), run_id=run_id).content))
    assert backfill(str(tmp_path), settings=Settings()).counts["scored"] == 1
    assert beside(path) == ["phases.html", "phases.json", "summary.json"]
    files = [found for found in tmp_path.rglob("*") if found.is_file()]
    assert len(files) == 4
    assert find(tmp_path)[0].run_id == (run_id or "made")


_FULL = """
import resource, sys
from dqi_tracking.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(["score", sys.argv[2], "--write", "--json"]))
"""


@pytest.mark.parametrize("limit", [0, 100, 4000])
def test_a_disk_that_takes_no_more_leaves_no_half_of_a_mark(offline_run: Path, limit: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(limit), str(offline_run)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    row = json.loads(done.stdout)
    assert row["outcome"] == "failed"
    assert "does not take the score: File too large" in row["reason"]
    assert "summary.json" not in beside(offline_run)
    assert not any(name.endswith(".tmp") for name in beside(offline_run))
    assert backfill(str(offline_run), settings=Settings()).counts["scored"] == 1


@needs_namespaces
def test_a_full_and_a_read_only_disk_are_told(offline_run: Path) -> None:
    place = offline_run.parent / "dqi"
    place.mkdir()
    with namespaced(MOUNTS) as process:
        for options, reason in (("size=4k", "No space left"), ("ro", "Read-only file system")):
            mount = f"mount -t tmpfs -o {options} none '{place}'"
            said = process.dqi("backfill", str(offline_run), "--json", after=mount)
            assert said.code == 1
            assert reason in str(said.rows[0]["reason"])
    assert list(place.iterdir()) == []


@needs_namespaces
def test_what_may_not_be_read_is_told_and_stops_no_other(tmp_path: Path) -> None:
    content = bytes(run_of(losses(CURVE)).content)
    paths = {name: put(tmp_path, content, name) for name in ("good", "file", "folder")}
    paths["file"].chmod(0)
    paths["folder"].parent.chmod(0)
    try:
        with namespaced(OWNER) as process:
            said = process.dqi("score", str(tmp_path), "--json")
            shut = process.dqi("score", str(paths["folder"].parent), "--json")
            lone = process.dqi("score", str(paths["folder"]), "--json")
    finally:
        paths["folder"].parent.chmod(0o755)
    outcomes = {str(row["run"]): (row["outcome"], row["reason"]) for row in said.rows}
    assert outcomes.pop("made")[0] == "scored"
    assert {outcome for outcome, _ in outcomes.values()} == {"failed"}
    assert all("may not be read" in str(reason) for _, reason in outcomes.values())
    assert set(outcomes) == {"file", paths["folder"].parent.relative_to(tmp_path).as_posix()}
    for refusal in (shut, lone):
        assert refusal.code == 3
        assert "may not be read" in refusal.stderr
