"""`dqi backfill --status` and `--reprocess failed` as a person meets them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from mlflow import MlflowClient

from dqi_tracking.backfill import backfill
from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.backfill.recording import Recording
from dqi_tracking.backfill.scope import scope_of
from dqi_tracking.cli import main
from dqi_tracking.config import load_settings
from dqi_tracking.errors import WriteRejected
from dqi_tracking.types import RunRef
from tests.mlflow_runs import LogRun
from tests.recorder import Recorder, curve
from tests.stores import Store, free_port

HOSTILE = "\x1b[31mred\x1b]0;title\x07\nnext [bold]x[/] =1+1 \u202egpj \udcff"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"

Dqi = Callable[..., tuple[int, str, str]]


@pytest.fixture
def dqi(capsys: pytest.CaptureFixture[str]) -> Dqi:
    """Give a function that runs a command line: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        return (main(list(arguments)), *capsys.readouterr())

    return run


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Give five runs, two of which take no score, in the tracker that every address opens."""
    tracker = Recorder()
    for number in range(5):
        tracker.add(f"run-number-{number}", name=HOSTILE, started=number, loss=curve(number))

    def refuse(ref: RunRef) -> None:
        if ref.run_id[-1] in "13":
            raise WriteRejected(f"{ref.run_id} of {HOSTILE} is full", fix="free space")

    tracker.before_write = refuse
    monkeypatch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
    return tracker


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_where_nothing_is_known_that_is_said_and_is_no_failure(
    dqi: Dqi, form: tuple[str, ...], hermetic: Path
) -> None:
    for address in ("mlflow:e", "wandb:e/p", "runs:/1f", "nothing at all"):
        code, out, err = dqi("backfill", address, "--status", *form)
        assert code == 0
        assert f"nothing is known here of `{address}`" in (err if form else out)
        assert bool(err) == bool(form)
        assert rows_of(out) == [] if form == ("--json",) else True
    assert not (hermetic / "state").exists()


def test_status_shows_passes_and_failures_in_every_form(dqi: Dqi, tracker: Recorder) -> None:
    for _ in range(2):
        assert dqi("backfill", "memory:")[0] == 1
    code, out, err = dqi("backfill", "memory:", "--status")
    assert (code, err) == (0, "")
    assert re.search(r"started +state +took +found +scored +unchanged +skipped +failed +left", out)
    lines = [line.split() for line in out.splitlines() if re.match(rf" {TIME}", line)]
    assert [(line[1], *line[4:10]) for line in lines] == [
        ("done", "5", "0", "3", "0", "2", "0"),
        ("done", "5", "3", "0", "0", "2", "0"),
    ]
    assert re.search(rf"^ +2 +… of .* is full +2 +{TIME} +run-number-[13] ", out, re.MULTILINE)
    assert "`--reprocess failed`" in out
    assert not CONTROL.search(out)
    out.encode()

    code, out, err = dqi("backfill", "memory:", "--status", "--json")
    last, first, failures = rows_of(out)
    assert (code, err) == (0, "")
    assert (last["kind"], last["state"], last["unchanged"], last["left"]) == ("pass", "done", 3, 0)
    assert (first["scored"], first["failed"], first["found"]) == (3, 2, 5)
    assert first["heartbeat_age"] is None
    assert re.fullmatch(TIME, first["started"])
    assert (failures["kind"], failures["runs"], failures["attempts"]) == ("failures", 2, 2)
    assert failures["run"] in ("run-number-1", "run-number-3")
    assert (failures["fix"], failures["transient"]) == ("free space", False)

    code, out, err = dqi("backfill", "memory:", "--status", "--csv")
    table = list(csv.DictReader(io.StringIO(out, newline="")))
    assert [row["kind"] for row in table] == ["pass", "pass", "failures"]
    assert (table[1]["scored"], table[2]["runs"], table[2]["reason"][:4]) == ("3", "2", "… of")
    assert not CONTROL.search(out.replace("\r\n", "\n"))


def test_a_running_pass_is_shown_with_its_counts_and_its_last_sign(
    dqi: Dqi, tracker: Recorder
) -> None:
    shown: list[str] = []

    def look(ref: RunRef) -> None:
        if tracker.calls.count("write") == 2:
            shown.append(dqi("backfill", "memory:", "--status")[1])
            shown.append(dqi("backfill", "memory:", "--status", "--json")[1])

    tracker.before_write = look
    backfill("memory:")
    assert re.search(rf"{TIME} +running +[\d.]+ s +", shown[0])
    assert re.search(
        rf"^running: pid {os.getpid()}, last sign of life [\d.]+ s ago$", *shown[:1], re.M
    )
    (row,) = rows_of(shown[1])
    assert (row["state"], row["pid"]) == ("running", os.getpid())
    assert 0 <= row["heartbeat_age"] < 60


def test_counts_of_a_running_pass_come_with_its_heartbeat(dqi: Dqi, tracker: Recorder) -> None:
    settings = load_settings()
    recording = Recording(Ledger.of(settings, print), scope_of("memory:", settings), "m:", Event())
    recording.begin()
    (row,) = rows_of(dqi("backfill", "memory:", "--status", "--json")[1])
    assert (row["found"], row["left"], row["scored"]) == (None, None, 0)
    recording.n_found = 1_234
    recording._write()
    (row,) = rows_of(dqi("backfill", "memory:", "--status", "--json")[1])
    assert (row["found"], row["left"]) == (1_234, 1_234)
    assert re.search(r" 1,234 ", dqi("backfill", "memory:", "--status")[1])
    recording.end("done")


DIES = """
import os, sys, threading
from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.backfill.recording import Recording
from dqi_tracking.backfill.scope import scope_of
from dqi_tracking.config import load_settings
settings = load_settings()
Recording(
    Ledger.of(settings, print), scope_of("memory:", settings), "memory:", threading.Event()
).begin()
os.kill(os.getpid(), 9)
"""


def test_a_pass_whose_process_was_killed_shows_as_died(dqi: Dqi, tracker: Recorder) -> None:
    died = subprocess.run([sys.executable, "-c", DIES], timeout=60)
    assert died.returncode == -9
    code, out, _ = dqi("backfill", "memory:", "--status")
    assert code == 0
    assert re.search(rf"{TIME} +died ", out)
    assert re.search(rf"^died: pid \d+ of {TIME}; the next backfill goes on", out, re.MULTILINE)
    (row,) = rows_of(dqi("backfill", "memory:", "--status", "--json")[1])
    assert (row["state"], row["heartbeat_age"]) == ("died", None)
    # and stays so, when the next has taken over
    assert dqi("backfill", "memory:")[0] == 1
    states = [
        row.get("state") for row in rows_of(dqi("backfill", "memory:", "--status", "--json")[1])
    ]
    assert states == ["done", "died", None]


def test_status_of_what_is_covered_leaves_out_the_rest(dqi: Dqi, tracker: Recorder) -> None:
    for address, group in (("mlflow:a", "a"), ("mlflow:b", "b")):
        for number, run in enumerate(tracker.runs.values()):
            run.group, run.stamp = group, None
            run.run_id = f"{group}-run-number-{number}"
        tracker.runs = {run.run_id: run for run in tracker.runs.values()}
        assert dqi("backfill", address)[0] == 1
    for address, passes, failed in (("mlflow:a", 1, 2), ("mlflow:", 2, 4), ("mlflow:c", 0, 0)):
        rows = rows_of(dqi("backfill", address, "--status", "--json")[1])
        assert sum(row["kind"] == "pass" for row in rows) == passes
        assert sum(row.get("runs", 0) for row in rows) == failed
    rows = rows_of(dqi("backfill", "runs:/a-run-number-1", "--status", "--json")[1])
    assert [row["run"] for row in rows if row["kind"] == "failures"] == ["a-run-number-1"]


def test_a_broken_ledger_is_told_and_left_for_the_next_backfill(
    dqi: Dqi, tracker: Recorder, hermetic: Path
) -> None:
    path = hermetic / "state" / "dqi" / "ledger.db"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage" * 999)
    code, out, err = dqi("backfill", "memory:", "--status", "--json")
    assert (code, out) == (0, "")
    assert "cannot be read (file is not a database): nothing is known here" in err
    assert "\nfix: " in err
    code, out, err = dqi("backfill", "memory:", "--json")
    assert [row["outcome"] for row in rows_of(out)].count("scored") == 3
    assert len([line for line in err.splitlines() if line.startswith("note: the ledger")]) == 1
    assert dqi("backfill", "memory:", "--status")[0] == 0


def test_status_asks_no_tracker_and_loads_none() -> None:
    code = (
        "import sys; from dqi_tracking.cli import main;"
        "code = main(['backfill', 'mlflow:e', '--status']);"
        "print(code, *(name for name in ('mlflow', 'wandb', 'pandas') if name in sys.modules))"
    )
    env = {**os.environ, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("0", "")


def test_help_names_what_can_be_reprocessed(dqi: Dqi, tracker: Recorder) -> None:
    out = " ".join(dqi("backfill", "-h")[1].split())
    assert all(word in out for word in ("--status", "missing:", "failed:", "all:"))
    code, _, err = dqi("backfill", "memory:", "--reprocess", "broken")
    assert code == 2
    assert "fix: use one of missing, failed, all" in err


def test_failed_runs_of_a_real_store_are_tried_again_and_no_others(
    dqi: Dqi, fresh_sqlite: Store, log_run: LogRun, tmp_path: Path
) -> None:
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    (walled := tmp_path / "walled").write_text("")
    places = {"good": f"{fresh_sqlite.artifact_root}/good", "bad": (walled / "x").as_uri()}
    ids = {
        name: client.create_experiment(name, artifact_location=place)
        for name, place in places.items()
    }
    runs = {name: log_run(fresh_sqlite, ids[name], metrics={"loss": curve(1)}) for name in ids}

    def dqi_all(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        uri = ("--tracking-uri", fresh_sqlite.uri)
        code, out, _ = dqi("backfill", "mlflow:", *uri, "--json", *arguments)
        return code, rows_of(out)

    code, rows = dqi_all()
    assert (code, {row["run"]: row["outcome"] for row in rows}) == (
        1,
        {runs["good"]: "scored", runs["bad"]: "failed"},
    )
    new = log_run(fresh_sqlite, ids["good"], metrics={"loss": curve(2)})
    assert [row["run"] for row in dqi_all("--reprocess", "failed", "--dry-run")[1]] == [runs["bad"]]
    walled.unlink()
    code, rows = dqi_all("--reprocess", "failed")
    assert (code, [(row["run"], row["outcome"]) for row in rows]) == (0, [(runs["bad"], "scored")])
    assert "dqi.fingerprint" not in client.get_run(new).data.tags
    assert dqi_all("--reprocess", "failed") == (0, [])
    code, out, _ = dqi(
        "backfill", "mlflow:", "--tracking-uri", fresh_sqlite.uri, "--reprocess", "failed"
    )
    assert (code, out.strip()) == (0, "no failed runs are known here")
    assert {row["kind"] for row in dqi_all("--status")[1]} == {"pass"}
