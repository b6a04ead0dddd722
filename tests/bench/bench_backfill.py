"""Whole backfills of a SQLite store, each in a process of its own: time and peak memory.

Time a run and memory have to stay flat in the number of runs: compare the two sizes.
"""

from __future__ import annotations

import shutil

import pytest

from tests.bench.bench_against_loop import dqi
from tests.bench.many_runs import fill, fill_scored


@pytest.mark.parametrize("runs", [500, 5_000])
def test_first_pass(benchmark, sqlite_template, tmp_path, runs):
    uri = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'mlflow.db')}"
    fill(uri, (tmp_path / "artifacts").as_uri(), runs, points=100)
    seconds, peak = benchmark.pedantic(dqi, (uri,), rounds=1)
    benchmark.extra_info |= {
        "runs": runs,
        "ms_a_run": round(1000 * seconds / runs, 1),
        "peak_mb": round(peak),
    }


def test_second_pass_over_10_000_runs(benchmark, sqlite_template, tmp_path):
    uri = f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'mlflow.db')}"
    fill_scored(uri, (tmp_path / "artifacts").as_uri(), 10_000, points=10)
    seconds, peak = benchmark.pedantic(dqi, (uri,), rounds=2)
    benchmark.extra_info |= {"seconds": round(seconds, 1), "peak_mb": round(peak)}
