"""`dqi` as a process of its own: signals, terminals, broken pipes, and a demo that was killed."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from dqi_tracking.demo import import_runs
from dqi_tracking.names import FACTS, METRICS
from tests.stores import Store

SECONDS = 60.0
DQI = [sys.executable, "-m", "dqi_tracking"]
STYLE = re.compile(r"\x1b\[[\d;]*m")
STEPS = np.arange(50)


@contextlib.contextmanager
def started(*arguments: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start `dqi`, and end it in any case."""
    process = subprocess.Popen([*DQI, *arguments], **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def many(fresh_sqlite: Store, log_run: Callable[..., str]) -> Store:
    """Give a store whose experiment `e` holds forty runs."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    experiment = client.create_experiment("e", artifact_location=f"{fresh_sqlite.artifact_root}/e")
    for number in range(40):
        log_run(fresh_sqlite, experiment, metrics={"loss": np.cos(STEPS * number) + 50 - STEPS})
    return fresh_sqlite


def marks(store: Store) -> dict[str, tuple[int, int, int]]:
    """Return of each run its number of DQI's metrics and tags, and of files in its folder."""
    client = MlflowClient(tracking_uri=store.uri)
    experiment = client.get_experiment_by_name("e").experiment_id
    return {
        run.info.run_id: (
            len(set(run.data.metrics) & set(METRICS)),
            len(set(run.data.tags) & {f"dqi.{fact}" for fact in FACTS}),
            len(client.list_artifacts(run.info.run_id, "dqi")),
        )
        for run in client.search_runs([experiment])
    }


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_backfill_between_two_runs_and_the_next_pass_finishes(
    many: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    arguments = ["backfill", "mlflow:e", "--tracking-uri", many.uri]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    with started(*arguments, "--json", **pipes) as process:
        first = process.stdout.readline()
        process.send_signal(number)
        # not `communicate`, which does not know of what `readline` read ahead
        rest, err = process.stdout.read(), process.stderr.read()
        process.wait(SECONDS)
    assert process.returncode == code
    n_told = len((first + rest).splitlines())
    assert 1 <= n_told < 40
    # and no progress, for stderr is a pipe
    assert re.fullmatch(rf"stopped: {n_told} scored, {40 - n_told} left .*\n", err.decode())
    # what is told is whole, what is not told is untouched
    whole = (len(METRICS), len(FACTS), 2)
    assert sorted(marks(many).values()) == [(0, 0, 0)] * (40 - n_told) + [whole] * n_told
    assert main(arguments) == 0
    assert f"{40 - n_told} of 40 runs scored" in capsys.readouterr().out
    assert set(marks(many).values()) == {whole}


def test_a_signal_ends_an_unscore_between_two_runs_and_the_next_pass_finishes(
    many: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "mlflow:e", "--tracking-uri", many.uri]) == 0
    arguments = ["unscore", "mlflow:e", "--tracking-uri", many.uri]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    with started(*arguments, "--json", stdin=subprocess.DEVNULL, **pipes) as process:
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        # not `communicate`, which does not know of what `readline` read ahead
        rest, err = process.stdout.read(), process.stderr.read()
        process.wait(SECONDS)
    assert process.returncode == 143
    n_told = len((first + rest).splitlines())
    assert 1 <= n_told < 40
    stopped = err.decode().splitlines()[-1]
    assert stopped.startswith(f"stopped: {n_told} unscored, {40 - n_told} left for the next pass")
    whole, bare = (len(METRICS), len(FACTS), 2), (len(METRICS), 0, 0)
    assert sorted(marks(many).values()) == [bare] * n_told + [whole] * (40 - n_told)
    capsys.readouterr()
    assert main(arguments) == 0
    assert f"{40 - n_told} of 40 runs unscored" in capsys.readouterr().out
    assert set(marks(many).values()) == {bare}


def on_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run `dqi` on a terminal, and return its exit code and all that it showed."""
    mine, its = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environment}
    with started(*arguments, stdin=its, stdout=its, stderr=its, env=env) as process:
        os.close(its)
        shown = b""
        # Linux answers EIO once the other side is closed
        with contextlib.suppress(OSError):
            while part := os.read(mine, 65_536):
                shown += part
        os.close(mine)
        return process.wait(SECONDS), shown.decode()


def test_a_terminal_shows_rate_and_remaining_time_and_no_style_with_no_color(
    tmp_path: Path,
) -> None:
    path = tmp_path / "runs.csv"
    points = (f"r{run},{step},{(run + 1) / (step + 1)}\n" for run in range(12) for step in STEPS)
    path.write_text("run,step,loss\n" + "".join(points))
    code, shown = on_terminal("backfill", str(path), "--dry-run")
    assert code == 0
    bar = STYLE.sub("", shown).replace("\r", "\n")
    assert re.search(r"scoring .* 12/12 +\d+\.\d runs/s .*left +\d:\d\d:\d\d", bar)
    assert STYLE.search(shown)
    code, shown = on_terminal("backfill", str(path), "--dry-run", NO_COLOR="1")
    assert code == 0
    assert "runs/s" in shown
    assert not STYLE.search(shown)


def test_a_narrow_terminal_loses_columns_and_no_cell_is_folded(tmp_path: Path) -> None:
    names = [f"run-{number:016x}" for number in range(3)]
    points = (f"{name},{step},{1 / (step + 1)}\n" for name in names for step in STEPS)
    (path := tmp_path / "runs.csv").write_text("run,step,loss\n" + "".join(points))
    for columns, left_out in (("200", ""), ("80", "late, mid, early, outcome")):
        code, shown = on_terminal("score", str(path), COLUMNS=columns)
        assert code == 0
        table, _, room = STYLE.sub("", shown).partition("no room for ")
        lines = [line.split() for line in table.splitlines()]
        assert max(len(line.rstrip()) for line in table.splitlines()) <= int(columns)
        assert [words[-1] for words in lines if words and words[0] in names] == names
        assert room.partition(":")[0] == left_out


@pytest.mark.parametrize("form", ["--json", "--csv", "table"])
def test_a_reader_that_has_enough_causes_no_traceback(tmp_path: Path, form: str) -> None:
    (tmp_path / "curve.csv").write_text("step,loss\n0,3\n1,2\n2,1\n")
    reading, writing = os.pipe()
    os.close(reading)
    arguments = ["score", "curve.csv", *([form] if form != "table" else [])]
    done = subprocess.run(
        [*DQI, *arguments], cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, timeout=SECONDS
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def n_runs(database: Path) -> int:
    """Return how many runs a demo has begun to import; 0 while there is no store."""
    with contextlib.suppress(sqlite3.Error):
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        with contextlib.closing(connection):
            return int(connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0])
    return 0


def n_points(database: Path) -> dict[str, int]:
    """Return the number of points of each run that was not deleted, by name."""
    query = (
        "SELECT r.name, COUNT(*) FROM runs r JOIN metrics m ON m.run_uuid = r.run_uuid "
        "WHERE r.lifecycle_stage = 'active' AND r.status = 'FINISHED' GROUP BY r.run_uuid"
    )
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(query).fetchall()
    assert len(dict(rows)) == len(rows), "a run was imported twice"
    return dict(rows)


@pytest.mark.slow
def test_a_demo_that_was_killed_carries_on_to_exactly_its_runs(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with started("demo", "--folder", str(tmp_path), **quiet) as process:
        deadline = time.monotonic() + SECONDS
        while n_runs(database) < 5 and process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait(SECONDS)
    n_whole = len(n_points(database))
    assert 4 <= n_whole < 24
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        # the kill may have come between two runs: make sure that one is half there
        connection.execute(
            "UPDATE runs SET status = 'RUNNING' WHERE run_uuid = "
            "(SELECT run_uuid FROM runs WHERE status = 'FINISHED' LIMIT 1)"
        )
    assert import_runs(tmp_path).n_imported == 24 - n_whole + 1
    with files("dqi_tracking.demo").joinpath("curves.parquet").open("rb") as file:
        names = pq.read_table(file, columns=["run"])["run"].value_counts().to_pylist()
    assert n_points(database) == {each["values"]: each["counts"] for each in names}
    assert import_runs(tmp_path).n_imported == 0


@pytest.mark.slow
def test_the_demo_ranks_real_runs_once_and_the_commands_it_prints_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--folder", "my demo"]) == 0
    out = capsys.readouterr().out
    assert "24 real runs imported" in out
    assert "23 of 24 runs scored" in out
    for name in ("wmt_jax-baseline-trial_5", "nanogpt-value_embed", "mpl_25m-wsdcon_18"):
        assert re.search(rf"^ *\d+ +0\.\d{{4}} .* ok +{name} +[0-9a-f]{{32}}", out, re.MULTILINE)
    assert re.search(r"^ *23 +– .* nan +criteo1tb_pytorch-shampoo-trial_3 ", out, re.MULTILINE)
    assert "nanogpt-adam_sync_hook" not in out
    printed = [shlex.split(line) for line in out.splitlines() if re.match(r"  \S*dqi ", line)]
    assert [command[1] for command in printed] == ["rank", "show"]
    (uri,) = re.findall(r"^  export MLFLOW_TRACKING_URI=(.*)$", out, re.MULTILINE)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shlex.split(uri)[0])
    shown = []
    for command in printed:
        assert main(command[1:]) == 0
        shown.append(capsys.readouterr().out)
    assert set(re.findall(r"(\w+)-\w+\S* +[0-9a-f]{32}", shown[0])) == {"wmt_jax", "wmt_pytorch"}
    assert "this score is written" in shown[1]
    assert main(["demo", "--folder", "my demo"]) == 0
    out = capsys.readouterr().out
    assert "0 real runs imported" in out
    assert "nothing left to do: 24 runs" in out


def test_a_demo_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["demo", "--folder", str(tmp_path / "file" / "demo")]) == 3
    assert re.search(r"^error: .+\nfix: .+--folder\n$", capsys.readouterr().err, re.MULTILINE)
