"""`dqi unscore` on a real store: what it does, what it prints, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from tests.mlflow_runs import FILES, LogRun, curve, written
from tests.stores import Store, free_port

STAY = "metrics stay, since MLflow cannot delete them"
Dqi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dqi(fresh_sqlite: Store, capsys: pytest.CaptureFixture[str]) -> Dqi:
    """Give a function that runs a command line on the store: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return (main([*arguments, "--tracking-uri", fresh_sqlite.uri]), *capsys.readouterr())

    return run


@pytest.fixture
def runs(fresh_sqlite: Store, log_run: LogRun) -> list[str]:
    """Log three runs into the experiment `e`, one of them without a loss."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    made = client.create_experiment("e", artifact_location=f"{fresh_sqlite.artifact_root}/e")
    logged = ({"loss": curve(seed=1)}, {"loss": curve(seed=2)}, {"accuracy": curve()})
    return [log_run(fresh_sqlite, made, metrics=metrics) for metrics in logged]


def test_the_command_unscores_says_once_that_metrics_stay_and_finds_nothing_twice(
    dqi: Dqi, fresh_sqlite: Store, runs: list[str]
) -> None:
    dqi("backfill", "mlflow:e")
    code, out, err = dqi("unscore", "mlflow:e", "--dry-run")
    assert (code, err) == (0, "")
    assert "2 of 3 runs would be unscored (dry run: nothing was written)" in out
    assert written(fresh_sqlite, runs[0])["files"] == FILES
    code, out, err = dqi("unscore", "mlflow:e")
    assert (code, err) == (0, "")
    assert re.search(rf"^ unscored +{STAY} +2 *$", out, re.MULTILINE)
    assert re.search(r"^ unchanged +not scored +1 *$", out, re.MULTILINE)
    assert re.search(r"^2 of 3 runs unscored in [\d.]+ s$", out, re.MULTILINE)
    assert out.count("MLflow") == 1
    code, out, err = dqi("unscore", "mlflow:e")
    assert (code, err) == (0, "")
    assert "nothing left to do: 3 runs" in out
    code, out, err = dqi("rank", "mlflow:e")
    assert (code, out) == (0, "")
    assert err.startswith("2 runs are not scored: `dqi backfill mlflow:e`\n")
    assert "2 of 3 runs scored" in dqi("backfill", "mlflow:e")[1]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_each_run_is_a_row_and_the_talk_goes_to_stderr(
    dqi: Dqi, runs: list[str], form: str
) -> None:
    dqi("backfill", "mlflow:e")
    code, out, err = dqi("unscore", "mlflow:e", f"--{form}")
    lines = out.splitlines()
    rows = map(json.loads, lines) if form == "json" else csv.DictReader(io.StringIO(out))
    by_run = {row["run"]: (row["group"], row["outcome"], row["reason"]) for row in rows}
    unscored = ("e", "unscored", STAY)
    without = ("e", "unchanged", "not scored")
    assert by_run == dict(zip(runs, (unscored, unscored, without), strict=True))
    assert code == 0
    assert re.fullmatch(rf"2 runs: {STAY}\n2 of 3 runs unscored in [\d.]+ s\n", err)
    assert dqi("unscore", "mlflow:e", f"--{form}")[2].startswith("nothing left to do: 3 runs")


@pytest.mark.parametrize(
    ("location", "said", "fix"),
    [
        ("ftp://me:secret@127.0.0.1:{port}/e", r"ftp://\*\*\*@127\.\S+ does not answer", "is up"),
        ("mlflow-artifacts:/e", ".*", "use the server's http address, or --no-artifact"),
    ],
    ids=["down", "behind a server"],
)
def test_artifacts_that_are_not_reached_are_told_and_can_be_left_alone(
    dqi: Dqi,
    fresh_sqlite: Store,
    log_run: LogRun,
    monkeypatch: pytest.MonkeyPatch,
    location: str,
    said: str,
    fix: str,
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES", "ftp")
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    made = client.create_experiment("e", artifact_location=location.format(port=free_port()))
    run_id = log_run(fresh_sqlite, made, metrics={"loss": curve()})
    assert dqi("backfill", "mlflow:e", "--no-artifact")[0] == 0
    code, out, err = dqi("unscore", "mlflow:e")
    assert (code, "secret" in out + err) == (1, False)
    assert re.match(rf"error: {run_id} \(run\): could not delete its files: {said}", err)
    assert fix in err.splitlines()[1]
    assert "1 run is not scored" in dqi("rank", "mlflow:e")[2]
    assert dqi("unscore", "mlflow:e", "--no-artifact")[0] == 0
    tags = client.get_run(run_id).data.tags
    assert [name for name in tags if name.startswith("dqi.")] == []


def test_where_nothing_is_it_says_so(dqi: Dqi, fresh_sqlite: Store) -> None:
    MlflowClient(tracking_uri=fresh_sqlite.uri).create_experiment("e")
    assert dqi("unscore", "mlflow:e") == (0, "no runs found\n", "")
    code, out, err = dqi("unscore", "mlflow:nothing")
    assert (code, out, err.splitlines()[1][:5]) == (3, "", "fix: ")
