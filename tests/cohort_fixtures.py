"""Fixtures: runs of one cohort and odd ones in a SQLite store, and a command line at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from tests.cohort_runs import HOSTILE, Dqi, odd_losses, values
from tests.mlflow_runs import insert_series
from tests.stores import Store


@pytest.fixture
def alike(fresh_sqlite: Store) -> list[str]:
    """Give ten runs that are alike, of a model with a hostile name."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    experiment = client.create_experiment("e", artifact_location=fresh_sqlite.artifact_root)
    runs = [insert_series(fresh_sqlite, experiment, values(seed)) for seed in range(10)]
    for run in runs:
        client.log_param(run, "model", HOSTILE)
    return runs


@pytest.fixture
def odd(fresh_sqlite: Store, alike: list[str]) -> dict[str, str]:
    """Give a run for each fault, by the check that has to find it; of no model."""
    del alike
    return {name: insert_series(fresh_sqlite, "1", loss) for name, loss in odd_losses().items()}


@pytest.fixture
def dqi(
    fresh_sqlite: Store, alike: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Dqi:  # fmt: skip
    """Give a command line that works on the store, in the test's folder."""
    del alike
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*arguments, "--tracking-uri", fresh_sqlite.uri])
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        return code, " ".join(out.split()), " ".join(err.split())

    return run
