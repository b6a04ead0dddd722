"""Runs checked against a saved population: `population save`, `backfill`, `score`, `show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from dqi_tracking.insight.binning import N_BINS
from tests.cohort_runs import HOSTILE, Dqi, shown, tagged, values
from tests.mlflow_runs import insert_series, written
from tests.stores import Store
from tests.wandb_logs import losses, put, run_of

pytest_plugins = ["tests.cohort_fixtures"]


def test_a_saved_population_finds_it_on_the_runs(
    dqi: Dqi, alike: list[str], odd: dict[str, str], fresh_sqlite: Store, tmp_path: Path
) -> None:
    everybody = [*alike, *odd.values()]

    def marks() -> list[str]:
        return [written(fresh_sqlite, run)["tags"]["fingerprint"] for run in everybody]

    def scored(*population: str) -> str:
        code, out, err = dqi("backfill", "mlflow:e", "--no-view", *population)
        assert code == 0, err
        return out

    scored()
    plain = marks()
    good = ("--where", f"params.model = '{HOSTILE}'")
    code, out, err = dqi("population", "save", "mine.json", "mlflow:e", "--name", "mine", *good)
    assert (code, "curves of 10 of 10 runs that were read" in err) == (0, True)
    assert "e 10 10" in out
    assert "13 of 13 runs scored" in scored("--population", "mine.json")
    assert tagged(fresh_sqlite, alike) == [set()] * 10
    for check, names in zip(odd, tagged(fresh_sqlite, list(odd.values())), strict=True):
        assert check in names
    where = "tags.`dqi.checks` LIKE '%rescaled%'"
    code, out, _ = dqi("rank", "mlflow:e", "--where", where, "--json", "--no-view")
    assert odd["rescaled"] in out
    assert not any(run in out for run in alike)
    # the same file: nothing to do; another one, even by a word: everything
    assert "nothing left to do" in scored("--population", "mine.json")
    mine = tmp_path / "mine.json"
    (tmp_path / "copy.json").write_text(mine.read_text())
    assert "nothing left to do" in scored("--population", "copy.json")
    (tmp_path / "other.json").write_text(mine.read_text().replace('"mine"', '"other"'))
    assert "13 of 13 runs scored" in scored("--population", "other.json")
    found, out = shown(dqi, odd["rescaled"], "--population", "other.json")
    assert "rescaled" in found
    assert "compared with 10 saved runs of cohort `e`" in out
    assert "on the run: this score is written" in out
    # without a file the marks are what they always were
    scored()
    assert marks() == plain
    _, out = shown(dqi, odd["rescaled"], "--population", "other.json")
    assert "on the run: this score is written" in out


def test_score_checks_against_a_population_and_processes_do_as_well(
    dqi: Dqi, alike: list[str], odd: dict[str, str], fresh_sqlite: Store
) -> None:
    dqi("backfill", "mlflow:e", "--no-files", "--no-view")
    dqi("population", "save", "p.json", "mlflow:e", "--where", f"params.model = '{HOSTILE}'")
    code, out, _ = dqi("score", f"runs:/{odd['rescaled']}", "--population", "p.json", "--json")
    assert code == 0
    assert "rescaled" in json.loads(out)["dqi_findings"]
    again = ("backfill", "mlflow:e", "--population", "p.json", "--no-files", "--no-view")
    code, out, err = dqi(*again, "--engine", "processes", "--jobs", "1")
    assert (code, "13 of 13 runs scored" in out) == (0, True), err
    names = dict(zip(odd, tagged(fresh_sqlite, list(odd.values())), strict=True))
    assert all(check in found for check, found in names.items())
    assert tagged(fresh_sqlite, alike) == [set()] * 10


def test_runs_of_a_cohort_without_curves_are_scored_with_a_warning(
    dqi: Dqi, alike: list[str], odd: dict[str, str], fresh_sqlite: Store
) -> None:
    dqi("backfill", "mlflow:e", "--no-view", "--no-files")
    column = ("--cohort", "params.model")
    code, out, _ = dqi("population", "save", "p.json", "mlflow:e", *column)
    assert code == 0
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    other = client.create_experiment("new", artifact_location=fresh_sqlite.artifact_root)
    run = insert_series(fresh_sqlite, other, 3 * values(7))
    # one cohort alone: it is meant for every run
    dqi("backfill", "mlflow:new", "--population", "p.json", "--no-view")
    assert "rescaled" in tagged(fresh_sqlite, [run])[0]
    for n in range(8):
        client.log_param(insert_series(fresh_sqlite, "1", values(60 + n)), "model", "b")
    dqi("backfill", "mlflow:e", "--no-view", "--no-files")
    dqi("population", "save", "p.json", "mlflow:e", *column)
    code, _, err = dqi("backfill", "mlflow:new", "--population", "p.json", "--no-view")
    assert code == 0
    assert "1 run was compared with no cohort" in err
    assert tagged(fresh_sqlite, [run]) == [set()]
    code, out, _ = dqi("score", f"runs:/{run}", "--population", "p.json", "--json")
    (warning,) = json.loads(out)["warnings"]
    assert warning == "compared with no cohort: the population has no curves of `new`"
    code, out, _ = dqi("score", f"runs:/{run}", "--population", "p.json:b", "--json")
    assert "rescaled" in json.loads(out)["dqi_findings"]
    assert len(alike) + len(odd) == 13


@pytest.mark.parametrize("command", ["score", "backfill"])
def test_what_cannot_be_checked_against_is_refused(dqi: Dqi, tmp_path: Path, command: str) -> None:
    dqi("backfill", "mlflow:e", "--no-files", "--no-view")
    code, _, err = dqi("population", "save", "bare.json", "mlflow:e", "--curves", "0")
    assert (code, "that were read" in err) == (0, False)
    dqi("population", "save", "whole.json", "mlflow:e")
    content = json.loads((tmp_path / "whole.json").read_text())
    bins = {**content["curves"]["e"], "runs": [[1.0] * (N_BINS // 2 + 2)] * 9}
    damaged: dict[str, dict[str, Any]] = {
        "newer.json": {"insight_version": "999"},
        "bins.json": {"curves": {"e": bins}},
    }
    for name, change in damaged.items():
        (tmp_path / name).write_text(json.dumps(content | change))
    for name, message, fix in (
        ("bare.json", "holds no curves", "dqi population save"),
        ("reference:wmt", "holds no curves", "dqi population save"),
        ("newer.json", "insight version '999'", "save the population again"),
        ("bins.json", "damaged", "save the population again"),
        ("nowhere.json", "cannot be read", "dqi population save"),
    ):
        code, _, err = dqi(command, "mlflow:e", "--population", name)
        said, _, advice = err.partition(" fix: ")
        assert (code, message in said, fix in advice) == (2, True, True), err
    code, _, err = dqi("population", "save", "few.json", "mlflow:e", "--curves", "7")
    assert (code, "fix: use 8 or more" in err) == (2, True)
    # percentiles need no curves
    code, _, err = dqi("rank", "mlflow:e", "--population", "bare.json", "--no-view")
    assert code == 0, err


def test_offline_runs_are_checked_against_those_of_them_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tmp_path / "runs", str(tmp_path / "p.json")
    kept = {
        f"r{seed}": put(folder, bytes(run_of(losses(values(seed)), run_id=f"r{seed}").content),
                        f"r{seed}")
        for seed in range(10)
    }  # fmt: skip
    assert main(["backfill", str(folder)]) == 0
    whole = kept["r0"].read_bytes()
    kept["r0"].write_bytes(whole[:40])
    assert main(["population", "save", file, str(folder)]) == 0
    assert "curves of 9 of 10 runs that were read\n" in capsys.readouterr().err
    kept["r0"].write_bytes(whole)
    put(folder, bytes(run_of(losses(3 * values(20)), run_id="odd").content), "odd")
    assert main(["backfill", str(folder), "--population", file]) == 0
    capsys.readouterr()
    assert main(["rank", str(folder), "--json"]) == 0
    found = map(json.loads, capsys.readouterr().out.splitlines())
    checks = {row["run"].rpartition("/")[2]: row["dqi_findings"].split(",") for row in found}
    assert "rescaled" in checks.pop("odd")
    assert checks == {run: [""] for run in kept}
