"""What an engine refuses, what travels to a worker and back, and joblib's own backends."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.backfill import engines
from dqi_tracking.backfill.engines import check_engine, job_of
from dqi_tracking.backfill.executor import execute
from dqi_tracking.backfill.pools import shared_out
from dqi_tracking.backfill.worker import Job, given_up, run_chunk
from dqi_tracking.config import Settings
from dqi_tracking.engine import score
from dqi_tracking.errors import (
    ConfigError,
    DQIError,
    StoreNotFound,
    TransientTrackerError,
    masked,
)
from dqi_tracking.pipeline import ScoringOptions, begin
from dqi_tracking.stamp import fingerprint_of
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import History, MetricKey, Outcome, RunRef
from tests.conftest import Experiment
from tests.mlflow_runs import IN_PROCESS
from tests.recorder import Recorder, curve
from tests.stamps import stamp_for
from tests.stores import Store, free_port
from tests.strategies import FEW, curves

POSTGRES = "postgresql://127.0.0.1/mlflow"
TEXT = st.text(max_size=8)
KEYS = st.lists(st.builds(MetricKey, st.lists(TEXT, max_size=2).map(tuple)), max_size=2).map(tuple)
REFS = st.builds(
    RunRef,
    run_id=TEXT,
    name=TEXT,
    loss_keys=KEYS,
    grad_norm_keys=KEYS,
    latest=st.dictionaries(TEXT, TEXT, max_size=2),
)


@pytest.mark.parametrize(
    ("engine", "scheduler", "address", "uri", "says"),
    [
        ("spark", None, "mlflow:", POSTGRES, "not known"),
        ("threads", "tcp://127.0.0.1:8786", "mlflow:", POSTGRES, "no scheduler"),
        ("processes", "tcp://127.0.0.1:8786", "mlflow:", POSTGRES, "no scheduler"),
        ("dask", None, "mlflow:", POSTGRES, "no scheduler"),
        ("dask", "127.0.0.1", "mlflow:", POSTGRES, "no host and port"),
        ("dask", "tcp://127.0.0.1:port", "mlflow:", POSTGRES, "no host and port"),
        ("processes", None, "", POSTGRES, "this process alone"),
        ("joblib", None, "memory:", POSTGRES, "this process alone"),
        ("processes", None, "wandb:e/p", POSTGRES, "W&B"),
        ("dask", "tcp://cluster:8786", "mlflow:", "sqlite:////data/mlflow.db", "SQLite"),
        ("dask", "tcp://127.0.0.1:8786", "mlflow:", "sqlite:///mlflow.db", "another file"),
        ("dask", "tcp://127.0.0.1:8786", "runs:/1", "./mlruns", "another file"),
        ("dask", "tcp://127.0.0.1:8786", "runs:/1", "file:mlruns", "another file"),
        ("dask", "tcp://127.0.0.1:8786", "~/wandb", POSTGRES, "another file"),
    ],
)
def test_what_an_engine_cannot_do_is_refused_with_the_way_out(
    engine: str, scheduler: str | None, address: str, uri: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        check_engine(engine, scheduler, address, Settings(tracking_uri=uri))
    assert caught.value.fix


@pytest.mark.parametrize(
    ("engine", "scheduler", "address", "uri"),
    [
        ("threads", None, "", None),
        ("processes", None, "mlflow:", "sqlite:///mlflow.db"),
        ("joblib", None, "mlflow:", POSTGRES),
        ("dask", "tcp://cluster:8786", "mlflow:", POSTGRES),
        ("dask", "tls://cluster:8786", "mlflow:", "https://tracking"),
        ("dask", "tcp://127.0.0.1:8786", "mlflow:", "sqlite:////data/mlflow.db"),
        ("dask", "tcp://cluster:8786", "mlflow:", "file:///shared/mlruns"),
        ("dask", "tcp://cluster:8786", "/shared/wandb", None),
    ],
)
def test_what_an_engine_can_do_is_not_refused(
    engine: str, scheduler: str | None, address: str, uri: str | None
) -> None:
    check_engine(engine, scheduler, address, Settings(tracking_uri=uri))


def test_without_dask_installed_the_fix_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        check_engine("dask", "tcp://127.0.0.1:8786", "mlflow:", Settings(tracking_uri=POSTGRES))
    assert "dqi-tracking[dask]" in caught.value.fix


def test_a_scheduler_that_is_not_there_is_told_at_once() -> None:
    scheduler = f"tcp://127.0.0.1:{free_port()}"
    given: dict[str, Any] = {"settings": Settings(tracking_uri=POSTGRES), "address": "mlflow:"}
    given |= {"engine": "dask", "scheduler": scheduler, "jobs": None, "stop": threading.Event()}
    found = execute(Recorder(), [RunRef("r")], begin(ScoringOptions()), **given)
    with pytest.raises(TransientTrackerError, match=f"{scheduler} is not reached") as caught:
        list(found)
    assert "dask scheduler" in caught.value.fix


@FEW
@given(REFS, curves(min_size=1, max_size=40), st.booleans(), TEXT)
def test_outcomes_travel_whole(ref: RunRef, drawn: Any, failed: bool, reason: str) -> None:
    history = History(*drawn)
    scored = score(history)
    stamp = stamp_for(history, ref, fingerprint_of(history, "0"), 1)
    outcome = Outcome(ref, "scored", stamp=stamp, score=scored)
    outcome = given_up(replace(ref, stamp=stamp), reason, "wait") if failed else outcome
    sent = pickle.dumps(outcome)
    # repr, as NaN equals nothing
    assert repr(pickle.loads(sent)) == repr(outcome)
    assert len(sent) < 8_000


@IN_PROCESS
def test_a_job_travels_whole_and_names_the_store_that_is_open(
    store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    settings = Settings(loss_key="loss")
    tracker = open_tracker("mlflow:", settings=settings)
    job = job_of(tracker, begin(ScoringOptions(loss_key="loss")), "mlflow:", settings)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert job.settings.tracking_uri == store.uri
    assert pickle.loads(pickle.dumps(job)) == job
    assert run_chunk(job, []) == []


@IN_PROCESS
def test_a_worker_that_cannot_open_the_same_says_so_and_writes_nothing(
    store: Store, experiment: Experiment, tmp_path: Path
) -> None:
    job = Job("mlflow:", Settings(tracking_uri=store.uri), begin(ScoringOptions()), store.uri)
    elsewhere = Settings(tracking_uri=f"sqlite:///{tmp_path}/none.db")
    refused = {
        StoreNotFound: (replace(job, settings=elsewhere), "no file"),
        ConfigError: (replace(job, opens="https://elsewhere"), "https://elsewhere here"),
        DQIError: (replace(job, version="0.0.1"), "this pass 0.0.1"),
    }
    for kind, (wrong, says) in refused.items():
        error = run_chunk(replace(wrong, token=says), [RunRef("r")])
        assert isinstance(error, kind)
        assert says in error.message
        assert error.fix


def test_a_worker_to_which_the_tracker_is_down_tells_it_of_the_runs() -> None:
    uri = f"postgresql+psycopg://nobody:secret@127.0.0.1:{free_port()}/mlflow"
    job = Job("mlflow:", Settings(tracking_uri=uri), begin(ScoringOptions()), masked(uri))
    outcomes = run_chunk(job, [RunRef(str(number)) for number in range(9)])
    assert isinstance(outcomes, list)
    # as many as it takes to know
    assert [each.ref.run_id for each in outcomes] == ["0", "1", "2", "3", "4"]
    assert all(each.transient and each.fix for each in outcomes)
    assert "secret" not in repr((job, outcomes))


def test_threads_stay_threads_whatever_joblib_is_told() -> None:
    tracker = Recorder()
    for number in range(20):
        tracker.add(f"r{number}", loss=curve(number))
    refs = list(tracker.find(Query()))
    with joblib.parallel_config(backend="loky", n_jobs=2):
        outcomes = list(
            execute(tracker, refs, begin(ScoringOptions()), jobs=2, stop=threading.Event())
        )
    assert {each.outcome for each in outcomes} == {"scored"}
    assert all(run.stamp for run in tracker.runs.values())


@given(st.integers(0, 200), st.integers(1, 20), st.integers(1, 8))
def test_few_runs_are_shared_out_to_all(n: int, batch: int, jobs: int) -> None:
    refs = [RunRef(str(number)) for number in range(n)]
    chunks = shared_out(refs, batch, jobs)
    assert [ref for chunk in chunks for ref in chunk] == refs
    assert all(1 <= len(chunk) <= batch for chunk in chunks)
    assert len(chunks) >= min(n, 2 * jobs)
