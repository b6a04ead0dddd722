"""`dqi validate`: what it finds in planted runs and does not in noise, prints, writes, refuses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

import dqi_tracking.trackers
from dqi_tracking.cli import main
from dqi_tracking.cohorts.finished_runs import FinishedRuns
from dqi_tracking.errors import ReadRejected
from dqi_tracking.fitting.early_runs import Asked, EarlyRuns, can_take_part, early_runs, listed_runs
from dqi_tracking.insight.early_part import CONFOUNDS, features_many
from dqi_tracking.trackers.base import Reading
from dqi_tracking.types import History, RunRef
from tests.file_sizes import no_large_files
from tests.stores import Store
from tests.tracker_harness.memory import ENTRY, MemoryHarness, SharedMemory

Captured = pytest.CaptureFixture[str]
Add = Callable[..., str]

HOSTILE = "<script>alert(1)</script> | [x](javascript:y) \x1b[31m"
GROUPS = ("mnist", "c4", "wmt", HOSTILE)
N_POINTS = 60
MEMORY = ["validate", "memory:", "--outcome", "metrics.val_loss"]


def points(level: float, random: np.random.Generator, n: int = N_POINTS) -> list[float]:
    falling = 2 * np.exp(-np.arange(n) / 10)
    return (level + falling + random.normal(scale=0.02, size=n)).tolist()


@pytest.fixture(scope="module")
def planted(sqlite: Store) -> list[str]:
    """Log 40 runs whose level tells how they end, and a number that nothing tells.

    Each configuration is run twice, and its repeats share that number.
    """
    random = np.random.default_rng(2)
    client = MlflowClient(tracking_uri=sqlite.uri)
    experiment = client.create_experiment("early-signals")
    for number in range(40):
        if number % 2 == 0:
            level, fate = random.uniform(0.5, 1.5), random.normal()
        losses = points(level * (1 + number // 10), random)
        run = client.create_run(experiment)
        metrics = [Metric("loss", value, 0, step) for step, value in enumerate(losses)]
        metrics.append(Metric("val_loss", losses[-1] + random.normal(scale=0.02), 0, N_POINTS))
        metrics.append(Metric("fate", fate, 0, N_POINTS))
        params = {"data": GROUPS[number // 10], "lr": str(level), "width": str(random.random())}
        client.log_batch(
            run.info.run_id, metrics=metrics, params=[Param(*pair) for pair in params.items()]
        )
        client.set_terminated(run.info.run_id)
    return [
        *("validate", "mlflow:early-signals", "--tracking-uri", sqlite.uri),
        *("--group", "params.data", "--configuration", "params.lr"),
    ]


def test_a_planted_answer_is_found_printed_and_written(
    planted: list[str], capsys: Captured, tmp_path: Path
) -> None:
    page, text = tmp_path / "v.html", tmp_path / "v.md"
    text.write_text("old")
    asked = ["--outcome", "metrics.val_loss", "--signals", "dqi,loss_level", "--json"]
    files = ["--html", str(page), "--markdown", str(text)]
    assert main([*planted, *asked, *files, "--confound", "params.width", "--questions", "2"]) == 0
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    told = json.loads(line, parse_constant=pytest.fail)
    assert told["verdict"] == "evidence"
    assert told["signals"] == ["dqi", "loss_level"]
    assert told["confounds"] == [*CONFOUNDS, "params.width"]
    assert (told["study"]["runs"], told["n_configurations"], told["n_questions"]) == (40, 20, 2)
    assert sorted(each["name"] for each in told["study"]["groups"]) == sorted(GROUPS)
    assert said.err == f"report: {page}\nreport: {text}\n"
    assert sorted(tmp_path.iterdir()) == [page, text]
    for written in (page.read_text(encoding="utf-8"), text.read_text(encoding="utf-8")):
        assert "evidence" in written
        assert "<script" not in written
        assert "\x1b" not in written
    assert "](javascript" not in text.read_text(encoding="utf-8")


def test_nothing_is_found_in_a_number_that_nothing_tells(
    planted: list[str], capsys: Captured, tmp_path: Path
) -> None:
    text = tmp_path / "v.md"
    asked = ["--outcome", "metrics.fate", "--signals", "loss_level,loss_lowest", "--at", "0.4"]
    assert main([*planted, *asked, "--markdown", str(text)]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert "the first 40 % of a run" in lines[0]
    assert lines[2].startswith("Verdict: no evidence. No evidence that the signals tell")
    written = text.read_text(encoding="utf-8")
    assert lines[2].removeprefix("Verdict: no evidence. ") in written
    titles = [line.removeprefix("## ") for line in written.splitlines() if line.startswith("## ")]
    assert titles
    assert set(titles) <= set(lines)
    # names of groups as they are, without what Markdown wants and what a terminal obeys
    assert HOSTILE.partition("\x1b")[0] in said.out
    assert "\x1b" not in said.out


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Give a function that puts a run into the tracker in memory."""
    monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", ENTRY)
    harness = MemoryHarness()
    random = np.random.default_rng(0)

    def put(
        name: str, *, val: float | None = 1.0, loss: Sequence[float] | None = None, **params: str
    ) -> str:
        values = points(1.0, random) if loss is None else loss
        metrics = {"loss": list(enumerate(values))} if len(values) else {"other": [(0, 1.0)]}
        ends = {} if val is None else {"val_loss": [(0, val)]}
        return harness.add(name, metrics | ends, params=params)

    yield put
    SharedMemory.store.clear()


