"""Each command on a real store: what it does, what it prints, and in which form."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from dqi_tracking.cli import main
from dqi_tracking.names import METRICS, SCORES
from dqi_tracking.ranking import COLUMNS
from tests.stores import Store, free_port

STEPS = np.arange(60)
GOOD = {"loss": np.exp(-STEPS / 12) + 0.05 * np.sin(STEPS**2)}
OLD = int(datetime(2025, 1, 1, tzinfo=timezone.utc).timestamp() * 1000)
FACTS = {
    "dqi_status",
    "dqi_weakest",
    "dqi_state",
    "dqi_findings",
    "dqi_signal",
    "dqi_phases",
    "dqi_version",
    "dqi_scored_at",
}
NAMES = {"run", "name", "group", "outcome", "reason", "warnings", *METRICS, *FACTS}


class Terminal:
    """Runs command lines on one store, and gives the exit code and both streams."""

    def __init__(self, uri: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.uri, self._capsys = uri, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        return (main([*arguments, "--tracking-uri", self.uri]), *self._capsys.readouterr())

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        code, out, _ = self(*arguments, "--json")
        assert code == 0
        return [json.loads(line) for line in out.splitlines()]

    def names(self, *arguments: str) -> set[str]:
        return {row["name"] for row in self.rows(*arguments)}


@pytest.fixture
def runs(fresh_sqlite: Store, log_run: Callable[..., str]) -> dict[str, str]:
    """Log one run of each kind into the experiment `e`, and give their ids by name."""
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    root = f"{fresh_sqlite.artifact_root}/e"
    experiment = client.create_experiment("e", artifact_location=root)
    kinds: dict[str, dict[str, Any]] = {
        "good": {"metrics": GOOD, "params": {"model": "a"}},
        "noisy": {"metrics": {"loss": GOOD["loss"] + 0.5 * np.cos(STEPS**2)}},
        "nan": {"metrics": {"loss": [(0, 2.0), (1, float("nan")), (2, 1.0)]}},
        "none": {"metrics": {"accuracy": [(0, 0.5)]}},
        "killed": {"metrics": GOOD, "status": "KILLED"},
        "running": {"metrics": GOOD, "status": "RUNNING"},
    }
    ids = {
        name: log_run(fresh_sqlite, experiment, name=name, **kind) for name, kind in kinds.items()
    }
    client.set_terminated(ids["noisy"], end_time=OLD)
    return ids


@pytest.fixture
def dqi(fresh_sqlite: Store, runs: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(fresh_sqlite.uri, capsys)


def tags_of(store: Store, run_id: str) -> dict[str, str]:
    tags = MlflowClient(tracking_uri=store.uri).get_run(run_id).data.tags
    return {name: value for name, value in tags.items() if name.startswith("dqi.")}


def test_score_prints_and_writes_nothing_until_it_is_told_to(
    dqi: Terminal, fresh_sqlite: Store, runs: dict[str, str]
) -> None:
    code, out, err = dqi("score", "mlflow:e")
    assert code == 0
    assert f"note: {runs['nan']}: 1 point not finite" in err.splitlines()
    head, *lines = (line.split() for line in out.splitlines() if line.strip(" ─"))
    assert head[:6] == ["name", "dqi", "early", "mid", "late", "weakest"]
    assert {line[0] for line in lines} == {"good", "noisy", "nan", "none"}
    assert tags_of(fresh_sqlite, runs["good"]) == {}
    written = {row["name"]: row for row in dqi.rows("score", "mlflow:e", "--write")}
    assert written["good"]["outcome"] == "scored"
    assert tags_of(fresh_sqlite, runs["good"])["dqi.status"] == "ok"
    again = {row["name"]: row for row in dqi.rows("score", "mlflow:e", "--write")}
    assert again["good"]["outcome"] == "unchanged"
    assert again["good"]["dqi"] == written["good"]["dqi"]
    # without --write, it is the score of now that is shown
    assert dqi.rows("score", f"runs:/{runs['good']}")[0]["outcome"] == "scored"


def test_json_is_one_object_a_line_under_the_names_of_the_contract(dqi: Terminal) -> None:
    for command in (["score"], ["backfill", "--dry-run"]):
        rows = {row["name"]: row for row in dqi.rows(*command, "mlflow:e")}
        assert set(rows["good"]) == NAMES | {"dqi_seen", "dqi_fingerprint"}
        assert (rows["good"]["group"], rows["good"]["dqi_signal"]) == ("e", "loss")
        assert 0 < rows["good"]["dqi"] < 1
        # no number is null, not NaN, which is no JSON
        assert all(rows["nan"][name] is None for name in SCORES)
        assert (rows["nan"]["outcome"], rows["nan"]["dqi_status"]) == ("scored", "nan")
        assert rows["nan"]["warnings"] == ["1 point not finite"]
        assert rows["none"]["outcome"] == "skipped"
        assert "no loss" in rows["none"]["reason"]


def test_csv_has_a_header_and_a_line_a_run_with_numbers_in_full(dqi: Terminal) -> None:
    for command in (["score"], ["backfill"]):
        _, out, _ = dqi(*command, "mlflow:e", "--csv")
        rows = {row["name"]: row for row in csv.DictReader(io.StringIO(out, newline=""))}
        assert set(next(iter(rows.values()))) == NAMES
        assert set(rows) == {"good", "noisy", "nan", "none"}
        assert (rows["nan"]["dqi"], rows["none"]["dqi"]) == ("", "")
    (row,) = dqi.rows("rank", "mlflow:e", "--top", "1", "--where", "params.model = 'a'")
    assert float(rows["good"]["dqi"]) == row["dqi"]


def test_a_dry_run_says_so_and_writes_nothing(
    dqi: Terminal, fresh_sqlite: Store, runs: dict[str, str]
) -> None:
    code, out, _ = dqi("backfill", "mlflow:e", "--dry-run")
    assert code == 0
    assert "3 of 4 runs would be scored (dry run: nothing was written)" in out
    assert all(tags_of(fresh_sqlite, run_id) == {} for run_id in runs.values())


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_a_second_backfill_says_that_nothing_is_left(dqi: Terminal, jobs: str) -> None:
    code, out, err = dqi("backfill", "mlflow:e", "--jobs", jobs)
    assert (code, err) == (0, "")
    assert re.search(r"scored +2 *\n", out)
    assert re.search(r"scored +status nan +1 *\n", out)
    assert re.search(r"skipped +no loss .+ 1 *\n", out)
    assert re.search(r"^3 of 4 runs scored in [\d.]+ s$", out, re.MULTILINE)
    code, out, err = dqi("backfill", "mlflow:e", "--jobs", jobs)
    assert (code, err) == (0, "")
    assert re.search(r"unchanged +3 *\n", out)
    assert "nothing left to do: 4 runs" in out
    assert len(dqi.rows("backfill", "mlflow:e", "--reprocess", "all")) == 4


def test_the_options_narrow_and_widen_what_is_found(dqi: Terminal, runs: dict[str, str]) -> None:
    finished = {"good", "noisy", "nan", "none"}
    for command in (["score"], ["backfill", "--dry-run"]):
        found = [*command, "mlflow:e"]
        assert dqi.names(*found) == finished
        assert dqi.names(*found, "--include-failed") == finished | {"killed"}
        assert dqi.names(*found, "--include-running") == finished | {"running"}
        assert dqi.names(*found, "--limit", "2") == {"nan", "none"}
        assert dqi.names(*found, "--where", "params.model = 'a'") == {"good"}
        assert dqi.names(*command, f"runs:/{runs['running']}") == {"running"}
    dry = ["backfill", "--dry-run", "mlflow:e", "--since"]
    assert dqi.names(*dry, "7d") == dqi.names(*dry, "2025-06-01") == finished - {"noisy"}
    assert dqi.names(*dry, "2024-12-31T23:00:00+01:00") == finished
    assert dqi.names(*dry, "2025-01-01T00:00:01") == finished - {"noisy"}


def test_one_failed_run_is_told_and_the_others_are_scored(
    dqi: Terminal, fresh_sqlite: Store, runs: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "fresh_sqlite" / "artifacts" / "e" / runs["good"]
    folder.mkdir(parents=True)
    (folder / "artifacts").write_text("a file where the folder should be")
    code, out, err = dqi("backfill", "mlflow:e")
    assert code == 1
    assert re.search(r"failed +could not write the score: ", out)
    assert err.startswith(f"error: {runs['good']} (good): could not write the score: ")
    assert err.splitlines()[1].startswith("fix: ")
    assert tags_of(fresh_sqlite, runs["good"]) == {}
    assert "dqi.fingerprint" in tags_of(fresh_sqlite, runs["noisy"])
    assert dqi("backfill", "mlflow:e", "--no-artifact")[0] == 0
    assert "dqi.fingerprint" in tags_of(fresh_sqlite, runs["good"])


@pytest.mark.parametrize("option", ["--no-artifact", "--no-files"])
@pytest.mark.parametrize("command", [["backfill"], ["score", "--write"]], ids=["backfill", "score"])
def test_files_can_be_left_out(
    dqi: Terminal, fresh_sqlite: Store, runs: dict[str, str], command: list[str], option: str
) -> None:
    assert dqi(*command, "mlflow:e", option, "--max-requests-per-minute", "60")[0] == 0
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    assert "dqi.fingerprint" in tags_of(fresh_sqlite, runs["good"])
    assert client.list_artifacts(runs["good"], "dqi") == []


def test_rank_shows_what_is_written_and_where_the_tracker_shows_it(
    dqi: Terminal, runs: dict[str, str]
) -> None:
    code, out, err = dqi("rank", "mlflow:e")
    assert (code, out) == (0, "")
    assert err.startswith("3 runs are not scored: `dqi backfill mlflow:e`\n")
    dqi("backfill", "mlflow:e")
    code, out, err = dqi("rank", "mlflow:e")
    head, *lines = (line.split() for line in out.splitlines() if line.strip(" ─"))
    words = ["weakest", "state", "score", "name", "run"]
    assert head == ["#", "dqi", "early", "mid", "late", *words]
    assert [line[0] for line in lines] == ["1", "2", "3"]
    assert [line[-1] for line in lines if line[-2] == "good"] == [runs["good"]]
    assert lines[2] == ["3", "–", "–", "–", "–", "unknown", "nan", "nan", runs["nan"]]
    assert "all runs" not in err
    assert "/#/experiments/1/runs?viewStateShareKey=dqi\n" in err
    assert "orderByKey=metrics.%60dqi%60" in dqi("rank", "mlflow:e", "--no-view")[2]
    assert "mlflow ui --backend-store-uri" in err
    rows = dqi.rows("rank", "mlflow:e")
    assert [set(row) for row in rows] == [set(COLUMNS)] * 3
    assert rows[0]["dqi"] > rows[1]["dqi"]
    assert rows[2]["dqi"] is None
    lowest = dqi.rows("rank", "mlflow:e", "--sort", "dqi_late", "--ascending", "--top", "1")
    assert lowest[0]["dqi_late"] == min(row["dqi_late"] for row in rows[:2])
    assert dqi.names("rank", "mlflow:e", "--where", "metrics.dqi > 0") == {"good", "noisy"}
    # MLflow opens the view or a filter, not both
    assert "all runs, sorted" in dqi("rank", "mlflow:e", "--where", "metrics.dqi > 0")[2]


def test_show_explains_a_run_and_says_what_stands_on_it(
    dqi: Terminal, runs: dict[str, str]
) -> None:
    address = f"runs:/{runs['good']}"
    code, out, err = dqi("show", address)
    assert (code, err) == (0, "")
    assert out.startswith(f"good  (e, FINISHED, {runs['good']})\n")
    assert "nothing written yet" in out
    assert re.search(r"[\u2801-\u28ff]", out)
    for phase in ("early", "mid", "late"):
        assert re.search(rf"^ ?{phase} +\d\.\d{{4}} ", out, re.MULTILINE)
    assert re.search(r"^weakest: (coverage|variation|structure|density)\. ", out, re.MULTILINE)
    assert f"/runs/{runs['good']}" in out
    dqi("score", address, "--write")
    assert "this score is written" in dqi("show", address)[1]
    assert "other points or options" in dqi("show", address, "--units", "raw")[1]
    assert set(dqi.rows("show", address)[0]) >= NAMES


def test_doctor_says_what_is_there_and_that_the_tracker_answers(
    dqi: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DQI_LOSS_KEY", "loss")
    checks = {row["check"]: row["result"] for row in dqi.rows("doctor")}
    assert checks["mlflow"].startswith("3.")
    assert checks["DQI_LOSS_KEY"] == "loss"
    assert checks["listing"].startswith("answers")
    assert dqi("doctor", "mlflow:nothing")[0] == 3


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]], ids=["table", "json", "csv"])
def test_doctor_tells_no_secret_even_where_the_server_is_down(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, form: list[str]
) -> None:
    uri = f"http://me:hunter2@127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "somebody")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hunter2")
    monkeypatch.setenv("DQI_TRACKING_URI", uri)
    code = main(["doctor", *form])
    out, err = capsys.readouterr()
    assert code == 3
    assert "hunter2" not in out + err
    for shown in ("MLFLOW_TRACKING_PASSWORD", "somebody", "***@127.0.0.1", "does not answer"):
        assert shown in out
