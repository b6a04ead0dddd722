"""Where runs stand, on the command line: `dqi rank`, `dqi show`, `dqi population`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from dqi_tracking.insight.saved_population import Population, reference
from dqi_tracking.report.printable import printable
from tests.mlflow_runs import LogRun, curve
from tests.stores import Store

HOSTILE = "g\x1b[2Jpt \x1b]8;;http://x\x07<b>"
Dqi = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each backfill write percentiles."""
    monkeypatch.setenv("DQI_PERCENTILES", "true")


@pytest.fixture
def runs(fresh_sqlite: Store, log_run: LogRun) -> list[str]:
    """Give nine runs of a model with a hostile name, and one of another."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    experiment = client.create_experiment("e", artifact_location=f"{fresh_sqlite.artifact_root}/e")
    return [
        log_run(
            fresh_sqlite,
            experiment,
            name=f"r{n}",
            metrics={
                "loss": curve(40 + 3 * n, seed=n),
                "grad_norm": 1 + abs(curve(40 + 3 * n, seed=n)),
            },
            params={"model": HOSTILE if n else "other", "optim": "adamw_torch"},
        )
        for n in range(10)
    ]


@pytest.fixture
def dqi(
    fresh_sqlite: Store, runs: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Dqi:  # fmt: skip
    """Give a command line that works on the store, in the test's folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*arguments, "--tracking-uri", fresh_sqlite.uri])
        return (code, *capsys.readouterr())

    return run


def rows(dqi: Dqi, *arguments: str) -> list[dict[str, Any]]:
    code, out, _ = dqi(*arguments, "--json")
    assert code == 0
    return [json.loads(line) for line in out.splitlines()]


def test_a_backfill_says_what_it_ranked_and_a_second_one_nothing(dqi: Dqi) -> None:
    code, out, _ = dqi("backfill", "mlflow:e")
    assert code == 0
    assert "percentiles: 10 runs in 1 cohort, written on 10\n" in out
    assert "percentiles" not in dqi("backfill", "mlflow:e")[1]
    _, out, _ = dqi("backfill", "mlflow:e", "--cohort", "params.model")
    assert "percentiles: 9 runs in 1 cohort, written on 10\n" in out
    code, _, err = dqi("backfill", "mlflow:e", "--cohort", "params.modle")
    assert code == 1
    assert "percentiles of 10 runs not written: no scored run has `params.modle`" in err
    assert "fix: " in err


def test_below_eight_runs_the_reason_is_said_once(dqi: Dqi) -> None:
    few = ("backfill", "mlflow:e", "--where", "attributes.run_name LIKE 'r%'", "--limit", "5")
    _, out, _ = dqi(*few)
    reason = "no percentiles: the largest cohort has 5 runs with a score, 8 are needed\n"
    assert out.count(reason) == 1
    assert "percentile" not in dqi(*few)[1]
    _, out, err = dqi("rank", "mlflow:e", "--percentile")
    assert "no percentiles" in err


