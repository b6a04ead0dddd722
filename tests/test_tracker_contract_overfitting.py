"""The validation loss is read from every tracker, and tells overfitting there."""

from __future__ import annotations

import math

import pytest

from dqi_tracking.report.artifact import read_phases
from tests.overfitting_runs import EVERY, STEPS, falling, rising, training
from tests.tracker_harness.base import Harness, Points

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

LOST = [(step, math.nan if step > 100 else value) for step, value in rising()]
# what is logged as the validation loss, and the state that follows
RUNS: dict[str, tuple[Points, str]] = {
    "rises": (rising(), "overfitting"),
    "falls": (falling(), "learning"),
    "nan at the end": (LOST, "learning"),
    "two points": (rising()[:2], "learning"),
    "none": ([], "learning"),
}


def states(harness: Harness) -> dict[str, str]:
    return {ref.name: ref.stamp.facts["state"] for ref in harness.find() if ref.stamp}


def logged(validation: Points) -> dict[str, Points]:
    return {"train/loss": training(), **({"val/loss": validation} if validation else {})}


def test_a_run_overfits_whose_validation_loss_rises_and_no_other(harness: Harness) -> None:
    ids = {name: harness.add(name, logged(points)) for name, (points, _) in RUNS.items()}
    assert harness.backfill()[0].counts == {"scored": len(RUNS)}
    assert states(harness) == {name: state for name, (_, state) in RUNS.items()}
    files = harness.files(ids["rises"])
    told = read_phases(files["phases.json"]).state
    assert told is not None
    assert (told.name, told.validation_key) == ("overfitting", "val/loss")
    assert told.evidence["validation_drop"] < 0 < told.evidence["drop"]
    assert b"Overfitting at the end" in files["phases.html"]
    assert "while the validation loss rose" in files["phases.html"].decode()
    without = read_phases(harness.files(ids["none"])["phases.json"]).state
    assert without is not None
    assert (without.validation_key, without.evidence["validation_drop"]) == (None, None)
    before = harness.writes()
    assert harness.backfill()[0].counts == {"unchanged": len(RUNS)}
    assert harness.writes() == before


def test_the_validation_loss_is_read_exactly_on_steps_of_its_own(harness: Harness) -> None:
    history = harness.history(harness.add("run", logged(rising())))
    assert history.validation is not None
    assert history.validation.loss_key == "val/loss"
    found = zip(history.validation.step, history.validation.loss, strict=True)
    assert list(found) == rising()
    assert list(zip(history.step, history.loss, strict=True)) == training()


def test_later_points_of_the_validation_loss_are_scored(harness: Harness) -> None:
    half = STEPS // 2
    grown = harness.add("grown", logged(rising()[: half // EVERY]))
    harness.add("same", logged(rising()))
    harness.backfill()
    assert states(harness) == {"grown": "learning", "same": "overfitting"}
    harness.extend(grown, "val/loss", rising()[half // EVERY :])
    _, outcomes = harness.backfill()
    assert {each.ref.name: each.outcome for each in outcomes.values()} == {
        "grown": "scored",
        "same": "unchanged",
    }
    assert states(harness)["grown"] == "overfitting"
    assert harness.backfill()[0].counts == {"unchanged": 2}


def test_text_in_the_validation_loss_keeps_no_run_from_its_score(harness: Harness) -> None:
    harness.needs("text")
    harness.add("run", {"loss": training(), "val_loss": [*rising()[:9], (STEPS, "diverged")]})
    assert harness.backfill()[0].counts == {"scored": 1}
    assert states(harness) == {"run": "learning"}
    before = harness.writes()
    assert harness.backfill()[0].counts == {"unchanged": 1}
    assert harness.writes() == before


def test_a_run_without_a_validation_loss_costs_nothing_more(
    harness: Harness, request: pytest.FixtureRequest
) -> None:
    if "memory" in request.node.name:
        pytest.skip("it counts runs, not series")
    metrics = {"loss": training(), "grad_norm": training(), "accuracy": falling()}
    harness.add("without", metrics)
    harness.add("with", {**metrics, "val_loss": falling()})
    with_it, without_it = ({name: requests(harness, name, **given) for name in ("without", "with")}
                           for given in ({}, {"validation_aliases": ()}))  # fmt: skip
    assert with_it["without"] == without_it["without"] == without_it["with"]
    # one series more, as dear as the loss or the gradient norm
    assert with_it["with"] * 2 == without_it["with"] * 3


def requests(harness: Harness, name: str, **given: object) -> int:
    refs = [ref for ref in harness.find(**given) if ref.name == name]
    before = harness.n_histories()
    (reading,) = harness.read(refs, **given)
    assert (reading.found().validation is None) == (name == "without" or bool(given))
    return harness.n_histories() - before
