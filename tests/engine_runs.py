"""What the tests of engines share: runs on which a worker process dies or waits, and clusters."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from dqi_tracking.backfill.executor import execute
from dqi_tracking.config import load_settings
from dqi_tracking.errors import TransientTrackerError
from dqi_tracking.pipeline import ScoringOptions, begin
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import History, Outcome, RunRef, Score
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun, curve, numbers
from tests.stores import Store, free_port, running

ROOT = Path(__file__).parents[1]
SECONDS = 60.0
N_RUNS = 16

State = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Faulty(ScoringOptions):
    """Scores as ever, but for what the name of a run says; workers get it with the pass.

    `kills`: the process ends as by `kill -9`. `kills once`: the first time only. `meets`: the
    process tells the test its id and waits, the first time only. `busy`: fails as when the
    tracker is down. Each scoring leaves the process's id as a line in a file of the run's name.
    """

    folder: str = ""
    port: int = 0

    def score(self, ref: RunRef, history: History, *plan: Any) -> Score:
        with Path(self.folder, ref.name).open("a+") as tries:
            tries.write(f"{os.getpid()}\n")
            tries.flush()
            tries.seek(0)
            is_first = len(tries.readlines()) == 1
        if ref.name == "kills" or (ref.name == "kills once" and is_first):
            os.kill(os.getpid(), signal.SIGKILL)
        if ref.name == "meets" and is_first:
            with socket.create_connection(("127.0.0.1", self.port)) as meeting:
                meeting.sendall(f"{os.getpid()}".encode())
                meeting.recv(1)
        if ref.name == "busy":
            raise TransientTrackerError("connection refused", fix="check that it is up")
        return ScoringOptions.score(self, ref, history, *plan)

    def tries(self, name: str) -> list[int]:
        """Return the ids of the processes that scored a run, by its name."""
        file = Path(self.folder, name)
        return [int(line) for line in file.read_text().split()] if file.exists() else []


@contextmanager
def meeting(folder: Path, act: Callable[[int], object]) -> Iterator[Faulty]:
    """Call `act` with the id of the process that works on the run `meets`, then let it go on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS)

        def meet() -> None:
            process, _ = server.accept()
            with process:
                act(int(process.recv(20)))

        thread = threading.Thread(target=meet)
        thread.start()
        yield Faulty(folder=str(folder), port=server.getsockname()[1])
        thread.join()


def fill(
    store: Store, experiment: Experiment, log_run: LogRun, named: Mapping[int, str] | None = None
) -> dict[str, str]:
    """Log runs of all kinds, and return their names by id; some get names of `Faulty`."""
    special: dict[int, dict[str, Any]] = {
        2: {"grad_norm": curve(40)},
        3: {"loss": [(0, 1.0), (1, float("nan")), (2, 3.0)]},
        5: {"accuracy": curve(9)},
        7: {"loss": [(0, 1.0)]},
    }
    names = {number: f"r{number:02}" for number in range(N_RUNS)} | dict(named or {})
    return {
        log_run(
            store,
            experiment.id,
            name=name,
            metrics=special.get(number, {"loss": curve(30, number)}),
        ): name
        for number, name in names.items()
    }


def carried_out(
    store: Store,
    experiment: Experiment,
    *,
    options: ScoringOptions | None = None,
    batch: int = 4,
    **given: Any,
) -> list[Outcome]:
    """Carry out all runs of an experiment, the scored ones again; return the outcomes."""
    address = f"mlflow:{experiment.name}"
    settings = load_settings(tracking_uri=store.uri)
    tracker = open_tracker(address, settings=settings)
    tracker.batch = batch
    refs = list(tracker.find(Query()))
    current = begin(options or ScoringOptions(), rescore=True)
    given = {"jobs": None, "stop": threading.Event(), **given}
    found = execute(tracker, refs, current, address=address, settings=settings, **given)
    outcomes: list[Outcome] = []
    try:
        outcomes.extend(found)
    finally:
        once = {outcome.ref.run_id for outcome in outcomes}
        assert len(once) == len(outcomes), "a run came twice"
    return outcomes


def by_name(names: Mapping[str, str], outcomes: Collection[Outcome]) -> dict[str, str]:
    """Return each run's outcome as a word, by name."""
    return {names[each.ref.run_id]: each.outcome for each in outcomes}


def state(store: Store, names: Mapping[str, str]) -> State:
    """Return what stands on runs by name, but for the time of scoring."""
    return {names[run]: stood for run, stood in numbers(store, list(names)).items()}


def results(names: Mapping[str, str], outcomes: Collection[Outcome]) -> dict[str, tuple[str, ...]]:
    """Return what was told of each run, by name; as text, in which a NaN equals a NaN."""
    return {
        names[each.ref.run_id]: (each.outcome, each.reason, repr(each.score)) for each in outcomes
    }


def n_marks(store: Store, run_id: str) -> int:
    """Return how often the score was logged on a run, exact duplicates being one."""
    return len(MlflowClient(tracking_uri=store.uri).get_metric_history(run_id, "dqi"))


@contextmanager
def dask_process(folder: Path, *arguments: str, says: str, **env: str) -> Iterator[int]:
    """Run a part of a dask cluster as a process of its own, until it said that it is ready."""
    folder.mkdir()
    log = folder / "log"
    command = [sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
    variables = {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": os.environ["MPLCONFIGDIR"], **env}

    def ready() -> bool:
        return says in log.read_text()

    with running(command, log=log, folder=folder, ready=ready, env=variables) as pid:
        yield pid


@contextmanager
def dask_scheduler(folder: Path, **env: str) -> Iterator[tuple[str, int]]:
    """Run a scheduler on loopback; give its address and the id of its process."""
    address = f"tcp://127.0.0.1:{free_port()}"
    arguments = ("scheduler", "--host", "127.0.0.1", "--port", address.rpartition(":")[2])
    with dask_process(folder, *arguments, says="Scheduler at:", **env) as pid:
        yield address, pid


@contextmanager
def dask_worker(folder: Path, scheduler: str) -> Iterator[int]:
    """Run a worker without a nanny, so that a dead one stays dead; give the id of its process."""
    arguments = ("worker", scheduler, "--host", "127.0.0.1", "--no-nanny", "--nthreads", "1")
    with dask_process(folder, *arguments, says="Registered to:") as pid:
        yield pid
