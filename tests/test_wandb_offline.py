"""Offline runs of W&B as a tracker: what is found at an address, and through the public doors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dqi_tracking import backfill
from dqi_tracking.cli import main
from dqi_tracking.config import Settings
from dqi_tracking.errors import (
    ConfigError,
    ReadRejected,
    StoreNotFound,
)
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query, View
from tests.wandb_logs import (
    exit_record,
    losses,
    put,
    run_of,
)
from tests.wandb_offline_runs import (
    ALL,
    CURVE,
    find,
    opened,
)

pytest_plugins = ["tests.wandb_offline_fixtures"]
pytestmark = pytest.mark.xdist_group("wandb_offline")


def test_a_folder_its_parent_one_run_and_one_file_are_addresses(offline_folder: Path) -> None:
    everything = {"first part", "second part", "my run", "long", "nested", "odd", "failed"}
    everything |= {"empty", "named later"}
    assert {ref.name for ref in find(offline_folder)} == everything
    assert {ref.name for ref in find(offline_folder / "wandb")} == everything
    assert len(find(offline_folder.parent)) == len(everything)
    assert [ref.name for ref in find(offline_folder / "wandb" / "latest-run")] == ["second part"]
    (path,) = offline_folder.glob("wandb/*/run-plain.wandb")
    assert [ref.run_id for ref in find(path.parent)] == ["plain"]
    assert [ref.run_id for ref in find(path)] == ["plain"]


def test_a_bare_wandb_is_the_folder_that_the_client_makes(
    offline_folder: Path, monkeypatch
) -> None:
    monkeypatch.chdir(offline_folder)
    assert len(list(open_tracker("wandb").find(ALL))) == 9
    assert len(list(open_tracker(".").find(ALL))) == 9


def test_the_listing_says_what_the_heads_and_ends_of_the_files_say(offline_folder: Path) -> None:
    before = int(time.time() * 1000)
    refs = {ref.name: ref for ref in find(offline_folder)}
    ref = refs["my run"]
    assert (ref.run_id, ref.group, ref.status, ref.listed) == ("plain", "proj", "FINISHED", False)
    assert before - 3_600_000 < ref.started < ref.ended <= before + 1
    assert (ref.stamp, ref.loss_keys) == (None, ())
    assert refs["failed"].status == "FAILED"
    started = [ref.started for ref in refs.values()]
    assert started == sorted(started, reverse=True)


def test_runs_are_narrowed_by_status_time_and_number(offline_folder: Path) -> None:
    names = {ref.name for ref in find(offline_folder, Query())}
    assert "failed" not in names
    assert len(names) == 8
    first, *_ = find(offline_folder)
    assert [ref.name for ref in find(offline_folder, Query(since=first.started))][:1] == [
        first.name
    ]
    assert find(offline_folder, Query(since=2 * first.started)) == []
    assert [ref.name for ref in find(offline_folder, Query(limit=2))] == [
        "second part",
        "named later",
    ]
    assert find(offline_folder, Query(limit=0)) == []
    with pytest.raises(ConfigError, match="no filters") as caught:
        find(offline_folder, Query("config.lr > 0"))
    assert caught.value.fix


def test_a_run_that_was_resumed_has_a_name_for_each_of_its_files(offline_folder: Path) -> None:
    parts = [
        ref for ref in find(offline_folder) if ref.run_id.startswith("twice@wandb/offline-run-")
    ]
    assert [ref.name for ref in parts] == ["second part", "first part"]
    assert parts[0].run_id != parts[1].run_id
    sizes = [r.found().step.size for r in opened(offline_folder).read(parts)]
    assert sizes == [20, 10]
    (first, *_) = opened(offline_folder).read(parts)
    (warning,) = first.found().warnings
    assert (
        warning == "`run-twice.wandb` is one of several files of the run: each is scored by itself"
    )
    lone = find(next(offline_folder.glob("wandb/*-twice")))
    assert [ref.run_id for ref in lone] == ["twice"]


def test_the_end_comes_from_the_runtime_and_else_from_the_file(tmp_path: Path) -> None:
    path = put(tmp_path, bytes(run_of([], started=1000, end=exit_record(runtime=60)).content))
    os.utime(path, (5000, 5000))
    assert [(ref.started, ref.ended) for ref in find(path)] == [(1_000_000, 1_060_000)]
    path.write_bytes(bytes(run_of([], started=1000, end=None).content))
    os.utime(path, (5000, 5000))
    assert [(ref.started, ref.ended) for ref in find(path)] == [(1_000_000, 5_000_000)]


def test_a_file_that_grows_is_another_revision(tmp_path: Path) -> None:
    content = bytes(run_of(losses(CURVE)).content)
    path = put(tmp_path, content[:2000])
    (before,) = find(path)
    path.write_bytes(content)
    (after,) = find(path)
    assert before.revision != after.revision


def test_a_file_whose_head_cannot_be_read_is_listed_by_its_name(offline_run: Path) -> None:
    content = bytearray(offline_run.read_bytes())
    content[20] ^= 1
    offline_run.write_bytes(content)
    (ref,) = find(offline_run)
    assert (ref.run_id, ref.name, ref.status) == ("plain", "plain", "FINISHED")
    assert ref.ended > 0
    (reading,) = opened(offline_run).read([ref])
    assert isinstance(reading.error, ReadRejected)
    size = len(content)
    assert f"damaged after 7 of {size:,} bytes: 0 of its rows" in reading.error.message


def test_a_folder_without_runs_and_a_path_that_is_not_there_are_told(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "below").mkdir(parents=True)
    (tmp_path / "empty" / "below.wandb").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nothing.wandb", tmp_path / "no" / "x.wandb"):
        with pytest.raises(StoreNotFound, match=r"no \.wandb file") as caught:
            find(path)
        assert caught.value.fix
    for address in (str(tmp_path / "nothing"), "no/such/folder", "wandb", "", "~nobody-here/x"):
        with pytest.raises(ConfigError, match="of no known form") as config:
            open_tracker(address, settings=Settings())
        assert "folder" in config.value.fix
    with pytest.raises(ConfigError, match="nobody-here"):
        find(Path("~nobody-here/x.wandb"))


def test_a_link_gives_no_run_twice_and_leads_into_no_circle(offline_run: Path) -> None:
    (offline_run.parent / "run-again.wandb").symlink_to(offline_run)
    (offline_run.parent.parent / "round").symlink_to(offline_run.parent.parent)
    (offline_run.parent / "run-nowhere.wandb").symlink_to(offline_run.parent / "nowhere")
    os.mkfifo(offline_run.parent / "run-pipe.wandb")
    assert [ref.run_id for ref in find(offline_run.parents[1])] == ["plain"]
    assert find(offline_run.parent / "run-again.wandb")[0].run_id == "plain"


def test_what_the_client_keeps_beside_a_run_is_not_looked_through(offline_run: Path) -> None:
    saved = offline_run.parent / "files" / "media"
    saved.mkdir(parents=True)
    shutil.copy(offline_run, saved / "run-saved.wandb")
    assert len(find(offline_run.parents[1])) == 1


def test_a_name_of_bytes_that_are_no_text_is_shown(tmp_path: Path, capsys) -> None:
    content = run_of(losses(CURVE)).content
    content[20] ^= 1
    path = put(tmp_path, bytes(content))
    path.rename(os.fsdecode(bytes(path.parent) + b"/run-\xff.wandb"))
    assert main(["backfill", str(tmp_path), "--json"]) == 1
    row = json.loads(capsys.readouterr().out)
    assert (row["run"], row["outcome"]) == ("\ufffd", "failed")


@pytest.fixture
def dqi(capsys) -> Iterator:
    def run(*arguments: str) -> tuple[int, list[dict], str]:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return run


def outcomes(rows: list[dict]) -> dict[str, str]:
    return {row["name"]: row["outcome"] for row in rows}


def test_runs_are_scored_written_unchanged_and_ranked_from_the_command_line(
    offline_folder: Path, dqi
) -> None:
    address = str(offline_folder)
    code, first, _ = dqi("score", address)
    assert code == 0
    expected = dict.fromkeys(["my run", "long", "nested", "odd", "named later"], "scored")
    expected |= {"first part": "scored", "second part": "scored", "empty": "skipped"}
    assert outcomes(first) == expected
    assert not list(offline_folder.rglob("summary.json"))
    code, written, _ = dqi("score", address, "--write")
    assert outcomes(written) == expected
    _, again, _ = dqi("score", address, "--write")
    unchanged = {name: o.replace("scored", "unchanged") for name, o in expected.items()}
    assert outcomes(again) == unchanged
    _, third, _ = dqi("backfill", address)
    assert outcomes(third) == unchanged
    _, ranked, _ = dqi("rank", address)
    by_name = {row["name"]: row["dqi"] for row in written if row["outcome"] == "scored"}
    assert {row["name"]: row["dqi"] for row in ranked} == by_name
    assert ranked[0]["name"] == max(by_name, key=lambda n: by_name[n] or -1)
    # in another place, with other times, they are still scored
    copied = offline_folder.with_name("copied")
    shutil.copytree(offline_folder, copied, symlinks=True)
    assert set(outcomes(dqi("backfill", str(copied))[1]).values()) == {"unchanged", "skipped"}


def test_one_run_is_explained_with_what_there_is_to_say_about_it(offline_run: Path, capsys) -> None:
    offline_run.write_bytes(offline_run.read_bytes()[:-100])
    assert main(["show", str(offline_run)]) == 0
    out = capsys.readouterr().out
    assert "my run  (proj, FINISHED, plain)" in out
    assert "60 points of `loss`" in " ".join(out.split())
    assert "it was cut short, or still goes on" in " ".join(out.split())


def test_a_run_that_gets_more_points_is_scored_again(tmp_path: Path, dqi) -> None:
    whole = run_of(losses(CURVE))
    path = put(tmp_path, bytes(whole.content[: whole.ends[40]]))
    assert outcomes(dqi("backfill", str(tmp_path))[1]) == {"made": "scored"}
    path.write_bytes(bytes(whole.content))
    (row,) = dqi("backfill", str(tmp_path))[1]
    assert (row["outcome"], row["warnings"]) == ("scored", [])
    assert outcomes(dqi("backfill", str(tmp_path))[1]) == {"made": "unchanged"}


def test_a_second_backfill_opens_no_file_to_write_and_many_jobs_do_the_same(
    offline_folder: Path,
) -> None:
    first = backfill(str(offline_folder), settings=Settings(), jobs=3)
    assert first.counts["scored"] == 7
    before = {p: p.stat().st_mtime_ns for p in offline_folder.rglob("*")}
    second = backfill(str(offline_folder), settings=Settings(), jobs=3)
    assert second.counts["unchanged"] == 7
    assert {p: p.stat().st_mtime_ns for p in offline_folder.rglob("*")} == before


def test_the_command_lines_help_does_not_load_the_client() -> None:
    script = (
        "import sys, dqi_tracking.trackers.wandb_offline as w; from dqi_tracking.cli import main; "
        "main(['--help']); sys.exit('wandb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0


def test_the_file_is_opened_by_its_ending_in_any_case_and_shows_no_page(offline_run: Path) -> None:
    upper = offline_run.rename(offline_run.with_name("RUN.WANDB"))
    tracker = opened(upper)
    (ref,) = tracker.find(ALL)
    assert ref.run_id == "plain"
    assert tracker.view(ref) == View("", "")
    assert tracker.address == str(upper)
