"""`dqi forecast --calibrate` and `--backtest`: what they print, write and refuse."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import dqi_tracking.trackers
from dqi_tracking import backtest, calibrate
from dqi_tracking.cli import main
from dqi_tracking.cohorts.finished_runs import FinishedRuns
from dqi_tracking.config import Settings
from dqi_tracking.errors import ReadRejected
from dqi_tracking.trackers.base import Reading
from dqi_tracking.types import History, RunRef
from tests.forecast_runs import cohort, turned
from tests.tracker_harness.memory import ENTRY, MemoryHarness, SharedMemory

Captured = pytest.CaptureFixture[str]


def points(run: History) -> list[tuple[float, float]]:
    assert run.loss is not None
    return list(zip(run.step.tolist(), run.loss.tolist(), strict=True))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[History]:
    """Give runs that finished, of two models, and put them into the tracker in memory."""
    monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", ENTRY)
    harness = MemoryHarness()
    made = [*cohort(24), *(turned(seed=seed) for seed in range(6))]
    for number, run in enumerate(made):
        model = "b" if number >= 24 else "a"
        harness.add(f"r{number}", {"loss": points(run)}, params={"model": model})
    harness.add("goes on", {"loss": points(made[0])}, status="RUNNING")
    harness.add("no loss", {"accuracy": [(0, 1.0)]})
    return made


def test_a_calibration_is_written_used_and_named(
    runs: list[History], capsys: Captured, tmp_path: Path
) -> None:
    path = tmp_path / "own.json"
    assert main(["forecast", "--calibrate", "memory:", "--out", str(path)]) == 0
    said = capsys.readouterr()
    assert "31 finished runs of memory:" in said.out
    assert said.err == f"calibration: {path}\n"
    own = json.loads(path.read_text())
    # the newest run is listed first, which decides nothing
    assert np.allclose(own["table"], calibrate(runs).table, atol=1e-4)
    curve = tmp_path / "run.csv"
    lines = [f"{step},{loss}" for step, loss in points(runs[0])[:40]]
    curve.write_text("\n".join(["step,loss", *lines]))
    assert main(["forecast", str(curve), "--calibration", str(path), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["calibration"].startswith("the finished runs of memory:")
    assert row["calibration_size"] == 30
    assert main(["forecast", str(curve), "--calibration", str(path)]) == 0
    assert "75 to 100 %" not in capsys.readouterr().out


def test_a_backtest_is_that_of_the_library(runs: list[History], capsys: Captured) -> None:
    assert main(["forecast", "--backtest", "memory:", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    direct = backtest(runs)
    assert (found["runs"], found["stopped"], found["listed"]) == (30, direct.stopped, 31)
    for name in ("saved", "regret", "patience", "patience_regret"):
        assert found[name] == pytest.approx(getattr(direct, name))
    # runs of one project are no groups
    assert found["groups"] == []


def test_groups_have_rows_of_their_own(runs: list[History], capsys: Captured) -> None:
    given = ["forecast", "--backtest", "memory:", "--cohort", "params.model"]
    assert main([*given, "--csv"]) == 0
    rows = {row["group"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert {group: int(row["runs"]) for group, row in rows.items()} == {"all": 30, "a": 24, "b": 6}
    assert int(rows["b"]["stopped"]) == 6
    assert float(rows["b"]["saved"]) > float(rows["a"]["saved"])
    assert main(given) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "30 of 31 finished runs of memory: replayed" in out
    assert "the advice would have stopped" in out
    assert "Regret against patience at equal savings" in out or "nothing to compare" in out
    assert "Regret is the best loss missed" in out


@pytest.mark.parametrize("option", ["--calibrate", "--backtest"])
def test_too_little_is_refused_with_a_fix(
    runs: list[History], capsys: Captured, tmp_path: Path, option: str
) -> None:
    del runs
    out = ["--out", str(tmp_path / "own.json")] if option == "--calibrate" else []
    assert main(["forecast", option, "memory:", "--limit", "1", *out]) == 2
    assert capsys.readouterr().err.splitlines()[1].startswith("fix: pass ")
    assert list(tmp_path.iterdir()) == []


def test_a_file_needs_a_folder(runs: list[History], capsys: Captured, tmp_path: Path) -> None:
    del runs
    for path in (tmp_path, tmp_path / "no" / "own.json"):
        assert main(["forecast", "--calibrate", "memory:", "--out", str(path)]) == 2
        assert "no file in a folder that is there" in capsys.readouterr().err


class Flaky(SharedMemory):
    """The tracker in memory, where one run cannot be read; it remembers its largest chunk."""

    largest = 0

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        type(self).largest = max(type(self).largest, len(refs))
        for ref in refs:
            if ref.run_id == "id-r3":
                yield Reading(ref, error=ReadRejected("torn", fix="mend it", run=ref.run_id))
            else:
                yield from super().read([ref])


def test_a_run_that_cannot_be_read_is_told_and_stops_no_other(
    runs: list[History], monkeypatch: pytest.MonkeyPatch, capsys: Captured, tmp_path: Path
) -> None:
    del runs
    monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", f"{__name__}:Flaky")
    assert main(["forecast", "--backtest", "memory:", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["runs"] == 29
    assert said.err == "error: id-r3: torn\nfix: mend it\n"
    path = tmp_path / "own.json"
    assert main(["forecast", "--calibrate", "memory:", "--out", str(path)]) == 1
    assert path.is_file()


def test_runs_are_read_in_chunks_and_let_go(runs: list[History]) -> None:
    del runs
    Flaky.largest = 0
    tracker = Flaky(Settings())
    tracker.runs = SharedMemory.store
    found = FinishedRuns.find(tracker, where="", limit=None)
    drawn = found.histories()
    next(drawn)
    assert len(found.refs) == 31
    assert Flaky.largest == tracker.batch == 16
