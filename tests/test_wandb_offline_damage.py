"""Offline runs of W&B: files that are cut, changed, empty, gone, or none at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqi_tracking import backfill
from dqi_tracking.config import Settings
from dqi_tracking.errors import (
    DQIError,
    MissingMetric,
    ReadRejected,
    RunNotFound,
)
from dqi_tracking.trackers.base import Query
from tests.wandb_logs import (
    HEADER,
    history_record,
    killed_run,
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
    history,
    one_run,
    opened,
    rows,
)

pytest_plugins = ["tests.wandb_offline_fixtures"]
pytestmark = pytest.mark.xdist_group("wandb_offline")


def test_a_run_without_an_end_is_read_and_said_to_have_none(tmp_path: Path) -> None:
    path = put(tmp_path, bytes(run_of(losses(CURVE), end=None).content))
    (ref,) = find(path, Query())
    assert ref.status == "FINISHED"
    (warning,) = history(path).warnings
    said = "`run-made.wandb` records no end of the run: it was cut short, or still goes on"
    assert warning == said


def test_a_killed_client_leaves_a_curve_that_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = killed_run(tmp_path)
    found = history(path)
    n = found.step.size
    assert 0 < n <= 3000
    assert found.loss.tolist() == list(range(n))
    assert "it was cut short, or still goes on" in found.warnings[0]


def test_damage_is_told_with_its_place_and_what_was_read(offline_files, tmp_path: Path) -> None:
    content = bytearray(offline_files["long"].read_bytes())
    size = len(content)
    content[size // 2] ^= 4
    found = history(put(tmp_path, bytes(content)))
    (warning,) = found.warnings
    assert f"of {size:,} bytes: {found.step.size:,} of its rows were read" in warning
    assert "is damaged after" in warning
    assert "what follows is lost" in warning
    assert found.step.tolist() == list(range(found.step.size))
    assert 1000 < found.step.size < 2000


def test_a_cut_file_says_where_it_breaks_off(offline_files, tmp_path: Path) -> None:
    content = offline_files["long"].read_bytes()
    # one of two cuts so close to each other is within a record
    told = [history(put(tmp_path, content[:size])).warnings[0] for size in (50_000, 50_003)]
    broken = [warning for warning in told if "breaks off" in warning]
    assert broken
    for warning in broken:
        assert warning.startswith(
            ("`run-made.wandb` breaks off after 49,", "`run-made.wandb` breaks off after 50,00")
        )
        assert "of 50,00" in warning


def test_garbage_behind_the_end_of_a_run_costs_nothing(offline_run: Path) -> None:
    with offline_run.open("ab") as file:
        file.write(b"garbage" * 10)
    assert [row[1] for row in rows(offline_run)] == CURVE
    (warning,) = history(offline_run).warnings
    assert "behind the end of the run: 60 of its rows were read" in warning


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", MissingMetric, "`run-made.wandb` is empty: nothing was logged"),
        (HEADER[:3], MissingMetric, "is empty"),
        (HEADER, MissingMetric, "is empty"),
        (b"step,loss\n0,1\n", ReadRejected, "is no W&B log: it does not begin as one"),
        (HEADER[:-1] + b"\x01abc", ReadRejected, "of version 1"),
        (HEADER + bytes(500), ReadRejected, "damaged after 7 of 507 bytes: 0 of its rows"),
        (bytes(run_of([]).content), MissingMetric, "no loss and no gradient norm"),
        (bytes(run_of([]).content)[:-3], MissingMetric, "breaks off after"),
        (bytes(run_of([{"x": "1"}]).content) + b"tail of it", MissingMetric, "behind the end"),
    ],
    ids=[
        "zero bytes",
        "part of the header",
        "header only",
        "text",
        "version",
        "zeros",
        "no history",
        "cut before any",
        "garbage behind",
    ],
)
def test_a_file_with_nothing_to_read_has_a_clear_outcome(
    tmp_path: Path, content: bytes, error, message: str
) -> None:
    path = put(tmp_path, content)
    with pytest.raises(error) as caught:
        history(path)
    assert message in caught.value.message
    assert (caught.value.run, bool(caught.value.fix)) == ("made", True)
    report = backfill(str(path), settings=Settings())
    outcome = "skipped" if error is MissingMetric else "failed"
    assert list(report.counts) == [outcome] or report.counts[outcome] == 1


def test_a_record_that_is_no_message_is_damage(tmp_path: Path) -> None:
    path = one_run(tmp_path, history_record(0, {"loss": "1"}), b"\xff\xff\xff no message")
    found = history(path)
    assert found.step.tolist() == [0]
    assert "is damaged after" in found.warnings[0]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_cut_and_any_flip_raises_nothing_unknown_and_makes_up_no_point(
    tmp_path_factory, offline_files, data
) -> None:
    content = bytearray(offline_files["plain"].read_bytes())
    for _ in range(data.draw(st.integers(0, 2))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(content)))
    tail = data.draw(st.binary(max_size=30))
    path = put(tmp_path_factory.mktemp("damaged"), bytes(content[:cut]) + tail)
    (reading,) = opened(path).read(find(path))
    if reading.history is None:
        assert isinstance(reading.error, DQIError)
        return
    found = reading.history
    n = found.step.size
    assert found.loss.tolist() == CURVE[:n]
    assert found.step.tolist() == list(range(n))
    if n < len(CURVE):
        assert found.warnings


def test_a_run_that_is_gone_or_was_never_there_is_told(offline_run: Path) -> None:
    tracker = opened(offline_run.parent)
    refs = list(tracker.find(ALL))
    offline_run.unlink()
    (gone,) = tracker.read(refs)
    assert isinstance(gone.error, RunNotFound)
    put(offline_run.parents[1], bytes(run_of([]).content), "other")
    with pytest.raises(RunNotFound, match="no run `plain`"):
        opened(offline_run.parents[1]).write(refs[0], STAMP, FILES)


def test_one_bad_file_stops_no_other(offline_folder: Path) -> None:
    put(offline_folder, b"no log", "bad")
    report = backfill(str(offline_folder), settings=Settings())
    assert report.counts == {"scored": 7, "skipped": 1, "failed": 1}