def test_rank_shows_the_place_and_sorts_by_it(dqi: Dqi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DQI_COHORT", "params.model")
    dqi("backfill", "mlflow:e")
    monkeypatch.delenv("DQI_COHORT")
    code, out, _ = dqi("rank", "mlflow:e", "--percentile", "--sort", "dqi_loss_percentile")
    assert code == 0
    # a name is shown, and does nothing to the terminal
    assert "\x1b" not in out
    assert printable(HOSTILE) in out
    head, *lines = (line for line in out.splitlines() if line.strip(" ─"))
    assert head.split()[:5] == ["#", "dqi", "percentile", "loss_percentile", "grad_percentile"]
    assert [line.split()[3] for line in lines] == [
        *(f"{100 * (9 - place - 0.5) / 9:.0f}" for place in range(9)), "–",
    ]  # fmt: skip
    found = rows(dqi, "rank", "mlflow:e", "--sort", "dqi_percentile")
    assert [row["dqi_cohort"] for row in found] == [HOSTILE] * 9 + [""]
    assert [row["dqi_cohort_size"] for row in found] == [9] * 9 + [None]
    percentiles = [row["dqi_percentile"] for row in found]
    assert percentiles[:9] == sorted(percentiles[:9], reverse=True)
    assert percentiles[9] is None
    _, out, _ = dqi("rank", "mlflow:e", "--csv")
    assert next(csv.DictReader(io.StringIO(out, newline="")))["dqi_cohort_size"] == "9.0"


def test_show_tells_the_place_among_how_many_and_what_it_is_worth(
    dqi: Dqi, runs: list[str]
) -> None:
    def told(*more: str) -> str:
        code, out, _ = dqi("show", f"runs:/{runs[3]}", *more)
        assert code == 0
        return " ".join(out.split())

    assert "percentile" not in told()
    dqi("score", "mlflow:e", "--write")
    assert "among other runs: not written yet" in told()
    dqi("backfill", "mlflow:e")
    text = told()
    assert "of 10 runs of cohort `e` by DQI" in text
    assert "of 10 runs (low is a low loss); weak: rank correlation" in text
    assert "of 10 runs of its optimizer (high: more improvement may come); weak" in text
    (row,) = rows(dqi, "show", f"runs:/{runs[3]}")
    assert (row["dqi_cohort"], row["dqi_cohort_size"]) == ("e", 10)
    # of a score made with other options, the written place is not told
    assert "percentile" not in told("--units", "raw")
    (row,) = rows(dqi, "show", f"runs:/{runs[3]}", "--units", "raw")
    assert (row["dqi_percentile"], row["dqi_cohort"]) == (None, "")


def test_a_population_is_saved_and_other_runs_are_held_against_it(
    dqi: Dqi, runs: list[str], tmp_path: Path
) -> None:
    save = ("population", "save", "mine.json", "mlflow:e", "--cohort", "params.model")
    code, _, err = dqi(*save)
    assert code == 2
    assert "none of 10 runs is scored" in err
    dqi("backfill", "mlflow:e")
    code, out, err = dqi(*save)
    assert code == 0
    assert "\x1b" not in out + err
    assert "only counted: 8 are needed" in out
    assert "population of 10 of 10 runs: mine.json" in err
    population = Population.from_json((tmp_path / "mine.json").read_text())
    assert {name: each.size for name, each in population.cohorts.items()} == {
        HOSTILE: 9,
        "other": 1,
    }
    # against the runs that it is made of, all stand where they do among themselves
    against = ("--population", "mine.json", "--cohort", "params.model")
    found = rows(dqi, "rank", "mlflow:e", *against, "--sort", "dqi_percentile")
    assert [row["dqi_percentile"] for row in found][:9] == pytest.approx(
        [100 * (place + 0.5) / 9 for place in reversed(range(9))]
    )
    assert [row["dqi_percentile"] for row in found][9] is None
    assert {row["dqi_loss_percentile"] for row in found} == {None}
    _, out, _ = dqi("show", f"runs:/{runs[3]}", *against)
    text = " ".join(out.split())
    assert f"of 9 runs of `{printable(HOSTILE)}`" in text
    assert "is its weakest component, at percentile" in text
    assert "\x1b" not in out
    _, out, _ = dqi("show", f"runs:/{runs[0]}", *against)
    assert "no percentile among 1 run of" in " ".join(out.split())
    # a name after the colon chooses one cohort for all
    found = rows(dqi, "rank", "mlflow:e", "--population", f"mine.json:{HOSTILE}")
    assert {row["dqi_cohort"] for row in found} == {HOSTILE}
    assert all(row["dqi_percentile"] is not None for row in found)


def test_the_reference_comes_by_name(dqi: Dqi, runs: list[str]) -> None:
    dqi("backfill", "mlflow:e")
    found = rows(dqi, "rank", "mlflow:e", "--population", "reference:wmt")
    assert {(row["dqi_cohort"], row["dqi_cohort_size"]) for row in found} == {
        ("wmt", reference().cohort("wmt").size)
    }
    _, out, _ = dqi("show", f"runs:/{runs[1]}", "--population", "reference:wmt")
    assert "public runs of 7 workload families" in " ".join(out.split())


@pytest.mark.parametrize("command", ["rank", "show"])
@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("reference:gpt", "no cohort `gpt`", "`wmt`"),
        ("reference", "no cohort `e`", "`wmt`"),
        ("nowhere.json", "cannot be read", "dqi population save"),
        ("nowhere.json:x", "cannot be read", "dqi population save"),
        ("old.json", "engine version '0.0.1'", "save the population again"),
        ("broken.json", "not a population", "save the population again"),
        ("binary.json", "no text", "dqi population save"),
        (".", "cannot be read", "dqi population save"),
        ("", "cannot be read", "dqi population save"),
    ],
)
def test_a_population_that_cannot_be_meant_is_refused(
    dqi: Dqi, runs: list[str], tmp_path: Path, command: str, name: str, message: str, fix: str
) -> None:
    content = json.loads(reference().to_json()) | {"engine_version": "0.0.1"}
    (tmp_path / "old.json").write_text(json.dumps(content))
    (tmp_path / "broken.json").write_text("[1, 2")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    dqi("backfill", "mlflow:e", "--limit", "1")
    address = "mlflow:e" if command == "rank" else f"runs:/{runs[-1]}"
    code, _, err = dqi(command, address, "--population", name)
    first, second, *_ = err.splitlines()
    assert (code, second.startswith("fix: ")) == (2, True)
    assert message in first
    assert fix in second


def test_a_population_goes_only_where_a_file_can(dqi: Dqi, tmp_path: Path) -> None:
    for path in ("nowhere/mine.json", str(tmp_path)):
        code, _, err = dqi("population", "save", path, "mlflow:e")
        assert (code, "fix: " in err) == (2, True)
    code, _, err = dqi("rank", "mlflow:e", "--cohort", "params.model")
    assert (code, "--population" in err) == (2, True)
