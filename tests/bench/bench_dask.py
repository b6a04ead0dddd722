"""Engines on PostgreSQL: threads, processes, and dask clusters of one and of two workers.

All write the two files as well, and share the machine with the database. Clusters are up and have
imported MLflow before the clock starts, as a standing one has; processes start within their time.
What limits shows in the seconds of processor that a run costs workers and database.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack

import psutil
import pytest

from dqi_tracking.backfill.executor import execute
from dqi_tracking.config import load_settings
from dqi_tracking.pipeline import ScoringOptions, begin
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query
from tests.bench.many_runs import NAME, fill
from tests.engine_runs import dask_scheduler, dask_worker
from tests.stores import postgres_database, process_tree

N_RUNS = 400
N_WARM = 16
ADDRESS = f"mlflow:{NAME}"


@pytest.fixture(scope="module")
def settings(postgres_instance, tmp_path_factory):
    uri = postgres_database(postgres_instance)
    fill(uri, tmp_path_factory.mktemp("artifacts").as_uri(), N_RUNS)
    return load_settings(tracking_uri=uri)


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
    """Give the schedulers of a cluster of one worker and of one of two, with the workers' ids."""
    folder = tmp_path_factory.mktemp("dask")
    with ExitStack() as processes:
        found = {}
        for size in (1, 2):
            scheduler, _ = processes.enter_context(dask_scheduler(folder / f"scheduler{size}"))
            pids = [
                processes.enter_context(dask_worker(folder / f"worker{size}-{number}", scheduler))
                for number in range(size)
            ]
            found[size] = scheduler, pids
        yield found


def processor_seconds(pids):
    """Return the seconds of processor that processes have used, and what ended below them."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(sum(used[:4]) for used in times)


def carry_out(settings, limit=None, **way):
    tracker = open_tracker(ADDRESS, settings=settings)
    refs = list(tracker.find(Query(limit=limit)))
    current = begin(ScoringOptions(), rescore=True)
    start = time.perf_counter()
    found = execute(
        tracker, refs, current, stop=threading.Event(), address=ADDRESS, settings=settings, **way
    )
    first = next(found)
    until_first = time.perf_counter() - start
    assert all(outcome.outcome == "scored" for outcome in (first, *found))
    return time.perf_counter() - start, until_first


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_threads(benchmark, settings, jobs):
    way = {"engine": "threads", "jobs": jobs}
    took, until_first = benchmark.pedantic(carry_out, (settings,), way, rounds=1)
    benchmark.extra_info["ms_a_run"] = round(1_000 * took / N_RUNS, 1)
    benchmark.extra_info["seconds_to_the_first"] = round(until_first, 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_processes(benchmark, settings, jobs):
    way = {"engine": "processes", "jobs": jobs}
    took, until_first = benchmark.pedantic(carry_out, (settings,), way, rounds=1)
    benchmark.extra_info["ms_a_run"] = round(1_000 * took / N_RUNS, 1)
    benchmark.extra_info["seconds_to_the_first"] = round(until_first, 1)


def test_two_dask_workers_against_one(benchmark, settings, clusters, postgres_instance):
    ways = {
        size: {"engine": "dask", "scheduler": scheduler, "jobs": None}
        for size, (scheduler, _) in clusters.items()
    }
    for way in ways.values():
        carry_out(settings, N_WARM, **way)
    told = benchmark.extra_info
    took = {}

    def measure():
        # in turns, so that whatever else the machine does falls on both
        for turn in (1, 2, 1, 2):
            watched = {"starter": [os.getpid()], "workers": clusters[turn][1]}
            before = {name: processor_seconds(pids) for name, pids in watched.items()}
            before["database"] = processor_seconds(process_tree(postgres_instance.pid))
            took.setdefault(turn, []).append(carry_out(settings, None, **ways[turn])[0])
            watched["database"] = process_tree(postgres_instance.pid)
            for name, pids in watched.items():
                used = processor_seconds(pids) - before[name]
                told[f"{name}_ms_a_run_of_{turn}"] = round(1_000 * used / N_RUNS, 1)

    benchmark.pedantic(measure, rounds=1)
    for size, seconds in took.items():
        told[f"seconds_of_{size}"] = "/".join(f"{each:.1f}" for each in seconds)
    told["ratio"] = round(min(took[1]) / min(took[2]), 2)
