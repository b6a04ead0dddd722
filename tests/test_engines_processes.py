"""Processes of this machine: the same result as threads, whatever happens to them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from dqi_tracking.backfill.pools import AHEAD, TRIES
from tests.conftest import Experiment
from tests.engine_runs import (
    N_RUNS,
    ROOT,
    Faulty,
    by_name,
    carried_out,
    fill,
    meeting,
    n_marks,
    results,
    state,
)
from tests.mlflow_runs import IN_PROCESS, SERVED, LogRun
from tests.stores import Store

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import the tests, whose options they get."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


@SERVED
def test_processes_and_threads_leave_the_same_behind(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    names = fill(store, experiment, log_run)
    told, left = [], []
    for engine in ("threads", "processes"):
        outcomes = carried_out(store, experiment, engine=engine, jobs=2)
        told.append(results(names, outcomes))
        left.append(state(store, names))
    assert Counter(outcome for outcome, *_ in told[0].values()) == {
        "scored": N_RUNS - 1,
        "skipped": 1,
    }
    assert told[1] == told[0]
    assert left[1] == left[0]


@IN_PROCESS
def test_a_killed_process_costs_no_run_and_a_run_that_kills_costs_only_itself(
    store: Store, experiment: Experiment, log_run: LogRun, tmp_path: Path
) -> None:
    names = fill(store, experiment, log_run, {9: "kills once", 13: "kills"})
    faulty = Faulty(folder=str(tmp_path))
    outcomes = carried_out(store, experiment, options=faulty, engine="processes", jobs=1)
    told = by_name(names, outcomes)
    assert Counter(told.values()) == {"scored": N_RUNS - 2, "skipped": 1, "failed": 1}
    (lost,) = (each for each in outcomes if each.outcome == "failed")
    assert names[lost.ref.run_id] == "kills"
    assert lost.transient
    assert "died" in lost.reason
    assert lost.fix
    assert len(faulty.tries("kills")) == TRIES
    assert len(set(faulty.tries("kills once"))) == 2
    assert any(len(faulty.tries(name)) > 1 for name in told if name.startswith("r"))
    scored = [run for run, name in names.items() if told[name] == "scored"]
    # what was written twice is an exact duplicate
    assert {n_marks(store, run) for run in scored} == {1}
    disturbed = state(store, {run: names[run] for run in scored})
    carried_out(store, experiment, jobs=1)
    assert disturbed == state(store, {run: names[run] for run in scored})


@IN_PROCESS
def test_a_stop_finishes_what_is_in_flight_though_the_signal_reached_the_workers(
    store: Store, experiment: Experiment, log_run: LogRun, tmp_path: Path
) -> None:
    # newest first: it is in the first chunk
    names = fill(store, experiment, log_run, {N_RUNS - 1: "meets"})
    stop = threading.Event()

    def interrupt(pid: int) -> None:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
        stop.set()

    with meeting(tmp_path, interrupt) as faulty:
        outcomes = carried_out(
            store, experiment, options=faulty, engine="processes", jobs=1, stop=stop
        )
    told = by_name(names, outcomes)
    # of four chunks of four
    assert 4 <= len(told) <= AHEAD * 4
    assert told["meets"] == "scored"
    assert len(faulty.tries("meets")) == 1
    written = {name for name, (metrics, *_) in state(store, names).items() if metrics}
    assert written == {name for name, outcome in told.items() if outcome == "scored"}