def too_little(arguments: list[str], capsys: Captured) -> tuple[str, str]:
    """Ask, and return the report in Markdown and what went to stderr."""
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "Verdict: too little data." in said.out
    assert "| " not in said.out
    return said.out, said.err


def test_a_constant_outcome_and_a_single_group_give_no_number(add: Add, capsys: Captured) -> None:
    for number in range(40):
        add(f"r{number}", data=f"d{number % 4}")
    out, _ = too_little([*MEMORY, "--group", "params.data"], capsys)
    assert "4 groups with the same outcome in every run (40 runs)" in out
    for number, run in enumerate(SharedMemory.store.values()):
        run.metrics["val_loss"] = [(0, float(number))]
    out, _ = too_little(MEMORY, capsys)
    assert "only 1 group is left" in out


def test_runs_without_an_outcome_or_a_group_are_counted_and_not_read(
    add: Add, capsys: Captured
) -> None:
    for number in range(30):
        missing = (None, math.nan, math.inf)[number % 3] if number < 15 else float(number)
        add(f"r{number}", val=missing, **({} if number >= 27 else {"data": f"d{number % 3}"}))
    out, _ = too_little([*MEMORY, "--group", "params.data"], capsys)
    assert "- Left out: 15 runs without a finite outcome" in out
    assert "- Left out: 3 runs without a group." in out
    assert SharedMemory.n_read == 12


