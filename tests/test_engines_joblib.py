"""Joblib's own backends, as ray and spark register them: the same result, a stop, a failure."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import joblib
import pytest
from joblib._parallel_backends import ThreadingBackend

from dqi_tracking.backfill.pools import AHEAD
from dqi_tracking.backfill.worker import PATIENCE
from dqi_tracking.errors import TransientTrackerError
from dqi_tracking.pipeline import ScoringOptions
from dqi_tracking.types import History, RunRef
from tests.conftest import Experiment
from tests.engine_runs import N_RUNS, Faulty, carried_out, fill, results, state
from tests.mlflow_runs import IN_PROCESS, LogRun
from tests.stores import Store


class Waves(ThreadingBackend):
    """A backend that hands nothing back before all is done, as those of ray and spark."""

    supports_return_generator = False


@IN_PROCESS
def test_any_backend_of_joblib_leaves_what_threads_leave(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    names = fill(store, experiment, log_run)
    expected = results(names, carried_out(store, experiment, jobs=1))
    left = state(store, names)
    joblib.register_parallel_backend("waves", Waves)
    for backend, n_jobs in (("sequential", 1), ("threading", 2), ("waves", 2)):
        with joblib.parallel_config(backend=backend, n_jobs=n_jobs):
            outcomes = carried_out(store, experiment, engine="joblib")
        assert results(names, outcomes) == expected
    assert state(store, names) == left


@pytest.mark.parametrize("backend", ["threading", "waves"])
@IN_PROCESS
def test_a_stop_ends_a_backend_of_joblib(
    store: Store, experiment: Experiment, log_run: LogRun, backend: str, tmp_path: Path
) -> None:
    fill(store, experiment, log_run)
    joblib.register_parallel_backend("waves", Waves)
    stop = threading.Event()

    class Stopping(Faulty):
        def score(self, ref: RunRef, history: History, *plan: Any) -> Any:
            stop.set()
            return ScoringOptions.score(self, ref, history, *plan)

    with joblib.parallel_config(backend=backend, n_jobs=1):
        outcomes = carried_out(
            store, experiment, options=Stopping(), engine="joblib", jobs=2, batch=2, stop=stop
        )
    assert 2 <= len(outcomes) <= 2 * AHEAD * 2 < N_RUNS


@pytest.mark.parametrize("backend", ["sequential", "waves"])
@IN_PROCESS
def test_a_tracker_that_is_down_for_the_workers_ends_the_pass(
    store: Store, experiment: Experiment, log_run: LogRun, backend: str, tmp_path: Path
) -> None:
    fill(store, experiment, log_run, dict.fromkeys(range(4, N_RUNS), "busy"))
    joblib.register_parallel_backend("waves", Waves)
    stop = threading.Event()
    faulty = Faulty(folder=str(tmp_path))
    way = {"engine": "joblib", "batch": 6, "stop": stop}
    with (
        joblib.parallel_config(backend=backend, n_jobs=1),
        pytest.raises(TransientTrackerError, match=f"{PATIENCE} runs in a row") as caught,
    ):
        carried_out(store, experiment, options=faulty, **way)
    assert caught.value.fix == "check that it is up"
    assert stop.is_set()
    # each chunk that was begun was left before its end
    n_begun = 1 if backend == "sequential" else AHEAD
    assert len(faulty.tries("busy")) == n_begun * PATIENCE


@IN_PROCESS
def test_a_backend_that_breaks_ends_the_pass_with_its_own_words(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    fill(store, experiment, log_run)

    class Broken(ThreadingBackend):
        def submit(self, func: Any, callback: Any = None) -> Any:
            raise RuntimeError("no executors left at spark://user:secret@host")

    joblib.register_parallel_backend("broken", Broken)
    with (
        joblib.parallel_config(backend="broken", n_jobs=2),
        pytest.raises(TransientTrackerError, match="no executors left at spark://") as caught,
    ):
        carried_out(store, experiment, engine="joblib")
    assert "secret" not in caught.value.message
    assert caught.value.fix
