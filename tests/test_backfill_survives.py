"""What a backfill goes through and comes out of: kill -9, a database that goes away, a lock."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from mlflow import MlflowClient

from dqi_tracking import Outcome, TransientTrackerError, backfill
from dqi_tracking.config import load_settings
from tests.conftest import Experiment
from tests.mlflow_runs import curve, insert_series, numbers, one_pass
from tests.stores import Store, postgres_database, postgres_server

DQI = [sys.executable, "-m", "dqi_tracking"]
SECONDS = 120.0


@pytest.fixture
def experiment(fresh_sqlite: Store) -> Experiment:
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    root = f"{fresh_sqlite.artifact_root}/e"
    return Experiment("e", client.create_experiment("e", artifact_location=root))


def path_of(store: Store) -> Path:
    return Path(store.uri.removeprefix("sqlite:///"))


def copy_of(store: Store, folder: Path) -> Store:
    """Copy a store whose runs have no artifacts yet; those will lie in the same folder."""
    folder.mkdir()
    path = shutil.copy(path_of(store), folder / "mlflow.db")
    return Store("copy", f"sqlite:///{path}", store.artifact_root)


@pytest.mark.slow
def test_killed_at_random_points_it_ends_where_an_undisturbed_one_does(
    fresh_sqlite: Store, experiment: Experiment, tmp_path: Path
) -> None:
    runs = [insert_series(fresh_sqlite, experiment.id, curve(seed=n)) for n in range(200)]
    undisturbed = copy_of(fresh_sqlite, tmp_path / "undisturbed")
    command = [*DQI, "backfill", "mlflow:e", "--json", "--tracking-uri", fresh_sqlite.uri]
    chance = random.Random(20261122)
    left = [chance.randint(1, 60) for _ in range(6)]
    for outcomes in left:
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, text=True) as process:
            assert process.stdout is not None
            for _ in range(outcomes):
                process.stdout.readline()
            # it goes on writing while the line is read: the kill comes anywhere in a later run
            process.kill()
    whole = subprocess.run(command, capture_output=True, cwd=tmp_path, text=True, timeout=SECONDS)
    assert whole.returncode == 0, whole.stderr

    one_pass(undisturbed, experiment)
    assert numbers(fresh_sqlite, runs) == numbers(undisturbed, runs)
    report, _ = one_pass(fresh_sqlite, experiment)
    assert report.counts == {"unchanged": 200}
    report, _ = one_pass(fresh_sqlite, experiment, verify=True)
    assert report.counts == {"unchanged": 200}


@pytest.mark.slow  # MLflow waits for 20 seconds
def test_a_database_that_another_writer_holds_for_too_long(
    fresh_sqlite: Store, experiment: Experiment
) -> None:
    run = insert_series(fresh_sqlite, experiment.id, curve())
    with closing(sqlite3.connect(path_of(fresh_sqlite), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        report, outcomes = one_pass(fresh_sqlite, experiment)
        writer.execute("ROLLBACK")
    assert report.counts == {"failed": 1}
    assert outcomes[run].transient
    assert "database is locked" in outcomes[run].reason
    assert outcomes[run].fix
    assert one_pass(fresh_sqlite, experiment)[0].counts == {"scored": 1}


@pytest.mark.slow
@pytest.mark.xdist_group("postgres")
def test_a_database_server_that_is_restarted_in_the_middle(
    tmp_path: Path, log_run: Callable[..., str]
) -> None:
    folder = tmp_path / "postgres"
    with ExitStack() as before, ExitStack() as after:
        server = before.enter_context(postgres_server(folder))
        artifacts = (tmp_path / "artifacts").as_uri()
        store = Store("postgres", postgres_database(server), artifacts)
        client = MlflowClient(tracking_uri=store.uri)
        identifier = client.create_experiment("e", artifact_location=f"{artifacts}/e")
        runs = [log_run(store, identifier, metrics={"loss": curve(seed=n)}) for n in range(12)]
        experiment = Experiment("e", identifier)
        done: list[Outcome] = []

        def restart(outcome: Outcome) -> None:
            done.append(outcome)
            if len(done) == 3:
                before.close()
                after.enter_context(postgres_server(folder, port=server.port))

        settings = load_settings(tracking_uri=store.uri)
        # what fails meanwhile may end the pass, or it does not
        with suppress(TransientTrackerError):
            backfill("mlflow:e", settings=settings, on_outcome=restart)
        assert all(outcome.outcome == "scored" or outcome.transient for outcome in done)
        assert [outcome.outcome for outcome in done[:3]] == ["scored"] * 3
        last = one_pass(store, experiment)[0]
        assert last.counts["scored"] + last.counts["unchanged"] == 12
        assert last.counts["unchanged"] >= 3
        assert all(metrics for metrics, _, _ in numbers(store, runs).values())
        assert one_pass(store, experiment)[0].counts == {"unchanged": 12}
