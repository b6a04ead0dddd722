"""A real dask cluster: scheduler and workers are processes of their own on loopback."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import joblib
import pytest

from dqi_tracking.backfill import pools
from dqi_tracking.errors import TransientTrackerError
from tests.conftest import Experiment
from tests.engine_runs import (
    N_RUNS,
    Faulty,
    by_name,
    carried_out,
    dask_scheduler,
    dask_worker,
    fill,
    meeting,
    n_marks,
    results,
    state,
)
from tests.mlflow_runs import IN_PROCESS, LogRun, MakeExperiment
from tests.stores import Store, alive

# one server and one cluster for all of them
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]
N_WORKERS = 2


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the scheduler of two workers, of one thread each."""
    folder = tmp_path_factory.mktemp("dask")
    with dask_scheduler(folder / "scheduler") as (address, _), ExitStack() as workers:
        started = [
            threading.Thread(
                target=lambda number=number: workers.enter_context(
                    dask_worker(folder / f"worker{number}", address)
                )
            )
            for number in range(N_WORKERS)
        ]
        for thread in started:
            thread.start()
        for thread in started:
            thread.join()
        yield address


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_cluster_leaves_what_threads_leave(
    store: Store, experiment: Experiment, log_run: LogRun, cluster: str, tmp_path: Path
) -> None:
    names = fill(store, experiment, log_run)
    expected = results(names, carried_out(store, experiment, jobs=1))
    left = state(store, names)
    faulty = Faulty(folder=str(tmp_path))
    outcomes = carried_out(store, experiment, options=faulty, engine="dask", scheduler=cluster)
    assert results(names, outcomes) == expected
    assert state(store, names) == left
    pids = {pid for name in names.values() for pid in faulty.tries(name)}
    assert len(pids) == N_WORKERS
    assert os.getpid() not in pids
    with joblib.parallel_config(backend="dask", scheduler_host=cluster):
        outcomes = carried_out(store, experiment, engine="joblib")
    assert results(names, outcomes) == expected
    assert state(store, names) == left


@IN_PROCESS
def test_a_stop_drains_the_cluster(
    store: Store, experiment: Experiment, log_run: LogRun, cluster: str, tmp_path: Path
) -> None:
    names = fill(store, experiment, log_run, {N_RUNS - 1: "meets"})
    stop = threading.Event()
    with meeting(tmp_path, lambda pid: stop.set()) as faulty:
        outcomes = carried_out(
            store,
            experiment,
            options=faulty,
            engine="dask",
            scheduler=cluster,
            jobs=1,
            stop=stop,
        )
    # one chunk at a time, as `jobs` says, and no other begun
    told = by_name(names, outcomes)
    assert len(told) == 4
    assert told["meets"] == "scored"


@IN_PROCESS
def test_a_worker_killed_in_mid_job_costs_no_run(
    store: Store, experiment: Experiment, log_run: LogRun, cluster: str, tmp_path: Path
) -> None:
    names = fill(store, experiment, log_run, {N_RUNS - 3: "meets"})
    killed: list[int] = []

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    with meeting(tmp_path, kill) as faulty:
        outcomes = carried_out(store, experiment, options=faulty, engine="dask", scheduler=cluster)
    assert not alive(killed[0])
    assert Counter(each.outcome for each in outcomes) == {"scored": N_RUNS - 1, "skipped": 1}
    first, second = faulty.tries("meets")
    assert (first, alive(second)) == (killed[0], True)
    # two runs of its chunk were already written, and are written again as they were
    assert [len(faulty.tries(names[run])) for run in list(names)[-2:]] == [2, 2]
    scored = [each.ref.run_id for each in outcomes if each.outcome == "scored"]
    assert {n_marks(store, run) for run in scored} == {1}
    disturbed = state(store, names)
    carried_out(store, experiment, jobs=1)
    assert disturbed == state(store, names)


@IN_PROCESS
def test_what_a_cluster_can_lose(
    store: Store,
    make_experiment: MakeExperiment,
    log_run: LogRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pools, "CONNECT_SECONDS", 1.0)
    monkeypatch.setattr(pools, "WORKER_SECONDS", 1.0)
    killing, other = make_experiment(store), make_experiment(store)
    names = fill(store, killing, log_run, {12: "kills"})
    fill(store, other, log_run, {12: "meets"})
    with ExitStack() as processes:

        def start_worker(name: str) -> None:
            processes.enter_context(dask_worker(tmp_path / name, scheduler))

        # a worker's death is enough for dask to give up what it had
        none = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        scheduler, pid = processes.enter_context(dask_scheduler(tmp_path / "scheduler", **none))
        way = {"engine": "dask", "scheduler": scheduler}
        with pytest.raises(TransientTrackerError, match="has no workers") as caught:
            carried_out(store, killing, **way)
        assert f"dask worker {scheduler}" in caught.value.fix

        for name in ("first", "second", "third"):
            start_worker(name)
        faulty = Faulty(folder=str(tmp_path))
        told = by_name(names, carried_out(store, killing, options=faulty, **way))
        # in its chunk and alone; all others are scored by the worker that is left
        assert len(faulty.tries("kills")) == 2
        assert told.pop("kills") == "failed"
        assert Counter(told.values()) == {"scored": N_RUNS - 2, "skipped": 1}

        with (
            meeting(tmp_path, lambda worker: os.kill(worker, signal.SIGKILL)) as faulty,
            pytest.raises(TransientTrackerError, match="no worker is left") as caught,
        ):
            carried_out(store, other, options=faulty, **way)
        assert f"dask worker {scheduler}" in caught.value.fix

        start_worker("fourth")
        (tmp_path / "meets").unlink()
        with (
            meeting(tmp_path, lambda _: os.kill(pid, signal.SIGKILL)) as faulty,
            pytest.raises(TransientTrackerError, match="scheduler") as caught,
        ):
            carried_out(store, other, options=faulty, **way)
        assert "start it" in caught.value.fix
