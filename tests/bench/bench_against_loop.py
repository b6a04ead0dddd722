"""`dqi backfill` against the loop that everyone writes: ratios, each measured in one run.

Both in processes of their own, and both count whole, from the start of the process. Of 2,500 runs
the loop is measured on 100, since what grows with the store is its cost a run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.many_runs import NAME, fill, filled_server
from tests.stores import postgres_database

LOOP, PEAK = (Path(__file__).with_name(name) for name in ("naive_loop.py", "peak.py"))
LOOP_RUNS = {500: 500, 2_500: 100}


def dqi(uri: str, *options: str) -> tuple[float, float]:
    """Run `dqi backfill` on the store; return seconds, and peak memory in MB."""
    command = [sys.executable, "-m", "dqi_tracking", "backfill", f"mlflow:{NAME}", *options]
    told = subprocess.run(
        [sys.executable, str(PEAK), *command, "--tracking-uri", uri],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    seconds, peak = map(float, told.stdout.split())
    return seconds, peak


def loop_of(uri: str, runs: int) -> float:
    """Run the loop on some of the store's runs; return the seconds that all of them would take."""
    start = time.perf_counter()
    told = subprocess.run(
        [sys.executable, str(LOOP), uri, NAME, str(LOOP_RUNS[runs])],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds, done = told.stdout.split()
    begin = time.perf_counter() - start - float(seconds)
    return begin + float(seconds) / int(done) * runs


def tell(benchmark, runs: int, ours: float, loop: float, peak: float) -> None:
    benchmark.extra_info |= {
        "runs": runs,
        "ours_s": round(ours, 2),
        "ours_ms_a_run": round(1000 * ours / runs, 1),
        "loop_ms_a_run": round(1000 * loop / runs, 1),
        "times_faster": round(loop / ours, 1),
        "peak_mb": round(peak),
    }


@pytest.mark.parametrize("runs", [500, 2_500])
@pytest.mark.parametrize(
    "options", [(), ("--engine", "processes", "--jobs", "2")], ids=["threads", "two processes"]
)
def test_sqlite(benchmark, sqlite_template, tmp_path, runs, options):
    path = shutil.copy(sqlite_template, tmp_path / "ours.db")
    fill(f"sqlite:///{path}", (tmp_path / "artifacts").as_uri(), runs)
    copy = shutil.copy(path, tmp_path / "loop.db")
    loop = loop_of(f"sqlite:///{copy}", runs)
    ours, peak = benchmark.pedantic(dqi, (f"sqlite:///{path}", *options), rounds=1)
    tell(benchmark, runs, ours, loop, peak)


def test_http_over_postgres(benchmark, postgres_instance, tmp_path):
    runs = 500
    # a server and a database each: what the first writes makes both dearer for the second
    with filled_server(postgres_instance, tmp_path / "loop", runs) as server:
        loop = loop_of(server.uri, runs)
    with filled_server(postgres_instance, tmp_path / "ours", runs) as server:
        ours, peak = benchmark.pedantic(dqi, (server.uri,), rounds=1)
    tell(benchmark, runs, ours, loop, peak)
    with filled_server(postgres_instance, tmp_path / "loss alone", runs) as server:
        alone, _ = dqi(server.uri, "--grad-norm-key", "none")
    benchmark.extra_info |= {
        "loss_alone_ms_a_run": round(1000 * alone / runs, 1),
        "loss_alone_times_faster": round(loop / alone, 1),
    }


def test_postgres(benchmark, postgres_instance, tmp_path):
    runs = 500
    loops, database = (postgres_database(postgres_instance) for _ in range(2))
    for each in (loops, database):
        fill(each, (tmp_path / "artifacts").as_uri(), runs)
    loop = loop_of(loops, runs)
    ours, peak = benchmark.pedantic(dqi, (database,), rounds=1)
    tell(benchmark, runs, ours, loop, peak)
