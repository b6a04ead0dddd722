"""Phases by the run's own plan come from every tracker, and are written there."""

from __future__ import annotations

import json

import pytest

from dqi_tracking import backfill
from dqi_tracking.report.artifact import read_phases
from tests.test_phase_plan import EARLY, LOSS, MID, warmup_stable_decay
from tests.tracker_harness.base import Harness

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

TOLD = "from the learning rate `train/lr`, wsd: warm-up until step 20, the decay starts at 150"


def one_pass(harness: Harness) -> dict[str, str]:
    outcomes = {}

    def note(outcome: object) -> None:
        outcomes[outcome.ref.name] = outcome.outcome

    settings = harness.settings(phases="schedule")
    backfill(harness.address, settings=settings, on_outcome=note)
    return outcomes


def test_a_backfill_scores_by_learning_rate_and_annotations(harness: Harness) -> None:
    rate = warmup_stable_decay()
    runs = {
        "by rate": harness.add("by rate", {"loss": LOSS, "train/lr": rate}),
        "by hand": harness.add(
            "by hand", {"loss": LOSS, "train/lr": rate}, params={EARLY: "60", MID: "120"}
        ),
        "by rule": harness.add("by rule", {"loss": LOSS}),
    }
    assert one_pass(harness) == dict.fromkeys(runs, "scored")
    told = {name: harness.ref(run).stamp for name, run in runs.items()}
    assert told["by rate"].facts["phases"] == TOLD
    assert told["by hand"].facts["phases"] == "annotated: early until step 60, mid until step 120"
    assert told["by rule"].facts["phases"].startswith("auto, for the schedule gives none: ")
    steps = {
        name: (each.metrics["dqi_boundary_early_mid"], each.metrics["dqi_boundary_mid_late"])
        for name, each in told.items()
    }
    assert (steps["by rate"], steps["by hand"]) == ((20, 150), (60, 120))
    written = read_phases(harness.files(runs["by rate"])["phases.json"])
    assert written.phases_from == TOLD
    assert "Warnings" not in harness.files(runs["by hand"])["phases.html"].decode()
    before = harness.writes()
    assert one_pass(harness) == dict.fromkeys(runs, "unchanged")
    assert harness.writes() == before


def test_the_same_phases_are_shown(
    harness: Harness, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    if "mlflow" not in request.node.name:
        pytest.skip("its address is one of several runs; `show` is given one")
    from dqi_tracking.cli import main

    run = harness.add("by rate", {"loss": LOSS, "train/lr": warmup_stable_decay()})
    one_pass(harness)
    capsys.readouterr()
    uri = harness.given["tracking_uri"]
    given = ["show", f"runs:/{run}", "--tracking-uri", uri, "--phases", "schedule"]
    assert main(given) == 0
    out = capsys.readouterr().out.replace("\n  ", " ")
    assert f"phases: {TOLD}" in out
    assert "this score is written" in out
    assert main([*given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dqi_phases"] == TOLD
