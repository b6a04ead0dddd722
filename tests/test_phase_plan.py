"""Phases by the run's own plan: what a run is scored by, what is told, and when it is done anew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dqi_tracking.cli import main
from dqi_tracking.config import Settings
from dqi_tracking.engine import score
from dqi_tracking.errors import ConfigError, RunNotFound, TransientTrackerError
from dqi_tracking.pipeline import ScoringOptions, begin, process
from dqi_tracking.trackers.base import Query
from dqi_tracking.trackers.memory import MemoryTracker
from dqi_tracking.trackers.series import Series
from dqi_tracking.types import History, Outcome, RunRef
from tests.recorder import curve

SCHEDULE = Settings(phases="schedule")
LOSS = curve(1, 201)
STEPS = np.arange(201)
LOSSES = [value for _, value in LOSS]
EARLY, MID = "dqi.phase.early_end", "dqi.phase.mid_end"
BY_RULE = score(History(STEPS, LOSSES))


def warmup_stable_decay(peak: float = 3e-4, every: int = 1) -> list[tuple[float, float]]:
    """Return a learning rate that warms up to step 20 and decays from step 150."""
    rate = peak * np.minimum(np.minimum(STEPS / 20, 1), (200 - STEPS) / 50)
    return list(zip(STEPS[::every].tolist(), rate[::every].tolist(), strict=True))


class Counted(MemoryTracker):
    """The tracker in memory, which remembers the metrics that were asked for by name."""

    def __init__(self, settings: Settings = SCHEDULE) -> None:
        super().__init__(settings)
        self.asked: list[list[str]] = []
        self.down: Exception | None = None

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        self.asked.append(list(keys))
        if self.down:
            raise self.down
        return super().series(ref, keys)


def one_pass(
    tracker: MemoryTracker, settings: Settings = SCHEDULE, **given: bool
) -> dict[str, Outcome]:
    from dqi_tracking.context.phase_plan import phase_columns

    refs = list(tracker.find(Query(columns=phase_columns(settings.phases))))
    current = begin(ScoringOptions.of(settings), **given)
    return {each.ref.run_id: each for each in process(tracker, refs, current)}


def by_steps(early: float, mid: float) -> float:
    return score(History(STEPS, LOSSES), boundaries=(early, mid)).dqi


@pytest.mark.parametrize("every", [1, 5])
def test_the_phases_follow_the_logged_learning_rate(every: int) -> None:
    tracker = Counted()
    run = tracker.add("r", loss=LOSS, lr=warmup_stable_decay(every=every))
    outcome = one_pass(tracker)["r"]
    assert outcome.score.boundary_steps == (20, 150)
    assert outcome.stamp.metrics["dqi"] == by_steps(20, 150) != BY_RULE.dqi
    told = "from the learning rate `lr`, wsd: warm-up until step 20, the decay starts at 150"
    assert run.stamp.facts["phases"] == told
    assert json.loads(run.files["phases.json"])["phases_from"] == told
    assert told in run.files["phases.html"].decode()
    assert tracker.asked == [["lr"]]


@pytest.mark.parametrize(
    "name",
    [
        "lr", "learning_rate", "train/learning_rate", "lr-AdamW", "lr-AdamW/pg1", "lr-Lion/pg1",
        "optimizer/lr", "learning-rate", "agent/lr",
    ],
)  # fmt: skip
def test_the_learning_rate_is_found_by_the_names_of_frameworks(name: str) -> None:
    tracker = MemoryTracker(SCHEDULE)
    tracker.add("r", loss=LOSS, **{name: warmup_stable_decay(), "val/lr": [(0, 1.0)]})
    outcome = one_pass(tracker)["r"]
    assert outcome.score.boundary_steps == (20, 150)
    assert f"`{name}`" in outcome.stamp.facts["phases"]


def test_annotations_come_before_the_learning_rate_and_are_read_with_the_listing() -> None:
    tracker = Counted()
    steps = {EARLY: "60", MID: "1.2e2"}
    tracker.add("r", loss=LOSS, lr=warmup_stable_decay(), params=steps)
    outcome = one_pass(tracker)["r"]
    assert outcome.stamp.metrics["dqi"] == by_steps(60, 120)
    assert outcome.stamp.facts["phases"] == "annotated: early until step 60, mid until step 120"
    assert tracker.asked == []


def test_two_steps_hold_for_every_run() -> None:
    settings = Settings(phases="40,160")
    tracker = Counted(settings)
    tracker.add("r", loss=LOSS, lr=warmup_stable_decay(), params={EARLY: "60", MID: "120"})
    outcome = one_pass(tracker, settings)["r"]
    assert outcome.stamp.metrics["dqi"] == by_steps(40, 160)
    assert outcome.stamp.facts["phases"] == "given: early until step 40, mid until step 160"
    assert (tracker.asked, outcome.score.warnings) == ([], BY_RULE.warnings)


@pytest.mark.parametrize("steps", ["300,400", "-9,100", "50,900"])
def test_steps_outside_of_the_run_are_warned_of(steps: str) -> None:
    settings = Settings(phases=steps)
    tracker = MemoryTracker(settings)
    tracker.add("r", loss=LOSS)
    (warning, *_) = one_pass(tracker, settings)["r"].score.warnings
    assert "the signal goes from 0 to 200: a phase is empty" in warning


@pytest.mark.parametrize(
    ("rate", "reason"),
    [
        ({}, "no learning rate was logged under a known name"),
        ({"lr": [(0, 0.1), (1, 0.1)]}, "2 steps with a learning rate are too few"),
        ({"lr": [(step, 0.1) for step in range(200)]}, "the learning rate is constant"),
        ({"lr": [(9 * s, v) for s, v in warmup_stable_decay()]}, "the loss was logged from"),
    ],
)
def test_without_a_plan_the_rule_holds_and_the_reason_is_told(
    rate: dict[str, list[tuple[float, float]]], reason: str
) -> None:
    tracker = MemoryTracker(SCHEDULE)
    tracker.add("r", loss=LOSS, **rate)
    outcome = one_pass(tracker)["r"]
    assert outcome.score.dqi == BY_RULE.dqi
    assert outcome.stamp.facts["phases"].startswith("auto, for the schedule gives none: ")
    (warning, *others) = outcome.score.warnings
    assert warning.startswith("phases by the 40 % and 75 % rule, not by the schedule: ")
    assert reason in warning
    assert tuple(others) == BY_RULE.warnings


def test_the_rule_asks_for_nothing_and_is_not_told_on_the_page() -> None:
    tracker = Counted(Settings())
    run = tracker.add("r", loss=LOSS, lr=warmup_stable_decay(), params={EARLY: "x"})
    outcome = one_pass(tracker, Settings())["r"]
    assert outcome.score == BY_RULE
    assert (tracker.asked, run.stamp.facts["phases"]) == ([], "auto")
    assert b"Phases:" not in run.files["phases.html"]


def test_another_plan_is_another_score_and_the_same_plan_none() -> None:
    tracker = Counted()
    run = tracker.add("r", loss=LOSS, lr=warmup_stable_decay())
    assert one_pass(tracker)["r"].outcome == "scored"
    mark = run.stamp.facts["fingerprint"]
    assert one_pass(tracker)["r"].outcome == one_pass(tracker, verify=True)["r"].outcome
    assert len(tracker.asked) == 2
    # annotations are no part of the history
    run.params.update({EARLY: "60", MID: "120"})
    changed = one_pass(tracker)["r"]
    assert (changed.outcome, changed.stamp.metrics["dqi"]) == ("scored", by_steps(60, 120))
    assert run.stamp.facts["fingerprint"] != mark
    run.params.clear()
    assert one_pass(tracker)["r"].outcome == "scored"
    assert run.stamp.facts["fingerprint"] == mark
    assert one_pass(tracker, Settings())["r"].outcome == "scored"
    assert run.stamp.metrics["dqi"] == BY_RULE.dqi


def test_a_learning_rate_that_is_logged_later_is_noticed() -> None:
    tracker = MemoryTracker(SCHEDULE)
    run = tracker.add("r", loss=LOSS)
    assert one_pass(tracker)["r"].score.dqi == BY_RULE.dqi
    run.metrics["lr"] = warmup_stable_decay()
    assert one_pass(tracker)["r"].score.boundary_steps == (20, 150)


@pytest.mark.parametrize(
    "given", [{EARLY: "60"}, {EARLY: "60", MID: "sixty"}, {EARLY: "60", MID: "50"}, {MID: ""}]
)
def test_annotations_that_cannot_be_meant_fail_their_run_alone(given: dict[str, str]) -> None:
    tracker = MemoryTracker(SCHEDULE)
    tracker.add("bad", loss=LOSS, lr=warmup_stable_decay(), params=given)
    tracker.add("good", loss=LOSS, lr=warmup_stable_decay())
    found = one_pass(tracker)
    assert (found["bad"].outcome, found["good"].outcome) == ("failed", "scored")
    assert found["bad"].fix
    assert tracker.runs["bad"].stamp is None


@pytest.mark.parametrize("error", [TransientTrackerError, RunNotFound])
def test_a_tracker_that_does_not_answer_is_a_failure_and_no_other_score(error: type) -> None:
    tracker = Counted()
    run = tracker.add("r", loss=LOSS, lr=warmup_stable_decay())
    tracker.down = error("not now", fix="later", run="r")
    outcome = one_pass(tracker)["r"]
    assert (outcome.outcome, outcome.reason) == ("failed", "not now")
    assert outcome.transient is (error is TransientTrackerError)
    assert run.stamp is None


def test_the_plan_lies_over_the_metric_that_gives_the_steps() -> None:
    settings = Settings(phases="schedule", step_key="tokens")
    tracker = MemoryTracker(settings)
    tokens = [(step, 1000.0 * step) for step, _ in LOSS]
    tracker.add("r", loss=LOSS, lr=warmup_stable_decay(), tokens=tokens)
    tracker.add("apart", loss=LOSS, lr=warmup_stable_decay()[150:], tokens=tokens[:150])
    found = one_pass(tracker, settings)
    assert found["r"].score.boundary_steps == (20_000, 150_000)
    assert "0 steps with a learning rate are too few" in found["apart"].score.warnings[0]


def test_a_name_from_the_tracker_is_data_on_page_and_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = "<b>\x1b[31m/lr"
    tracker = MemoryTracker(SCHEDULE)
    run = tracker.add("r", loss=LOSS, **{name: warmup_stable_decay()})
    one_pass(tracker)
    assert b"learning rate `&lt;b&gt;" in run.files["phases.html"]
    rows = zip(STEPS, LOSSES, (rate for _, rate in warmup_stable_decay()), strict=True)
    path = tmp_path / "run.csv"
    path.write_text(f'step,loss,"{name}"\n' + "".join(f"{s},{y},{lr}\n" for s, y, lr in rows))
    assert main(["show", str(path), "--phases", "schedule"]) == 0
    out = capsys.readouterr().out
    assert "phases: from the learning rate `<b>" in out
    assert "wsd: warm-up until step 20" in out.replace("\n  ", " ")
    assert "\x1b[31m/lr" not in out


@pytest.mark.parametrize("phases", ["", "rule", "40", "40,x", "90,40", "40,50,60", "nan,5"])
def test_what_is_no_plan_is_refused_before_anything_is_read(phases: str) -> None:
    with pytest.raises(ConfigError) as raised:
        ScoringOptions.of(Settings(phases=phases))
    assert raised.value.fix


def test_the_digest_tells_plans_apart() -> None:
    plans = ("auto", "schedule", "40,160", "40,161")
    assert len({ScoringOptions(phases=phases).digest for phases in plans}) == len(plans)
