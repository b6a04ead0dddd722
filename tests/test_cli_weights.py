"""`dqi weights fit` and `--weights`: what is printed, what is written, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

import dqi_tracking.trackers
from dqi_tracking.cli import main
from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.types import PHASES, Stamp
from tests.conftest import Experiment
from tests.mlflow_runs import LogRun, curve, written
from tests.stores import Store
from tests.test_weights import planted
from tests.tracker_harness.memory import ENTRY, MemoryHarness, SharedMemory

Captured = pytest.CaptureFixture[str]
Fill = Callable[..., None]
FIT = ["weights", "fit", "memory:", "--outcome", "metrics.val_loss"]
GROUP = ["--group", "params.data"]
SUPPORTED = "The data support these weights against the default."


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Give a function that fills the tracker in memory with scored runs of planted weights."""
    monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", ENTRY)
    harness = MemoryHarness()

    def put(weights: tuple[float, float, float] | None, **given: float) -> None:
        scores, outcomes, groups = planted(weights, **{"n_groups": 6, "size": 20, **given})
        for number, row in enumerate(scores.tolist()):
            value = [(0, float(outcomes[number]))]
            run = harness.add(
                f"r{number}",
                {"loss": curve_points(), "val_loss": value},
                params={"data": groups[number]},
            )
            SharedMemory.store[run].stamp = Stamp(
                dict(zip((f"dqi_{phase}" for phase in PHASES), row, strict=True)),
                {"status": "ok", "version": ENGINE_VERSION, "fingerprint": f"0-{number}"},
            )

    return put


def curve_points() -> list[tuple[int, float]]:
    return [(step, value) for step, value in enumerate(curve(12).tolist())]


