"""`dqi backfill` beside another one on one store: who works, who stands back, who takes over."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.cli import main
from dqi_tracking.config import load_settings
from tests.stores import Store

SECONDS = 60.0
N = 30
STEPS = np.arange(40)
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


@pytest.fixture
def store(fresh_sqlite: Store, log_run: Callable[..., str]) -> Store:
    """Give a store whose experiment `e` holds thirty runs."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    experiment = client.create_experiment("e", artifact_location=f"{fresh_sqlite.artifact_root}/e")
    for number in range(N):
        log_run(fresh_sqlite, experiment, metrics={"loss": np.cos(STEPS * number) + 50 - STEPS})
    return fresh_sqlite


@contextlib.contextmanager
def started(store: Store, address: str = "mlflow:e") -> Iterator[subprocess.Popen[str]]:
    """Start a backfill, and end it in any case."""
    command = [sys.executable, "-m", "dqi_tracking", "backfill", address]
    command += ["--tracking-uri", store.uri, "--json"]
    with subprocess.Popen(command, **PIPES) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def held(store: Store, address: str = "mlflow:e") -> Iterator[subprocess.Popen[str]]:
    """Start a backfill, and hold it after its first run."""
    with started(store, address) as process:
        assert json.loads(process.stdout.readline())["outcome"] == "scored"
        process.send_signal(signal.SIGSTOP)
        while is_locked():
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGSTOP)
        yield process


def is_locked() -> bool:
    """Tell whether the ledger is being written."""
    path = Ledger.of(load_settings(), print).path
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
    return False


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def n_written(store: Store) -> Counter[int]:
    """Return how many runs were written how often: each write leaves a point of `dqi`."""
    query = "SELECT COUNT(*) FROM metrics WHERE key = 'dqi' GROUP BY run_uuid"
    with contextlib.closing(sqlite3.connect(store.uri.removeprefix("sqlite:///"))) as connection:
        return Counter(count for (count,) in connection.execute(query))


def states(store: Store, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert main(["backfill", "mlflow:e", "--tracking-uri", store.uri, "--status", "--json"]) == 0
    return [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]


def test_the_second_ends_at_once_and_says_who_is_at_work(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(store) as first:
        for address in ("mlflow:e", "mlflow:", "mlflow:0"):
            start = time.monotonic()
            with started(store, address) as second:
                code, out, err = finished(second)
            # no tracker was opened for it, which alone takes seconds
            assert time.monotonic() - start < 10
            assert (code, out) == (75, "")
            assert re.fullmatch(
                r"error: another backfill or unscore of these runs is at work: "
                rf"pid {first.pid} since "
                r"\d{4}-\S+Z, `mlflow:e`\n"
                rf"fix: wait until it ends \(.*--status`\), or stop it: `kill {first.pid}`\n",
                err,
            )
        assert states(store, capsys) == ["running"]
        first.send_signal(signal.SIGCONT)
        code, out, err = finished(first)
    assert (code, len(out.splitlines())) == (0, N - 1)
    assert f"{N} of {N} runs scored" in err
    assert n_written(store) == {1: N}
    assert states(store, capsys) == ["done"]


def test_of_two_started_together_one_does_all(store: Store) -> None:
    with started(store) as one, started(store) as other:
        ended = [finished(each) for each in (one, other)]
    (code, out, _), (other_code, other_out, err) = sorted(ended)
    assert (code, other_code) == (0, 75), ended
    assert (len(out.splitlines()), other_out) == (N, "")
    assert "another backfill or unscore" in err
    assert n_written(store) == {1: N}


def test_a_killed_backfill_is_taken_over_at_once(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    with held(store) as first:
        first.kill()
        # it is dead before its parent has asked
        os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)
        with started(store) as second:
            code, _, err = finished(second)
    assert code == 0, err
    written = n_written(store)
    # the run that was at work may have been written and not marked
    assert sum(written.values()) == N
    assert written[1] >= N - 1
    assert states(store, capsys) == ["done", "died"]


def test_unscore_stands_back_and_leaves_no_trace_in_the_ledger(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    unscore = ["unscore", "mlflow:e", "--tracking-uri", store.uri]
    with held(store) as first:
        assert main(unscore) == 75
        assert f"is at work: pid {first.pid}" in capsys.readouterr().err
        # a look is no work
        assert main([*unscore, "--dry-run"]) == 0
        first.send_signal(signal.SIGCONT)
        assert finished(first)[0] == 0
    assert main(unscore) == 0
    assert f"{N} of {N} runs unscored" in capsys.readouterr().out
    assert states(store, capsys) == ["done"]


@pytest.mark.parametrize("fate", ["deleted", "garbage"])
def test_a_ledger_lost_in_mid_run_loses_and_repeats_no_run(
    store: Store, capsys: pytest.CaptureFixture[str], hermetic: Path, fate: str
) -> None:
    ledger = hermetic / "state" / "dqi" / "ledger.db"
    with held(store) as process:
        if fate == "deleted":
            ledger.unlink()
        else:
            ledger.write_bytes(os.urandom(50_000))
        process.send_signal(signal.SIGCONT)
        code, out, err = finished(process)
    assert (code, len(out.splitlines())) == (0, N - 1)
    assert n_written(store) == {1: N}
    assert (err.count("note: the ledger"), "begun anew" in err) == (
        (0, False) if fate == "deleted" else (1, True)
    )
    assert states(store, capsys) == ["done"]
