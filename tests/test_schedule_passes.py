"""`--every` with real passes: a run added between two, a server that is down, signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from mlflow import MlflowClient

from dqi_tracking import Report, backfill
from dqi_tracking.backfill.schedule import repeat
from dqi_tracking.config import Settings, load_settings
from dqi_tracking.errors import TransientTrackerError
from tests.mlflow_runs import curve as mlflow_curve
from tests.recorder import Recorder, curve
from tests.stores import Store

SECONDS = 60.0


class Turns:
    """Passes over an address, on a clock that only the waits between them move."""

    def __init__(self, address: str, settings: Settings | None = None) -> None:
        self.stop = Event()
        self.lines: list[str] = []
        self.reports: list[Report] = []
        self.begun = 0
        self._address = address
        self._settings = settings
        self._seconds = 0.0

    def run(self, n: int, between: Callable[[int], object]) -> int:
        """Do n passes, and call `between` with the number of the one that comes next."""

        def one_pass(stop: Event) -> str:
            self.begun += 1
            if self.begun > 1:
                between(self.begun)
            if self.begun == n:
                self.stop.set()
                # the last pass is to be a whole one
                stop = Event()
            report = backfill(self._address, settings=self._settings, stop=stop)
            self.reports.append(report)
            return f"{report.counts['scored']} of {report.n_found} runs scored"

        return repeat(
            900,
            one_pass,
            self.stop,
            tell=self.lines.append,
            clock=lambda: self._seconds,
            sleep=self._sleep,
        )

    @property
    def told(self) -> list[str]:
        """What the lines say of the passes, without the times."""
        return [line.partition("pass ")[2].partition(";")[0] for line in self.lines]

    def _sleep(self, seconds: float) -> None:
        self._seconds += seconds


def test_a_run_added_between_the_second_and_the_third_pass_is_scored_in_the_third(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracker = Recorder()
    monkeypatch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
    for number in range(5):
        tracker.add(f"r{number}", loss=curve(number))
    turns = Turns("memory:")
    assert turns.run(3, lambda n: n == 3 and tracker.add("new", loss=curve(9))) == 3
    assert turns.told == ["1: 5 of 5 runs scored", "2: 0 of 5 runs scored", "3: 1 of 6 runs scored"]
    assert {run.n_writes for run in tracker.runs.values()} == {1}


def test_a_run_added_to_an_mlflow_store_is_scored_at_the_next_turn(
    fresh_sqlite: Store, log_run: Callable[..., str]
) -> None:
    client = MlflowClient(tracking_uri=fresh_sqlite.uri)
    experiment = client.create_experiment("e", artifact_location=f"{fresh_sqlite.artifact_root}/e")
    runs = [
        log_run(fresh_sqlite, experiment, metrics={"loss": mlflow_curve(seed=seed)})
        for seed in range(3)
    ]

    def add(n: int) -> None:
        if n == 3:
            runs.append(log_run(fresh_sqlite, experiment, metrics={"loss": mlflow_curve(seed=9)}))

    turns = Turns("mlflow:e", load_settings(tracking_uri=fresh_sqlite.uri))
    assert turns.run(4, add) == 4
    scored = [report.counts["scored"] for report in turns.reports]
    assert scored == [3, 0, 1, 0]
    assert turns.told[2] == "3: 1 of 4 runs scored"
    # once each, however many passes there were
    assert [len(client.get_metric_history(run, "dqi")) for run in runs] == [1] * 4


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_server_that_is_down_for_a_pass_ends_that_pass_and_the_next_one_does_the_rest(
    monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    tracker = Recorder()
    monkeypatch.setattr("dqi_tracking.trackers.open_tracker", lambda *_, **__: tracker)
    for number in range(40):
        tracker.add(f"r{number:02}", loss=curve(number))

    def refuse(ref: object) -> None:
        raise TransientTrackerError("connection refused", fix="check that it is up")

    tracker.before_write = refuse

    def up_again(n: int) -> None:
        if n == 3:
            tracker.before_write = lambda ref: None

    turns = Turns("memory:", load_settings(jobs=jobs))
    assert turns.run(3, up_again) == 3
    for n, told in enumerate(turns.told[:2], start=1):
        assert told.startswith(f"{n}: failed: ")
        assert "connection refused (fix: check that it is up)" in told
    assert turns.told[2] == "3: 40 of 40 runs scored"


PROGRAM = """
import sys
from dqi_tracking.backfill.schedule import repeat
from dqi_tracking.cli.exits import stop_on_signals

def one_pass(stop):
    if sys.argv[1] == "working":
        print("working", flush=True)
        while not stop.is_set():
            pass
    return "done"

with stop_on_signals() as stop:
    n = repeat(3_600, one_pass, stop, tell=lambda line: print(line, flush=True))
print("passes", n)
sys.exit(stop.code)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("where", ["waiting", "working"])
def test_a_signal_ends_the_wait_at_once_and_the_pass_after_its_runs(
    tmp_path: Path, number: int, code: int, where: str
) -> None:
    command = [sys.executable, "-c", PROGRAM, where]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            first = process.stdout.readline()
            assert ("next at" in first) == (where == "waiting")
            start = time.monotonic()
            process.send_signal(number)
            # not `communicate`, which does not know of what `readline` read ahead
            rest = process.stdout.read()
            process.wait(SECONDS)
        finally:
            process.kill()
    assert process.returncode == code
    # an hour was asked for
    assert time.monotonic() - start < SECONDS / 4
    last = "stopped between two passes" if where == "waiting" else "pass 1: done"
    assert [line[20:] for line in rest.splitlines()[:-1]] == [last]
    assert rest.splitlines()[-1] == "passes 1"