def test_runs_that_cannot_be_read_are_counted_and_never_fatal(
    add: Add, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        add(f"r{number}", val=float(number), loss=() if number < 3 else None)
    read = SharedMemory.read

    def refusing(self: SharedMemory, refs: Sequence[RunRef]) -> Iterator[Reading]:
        for reading in read(self, refs):
            refused = ReadRejected(f"no {HOSTILE}", fix="mend it", run=reading.ref.run_id)
            yield Reading(reading.ref, error=refused) if reading.ref.name == "r7" else reading

    monkeypatch.setattr(SharedMemory, "read", refusing)
    out, err = too_little(MEMORY, capsys)
    assert "- Left out: 1 of 12 runs that could not be read (ReadRejected).\n" in out
    assert "- Left out: 3 of 12 runs that have no loss.\n" in out
    assert re.search(r"error: id-r7: no <script>.*\nfix: mend it\n", err)
    assert "\x1b" not in err
    assert "- Left out: 12" not in out


def test_an_empty_listing_is_too_little_data(add: Add, capsys: Captured) -> None:
    too_little(MEMORY, capsys)


@pytest.mark.parametrize(
    ("given", "message", "fix"),
    [
        (["--outcome", "metrics.val_los"], "no run has `metrics.val_los`", "`metrics.val_loss`"),
        (["--group", "params.dat"], "no run has `params.dat`", "`params.data`"),
        (["--configuration", "params.lr"], "no run has `params.lr`", "`params.data`"),
        (["--confound", "params.data"], "no run has `params.data`", "`metrics.val_loss`"),
        (["--group", "*"], "no run has `*`", "`params.data`"),
        (["--at", "0"], "share 0.0 is outside of (0, 1]", "0.2"),
        (["--at", "1.5"], "share 1.5 is outside of (0, 1]", "0.2"),
        (["--signals", "dqi,dqj"], "there is no signal `dqj`", "loss_level"),
        (["--signals", ","], "--signals names none", "loss_level"),
        (["--questions", "0"], "Invalid value for '--questions'", "--help"),
        (["--html", "."], "`.` is a folder", "--html"),
        (["--markdown", "nowhere/v.md"], "there is no folder", "--markdown"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_a_run_is_read(
    add: Add, capsys: Captured, given: list[str], message: str, fix: str
) -> None:
    add("r", data="a")
    assert main([*MEMORY, *given]) == 2
    said = capsys.readouterr()
    error, mend = said.err.splitlines()
    assert message in error
    assert mend.startswith("fix: ")
    assert fix in mend
    assert said.out == ""
    assert SharedMemory.n_read == 0


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    add: Add, capsys: Captured, tmp_path: Path
) -> None:
    add("r")
    path = tmp_path / "v.html"
    with no_large_files():
        assert main([*MEMORY, "--html", str(path)]) == 2
    assert "cannot be written: File too large" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def gathered(asked: Asked) -> EarlyRuns:
    tracker = dqi_tracking.trackers.open_tracker("memory:")
    refs = listed_runs(tracker, asked)
    runs = FinishedRuns(tracker, [r for r in refs if can_take_part(r, asked)], lambda: None)
    return early_runs(runs, refs, asked)


def test_the_early_part_ends_by_the_median_end_of_the_group(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    # several chunks, and histories that go to the disk
    monkeypatch.setattr("dqi_tracking.fitting.early_runs._CHUNK", 2)
    monkeypatch.setattr("dqi_tracking.fitting.early_runs._IN_MEMORY", 1)
    random = np.random.default_rng(5)
    lengths = {"a": (40, 60, 90), "b": (30, 300)}
    made: dict[str, tuple[list[float], float]] = {}
    for group, of_group in lengths.items():
        for length in of_group:
            losses = points(float(length), random, length)
            run = add(f"{group}{length}", loss=losses, val=1.0, data=group, lr="1")
            made[run] = losses, float(np.median([n - 1 for n in of_group]))
    add("none", val=None, data="a")
    found = gathered(Asked("metrics.val_loss", "params.data", ("params.lr",), share=0.5))
    expected = features_many(
        [History(range(len(losses)), losses) for losses, _ in reversed(made.values())],
        0.5,
        end_steps=[end for _, end in reversed(made.values())],
    )
    # the newest run is listed first: the one without an outcome, which was not read
    assert np.isnan(found.features.values[0]).all()
    np.testing.assert_array_equal(found.features.values[1:], expected.values)
    assert found.groups == ("a", "b", "b", "a", "a", "a")
    assert found.configurations == (None, *[("1",)] * 5)
    assert found.n_listed == 6
    assert found.left_out == {}


def test_a_named_signal_is_held_fixed_without_a_column_of_its_own(add: Add) -> None:
    add("r", width="64")
    add("s", width="wide")
    asked = Asked("metrics.val_loss", confounds=("loss_level", "params.width", "interval"))
    found = gathered(asked)
    assert asked.all_confounds == (*CONFOUNDS, "loss_level", "params.width")
    assert found.configurations is None
    np.testing.assert_array_equal(found.features["params.width"], [math.nan, 64.0])
