"""`backfill(forecast=True)`: what is written on runs that go on, over every tracker."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping

import numpy as np
import pytest

import dqi_tracking.trackers
from dqi_tracking import History, Query, forecast
from dqi_tracking.cli import main
from dqi_tracking.names import FORECAST
from dqi_tracking.stamp import standing_mark
from dqi_tracking.trackers.memory import MemoryRun
from tests.tracker_harness.base import Harness
from tests.tracker_harness.memory import ENTRY, MemoryHarness, SharedMemory

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]


def curve(start: int = 1, stop: int = 80) -> list[tuple[int, float]]:
    return [(at, float(2 + 3 * at**-0.5 + 0.01 * np.sin(at**2))) for at in range(start, stop + 1)]


def expected(points: list[tuple[int, float]], horizon: float) -> list[float]:
    step, loss = zip(*points, strict=True)
    found = forecast(History(step, loss), horizon)
    return [found.loss, found.gain, horizon]


def standing(harness: Harness, run: str) -> list[float]:
    """Return the forecast that stands on a run; NaN for what does not."""
    stamp = harness.ref(run).stamp
    metrics: Mapping[str, float] = stamp.metrics if stamp else {}
    return [metrics.get(name, math.nan) for name in FORECAST]


def test_a_run_that_goes_on_gets_a_forecast_until_it_is_finished(harness: Harness) -> None:
    harness.needs("running")
    plan = {"max_steps": "100"}
    # of what has no scheme of a tracker, as files have none, params are not asked for
    end = 160 if isinstance(harness, MemoryHarness) else 100
    planned = harness.add("planned", {"loss": curve()}, status="RUNNING", params=plan)
    open_ended = harness.add("open", {"loss": curve()}, status="RUNNING")
    done = harness.add("done", {"loss": curve()}, params=plan)
    report, outcomes = harness.backfill(forecast=True)
    assert {outcome.outcome for outcome in outcomes.values()} == {"scored"}
    assert report.n_found == 3
    assert standing(harness, planned) == pytest.approx(expected(curve(), end))
    assert standing(harness, open_ended) == pytest.approx(expected(curve(), 160))
    assert np.isnan(standing(harness, done)).all()
    before = harness.writes()
    _, outcomes = harness.backfill(forecast=True)
    assert {outcome.outcome for outcome in outcomes.values()} == {"unchanged"}
    assert harness.writes() == before
    harness.extend(planned, "loss", curve(81, 95))
    _, outcomes = harness.backfill(forecast=True)
    assert outcomes[planned].outcome == "scored"
    end = 190 if isinstance(harness, MemoryHarness) else 100
    assert standing(harness, planned) == pytest.approx(expected(curve(stop=95), end))


def test_runs_scored_without_one_get_theirs_and_lose_it_when_scored_without(
    harness: Harness,
) -> None:
    harness.needs("running")
    run = harness.add("one", {"loss": curve()}, status="RUNNING")
    harness.backfill(query=Query(include_running=True))
    mark = standing_mark(harness.ref(run))
    assert mark
    assert np.isnan(standing(harness, run)).all()
    _, outcomes = harness.backfill(forecast=True)
    assert outcomes[run].outcome == "scored"
    assert standing(harness, run) == pytest.approx(expected(curve(), 160))
    # it is no other score
    assert standing_mark(harness.ref(run)) == mark
    harness.extend(run, "loss", curve(81, 82))
    harness.backfill(query=Query(include_running=True))
    assert standing_mark(harness.ref(run)) != mark
    assert np.isnan(standing(harness, run)).all()


def test_percentiles_leave_a_forecast_alone(harness: Harness) -> None:
    harness.needs("running")
    run = harness.add("goes on", {"loss": curve()}, status="RUNNING")
    for seed in range(9):
        points = [(at, loss + 0.01 * math.cos(seed * at)) for at, loss in curve()]
        harness.add(f"done {seed}", {"loss": points})
    harness.backfill(forecast=True)
    assert standing(harness, run) == pytest.approx(expected(curve(), 160))
    _, outcomes = harness.backfill(forecast=True)
    assert {outcome.outcome for outcome in outcomes.values()} == {"unchanged"}


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, MemoryRun]:
    monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", ENTRY)
    harness = MemoryHarness()
    flat = [(at, 2.0) for at in range(30)]
    harness.add("short", {"loss": curve(stop=7)}, status="RUNNING")
    harness.add("flat", {"loss": flat}, status="RUNNING")
    harness.add("norm", {"grad_norm": curve()}, status="RUNNING")
    harness.add("killed", {"loss": curve()}, status="KILLED")
    harness.add("done", {"loss": curve()})
    return SharedMemory.store


def test_what_cannot_be_foretold_keeps_its_step_and_is_not_read_again(
    memory: dict[str, MemoryRun], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "memory:", "--forecast"]) == 0
    for name, horizon in {"short": 13, "flat": 58, "norm": 160}.items():
        stamp = memory[f"id-{name}"].stamp
        assert stamp is not None
        values = [stamp.metrics[key] for key in FORECAST]
        assert np.isnan(values[:2]).all()
        assert values[2] == horizon
    assert memory["id-killed"].stamp is None
    n_read = SharedMemory.n_read
    assert main(["backfill", "memory:", "--forecast"]) == 0
    assert SharedMemory.n_read == n_read
    assert "unchanged" in capsys.readouterr().out


def test_a_run_that_was_broken_off_is_unfinished_too(
    memory: dict[str, MemoryRun], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backfill", "memory:", "--forecast", "--include-failed", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    rows = {row["name"]: row for row in lines}
    told = [rows["killed"][name] for name in FORECAST]
    assert told == pytest.approx(expected(curve(), 160))
    assert not any(name in rows["done"] for name in FORECAST)
    again = ["backfill", "memory:", "--forecast", "--include-failed", "--reprocess", "all"]
    assert main([*again, "--csv"]) == 0
    table = {row["name"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert float(table["killed"]["dqi_forecast"]) == pytest.approx(told[0])
    assert table["done"]["dqi_forecast"] == ""
    del memory


def test_without_the_option_nothing_is_foretold(memory: dict[str, MemoryRun]) -> None:
    assert main(["backfill", "memory:", "--include-running", "--include-failed"]) == 0
    for run in memory.values():
        assert run.stamp is not None
        assert not set(FORECAST) & set(run.stamp.metrics)