def test_supported_weights_are_told_and_written(
    fill: Fill, capsys: Captured, tmp_path: Path
) -> None:
    fill((0, 0, 1.0))
    path = tmp_path / "w.json"
    assert main([*FIT, *GROUP, "-o", str(path)]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[:2] == [
        "outcome metrics.val_loss, lower is better, ranked within params.data",
        "120 of 120 runs take part, in 6 groups",
    ]
    rules = [
        line.split()[0]
        for line in lines[3:]
        if line.startswith((" learned", " default", " equal", " group only"))
    ]
    assert rules == ["learned", "default", "equal", "group"]
    assert lines[-1] == SUPPORTED
    assert said.err == f"weights: {path}\n"
    file = json.loads(path.read_text())
    assert file["weights"][2] > 0.85
    assert (file["supported"], file["groups"]) == (True, [f"g{number}" for number in range(6)])


def test_unsupported_weights_are_written_only_by_force(
    fill: Fill, capsys: Captured, tmp_path: Path
) -> None:
    fill(None, noise=1.0)
    path = tmp_path / "w.json"
    assert main([*FIT, *GROUP]) == 0
    assert main([*FIT, *GROUP, "-o", str(path)]) == 1
    said = capsys.readouterr()
    assert "The data do not support other weights than the default: " in said.out
    assert "--force" in said.err
    assert not path.exists()
    assert main([*FIT, *GROUP, "-o", str(path), "--force"]) == 0
    assert json.loads(path.read_text())["supported"] is False


def test_the_direction_is_the_persons(fill: Fill, capsys: Captured) -> None:
    fill((0, 0, 1.0))
    assert main([*FIT, *GROUP, "--higher-is-better", "--json"]) == 0
    turned = json.loads(capsys.readouterr().out)
    assert (turned["lower_is_better"], turned["supported"]) == (False, False)
    assert turned["skills"]["default"]["within"] < 0


def test_json_is_one_object_and_csv_a_row_a_rule(fill: Fill, capsys: Captured) -> None:
    fill((0, 0, 1.0))
    assert main([*FIT, *GROUP, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line, parse_constant=pytest.fail)
    assert (told["fitted"], told["supported"]) == (True, True)
    assert sum(group["runs"] for group in told["groups"]) == told["runs"] == told["listed"] == 120
    assert main([*FIT, *GROUP, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["weights"] for row in rows] == ["learned", "default", "equal", "group only"]
    assert [float(row["within"]) for row in rows] == [
        told["skills"][name]["within"] for name in ("learned", "default", "equal", "group_only")
    ]
    assert [float(rows[0][phase]) for phase in PHASES] == told["weights"]
    assert rows[3]["early"] == ""


def test_one_group_is_said_to_prove_nothing(fill: Fill, capsys: Captured, tmp_path: Path) -> None:
    fill((0, 0, 1.0))
    for form in ([], ["--json"], ["--csv"]):
        assert main([*FIT, *form]) == 0
    table, told = capsys.readouterr().out.split("{", 1)
    assert "120 of 120 runs take part, in 1 group\n" in table
    assert "one group only" in " ".join(table.split())
    assert json.loads("{" + told.splitlines()[0])["skills"]["learned"]["within"] is None
    assert "nan" not in table + told


def test_missing_outcomes_are_counted_and_half_of_them_noted(fill: Fill, capsys: Captured) -> None:
    fill((0, 0, 1.0))
    for run in list(SharedMemory.store.values())[::2]:
        del run.metrics["val_loss"]
    assert main([*FIT, *GROUP]) == 0
    out = capsys.readouterr().out
    assert "left out: 60 without the outcome" in out
    assert "note: half of the scored runs or more have no outcome" in out


@pytest.mark.parametrize("change", ["few", "constant"])
def test_where_nothing_can_be_fitted_there_is_no_file_even_by_force(
    fill: Fill, capsys: Captured, tmp_path: Path, change: str
) -> None:
    fill((0, 0, 1.0), **({"n_groups": 1, "size": 7} if change == "few" else {}))
    for run in SharedMemory.store.values() if change == "constant" else ():
        run.metrics["val_loss"] = [(0, 0.5)]
    path = tmp_path / "w.json"
    assert main([*FIT, *GROUP, "-o", str(path), "--force"]) == 1
    said = capsys.readouterr()
    told = " ".join(said.out.split())
    assert ("it takes 8" if change == "few" else "same on all runs") in told
    assert "no weights to write" in said.err
    assert not path.exists()
    for form in ("--json", "--csv"):
        assert main([*FIT, *GROUP, form]) == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--outcome", "metrics.nothing"], "no run has `metrics.nothing`"),
        (["--outcome", "metrics.val_loss", "--group", "params.nothing"], "no run has"),
        (["--outcome", "metrics.val_loss", "-o", "no/folder/w.json"], "no folder `no/folder`"),
        ([], "--outcome"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    fill: Fill, capsys: Captured, arguments: list[str], error: str
) -> None:
    fill((0, 0, 1.0))
    assert main(["weights", "fit", "memory:", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert error in said.err.splitlines()[0]
    assert said.err.splitlines()[1].startswith("fix: ")


def test_names_from_the_tracker_are_escaped(fill: Fill, capsys: Captured) -> None:
    fill((0, 0, 1.0))
    for run in SharedMemory.store.values():
        run.params["da\x1b[2Jta"] = f"{run.params['data']}\x1b[31m"
    assert main([*FIT, "--group", "params.da\x1b[2Jta"]) == 0
    out = capsys.readouterr().out
    assert "6 groups" in out
    assert "\x1b" not in out


class TestWeightsOption:
    @pytest.fixture
    def file(self, fill: Fill, tmp_path: Path, capsys: Captured) -> Path:
        fill((0, 0, 1.0))
        assert main([*FIT, *GROUP, "-o", str(tmp_path / "w.json")]) == 0
        capsys.readouterr()
        return tmp_path / "w.json"

    @pytest.fixture
    def store(
        self, sqlite: Store, make_experiment: Callable[[Store], Experiment], log_run: LogRun
    ) -> tuple[Store, str, list[str]]:
        experiment = make_experiment(sqlite)
        runs = [
            log_run(sqlite, experiment.id, metrics={"loss": curve(60, seed)}) for seed in range(3)
        ]
        return sqlite, experiment.name, runs

    def test_a_backfill_scores_by_the_file_once(
        self, file: Path, store: tuple[Store, str, list[str]], capsys: Captured
    ) -> None:
        sqlite, experiment, runs = store
        given = ["backfill", f"mlflow:{experiment}", "--tracking-uri", sqlite.uri, "--json"]

        def outcomes(*weights: str) -> list[str]:
            assert main([*given, *weights]) == 0
            return [json.loads(line)["outcome"] for line in capsys.readouterr().out.splitlines()]

        weights = json.loads(file.read_text())["weights"]
        assert outcomes() == ["scored"] * 3
        assert outcomes("--weights", str(file)) == ["scored"] * 3
        for run in runs:
            metrics = written(sqlite, run)["metrics"]
            phases = [metrics[f"dqi_{phase}"] for phase in PHASES]
            assert metrics["dqi"] == pytest.approx(np.dot(phases, weights))
        assert outcomes("--weights", str(file)) == ["unchanged"] * 3
        # the same numbers, but not of this file
        assert outcomes("--weights", ",".join(map(repr, weights))) == ["scored"] * 3
        assert outcomes() == ["scored"] * 3
        assert MlflowClient(tracking_uri=sqlite.uri).get_run(runs[0]).info.status == "FINISHED"

    def test_score_and_show_take_it_too(
        self, file: Path, store: tuple[Store, str, list[str]], capsys: Captured
    ) -> None:
        sqlite, experiment, runs = store
        uri = ["--tracking-uri", sqlite.uri, "--json"]
        for weights in (str(file), "0,0,1"):
            numbers = json.loads(file.read_text())["weights"] if weights == str(file) else [0, 0, 1]
            for command in (["show", f"runs:/{runs[0]}"], ["score", f"mlflow:{experiment}"]):
                assert main([*command, *uri, "--weights", weights]) == 0
                for line in capsys.readouterr().out.splitlines():
                    row = json.loads(line)
                    phases = [row[f"dqi_{phase}"] for phase in PHASES]
                    assert row["dqi"] == pytest.approx(np.dot(phases, numbers))

    def test_weights_that_their_data_do_not_support_are_taken_with_a_warning(
        self, file: Path, store: tuple[Store, str, list[str]], caplog: pytest.LogCaptureFixture
    ) -> None:
        sqlite, _, runs = store
        file.write_text(file.read_text().replace('"supported": true', '"supported": false'))
        given = ["show", f"runs:/{runs[0]}", "--tracking-uri", sqlite.uri, "--json"]
        assert main([*given, "--weights", str(file)]) == 0
        assert "do not support its weights" in caplog.text

    @pytest.mark.parametrize("command", ["score", "backfill", "show"])
    def test_what_is_no_weights_is_refused_before_anything_is_opened(
        self, capsys: Captured, command: str
    ) -> None:
        for weights in ("nothing.json", "1,1,1", "1,0"):
            assert main([command, "mlflow:nowhere", "--weights", weights]) == 2
            said = capsys.readouterr()
            assert said.out == ""
            assert "weights" in said.err.splitlines()[0]
            assert said.err.splitlines()[1].startswith("fix: ")
