"""What is written on a run: its names, its commit mark, and what the listing said."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History, RunRef, Stamp, score
from dqi_tracking.insight.checks import CheckName
from dqi_tracking.names import FACTS, KEY_OF_FACT, METRICS, SCORES
from dqi_tracking.pipeline import ScoringOptions
from dqi_tracking.stamp import fingerprint_of, iso_time, seen, standing_mark
from dqi_tracking.types import MetricKey
from tests.stamps import stamp_for
from tests.strategies import FEW, histories

LOSS = MetricKey(("loss",))
SUM = MetricKey(("a_loss", "b_loss"))
GRAD = MetricKey(("grad_norm",))
REF = RunRef(
    "r1",
    ended=5_000,
    loss_keys=(LOSS, SUM),
    grad_norm_keys=(GRAD,),
    latest={"loss": "0.1@9", "a_loss": "1@9", "b_loss": "2@9", "grad_norm": "3@9"},
)
CURVE = History(np.arange(40), 1 / (1 + np.arange(40)))


def mark(history: History, digest: str = "0" * 8) -> str:
    return fingerprint_of(history, digest)


def test_the_names_are_those_of_the_contract() -> None:
    phases, parts = ("early", "mid", "late"), ("coverage", "variation", "structure", "density")
    expected = {"dqi", "dqi_raw", *(f"dqi_{phase}" for phase in phases)}
    expected |= {f"dqi_{phase}_{part}" for phase in phases for part in parts}
    expected |= {"dqi_boundary_early_mid", "dqi_boundary_mid_late"}
    assert set(SCORES) == expected
    assert len(SCORES) == 19
    stamp = stamp_for(CURVE, REF, "mark", 1_000)
    readings = {"dqi_checks", "dqi_loss_lowest", "dqi_grad_late"}
    assert set(stamp.metrics) == set(METRICS) == expected | readings
    assert set(stamp.facts) == {
        "status",
        "weakest",
        "state",
        "checks",
        "signal",
        "phases",
        "version",
        "seen",
        "fingerprint",
        "scored_at",
    }
    assert all(re.fullmatch(r"[a-z_]+", name) for name in (*stamp.metrics, *stamp.facts))


def test_each_name_holds_its_own_number() -> None:
    scored = score(CURVE)
    metrics = stamp_for(CURVE, REF).metrics
    assert (metrics["dqi"], metrics["dqi_raw"]) == (scored.dqi, scored.dqi_raw)
    for name, phase in scored.phases.items():
        assert metrics[f"dqi_{name}"] == phase.dqi
        for part in ("coverage", "variation", "structure", "density"):
            assert metrics[f"dqi_{name}_{part}"] == getattr(phase, part)
    boundaries = (metrics["dqi_boundary_early_mid"], metrics["dqi_boundary_mid_late"])
    assert boundaries == scored.boundary_steps


def test_facts_say_what_was_scored_and_when_and_the_commit_mark_comes_last() -> None:
    scored = score(CURVE)
    facts = stamp_for(CURVE, REF, "mark", 1_700_000_000_999).facts
    assert list(facts)[-1] == "fingerprint"
    assert facts == {
        "status": "ok",
        "weakest": scored.weakest,
        "state": "plateau",
        "checks": "",
        "signal": "loss",
        "phases": "auto",
        "version": scored.version,
        "seen": seen(REF, "loss"),
        "fingerprint": "mark",
        "scored_at": "2023-11-14T22:13:20.999Z",
    }


@FEW
@given(histories())
def test_any_history_makes_a_whole_stamp(history: History) -> None:
    stamp = stamp_for(history, REF, mark(history), 1)
    assert list(stamp.metrics) == list(METRICS)
    assert all(isinstance(value, float) for value in stamp.metrics.values())
    assert all(isinstance(value, str) for value in stamp.facts.values())
    n_findings = len(stamp.facts["checks"].split(",")) if stamp.facts["checks"] else 0
    assert stamp.metrics["dqi_checks"] == n_findings or stamp.facts["status"] == "no_signal"


def test_readings_hold_what_is_ranked_in_a_cohort() -> None:
    step = np.arange(200)
    twice = History([*step, 199], [*(5 - step / 100), 3.0], grad_norm=[np.e] * 201)
    stamp = stamp_for(twice, REF)
    assert stamp.metrics["dqi_checks"] == 1
    assert stamp.facts["checks"] == "duplicated_steps"
    assert stamp.metrics["dqi_loss_lowest"] == pytest.approx(3.03)
    assert stamp.metrics["dqi_grad_late"] == pytest.approx(1.0)
    assert np.isnan(stamp_for(CURVE, REF).metrics["dqi_grad_late"])
    assert np.isnan(stamp_for(History([]), REF).metrics["dqi_checks"])


def test_all_findings_at_once_fit_into_a_tag() -> None:
    # the shortest value that MLflow has ever taken in a tag
    assert len(",".join(get_args(CheckName))) <= 250


def test_no_fact_has_the_key_of_a_metric() -> None:
    keys = [*METRICS, *(KEY_OF_FACT[fact] for fact in FACTS)]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"dqi[a-z_]*", key) for key in keys)


def test_a_score_that_is_no_number_never_looks_like_one() -> None:
    metrics = stamp_for(History([0, 1, 2], [1, np.nan, 3]), REF).metrics
    assert all(np.isnan(metrics[name]) for name in SCORES)


def test_metrics_are_dated_by_the_pass_and_after_whatever_stands_there() -> None:
    standing = replace(REF, stamp=Stamp({}, {}, timestamp=900))
    assert stamp_for(CURVE, REF, "mark", 1_000).timestamp == 1_000
    assert stamp_for(CURVE, standing, "mark", 1_000).timestamp == 1_000
    # the clock was set back
    assert stamp_for(CURVE, standing, "mark", 100).timestamp == 901
    assert stamp_for(CURVE, standing, "mark", 900).timestamp == 901


def test_times_are_told_in_utc_to_the_second() -> None:
    assert iso_time(0) == "1970-01-01T00:00:00.000Z"
    assert iso_time(1_999) == "1970-01-01T00:00:01.999Z"


@FEW
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.integers(0, 29),
    st.sampled_from(("step", "value", "dropped", "repeated")),
)
def test_the_fingerprint_changes_with_any_point(
    values: list[float], index: int, change: str
) -> None:
    steps, index = list(range(len(values))), index % len(values)
    before = mark(History(steps, values))
    assert before == mark(History(steps, values))
    if change == "step":
        steps[index] += 1_000
    elif change == "value":
        values[index] = np.nextafter(values[index], np.inf)
    elif change == "dropped":
        del steps[index], values[index]
    else:
        steps.insert(index, steps[index])
        values.insert(index, values[index])
    assert mark(History(steps, values)) != before


def test_the_fingerprint_changes_when_rows_change_their_order() -> None:
    # which of two rows at one step is the later one decides the score
    assert mark(History([0, 1, 1], [3, 2, 1])) != mark(History([0, 1, 1], [3, 1, 2]))


def test_the_fingerprint_changes_with_the_key_and_the_options() -> None:
    before = mark(CURVE)
    assert mark(History(CURVE.step, CURVE.loss, loss_key="train/loss")) != before
    other = mark(CURVE, "1" * 8)
    assert before.startswith("00000000-")
    assert other == before.replace("00000000-", "11111111-")


def test_the_fingerprint_does_not_change_with_what_is_not_read() -> None:
    empty = History(CURVE.step, CURVE.loss, grad_norm=[], grad_step=[], grad_norm_key="other")
    assert mark(empty) == mark(CURVE)
    negative_zero = mark(History([0, 1], [-0.0, float("nan")]))
    assert negative_zero == mark(History([-0.0, 1], [0.0, -float("nan")]))


def test_the_fingerprint_changes_with_the_gradient_norm_beside_the_loss() -> None:
    norm = np.linspace(3, 1, 40)
    before = mark(History(CURVE.step, CURVE.loss, norm))
    assert before != mark(CURVE)
    assert before == mark(History(CURVE.step, CURVE.loss, norm, grad_step=CURVE.step))
    changed = np.append(norm[:-1], 1.5)
    others = (
        History(CURVE.step, CURVE.loss, changed),
        History(CURVE.step, CURVE.loss, norm, grad_step=CURVE.step + 1),
        History(CURVE.step, CURVE.loss, norm[:-1], grad_step=CURVE.step[:-1]),
        History(CURVE.step, CURVE.loss, norm, grad_norm_key="other"),
        History(CURVE.step, norm, CURVE.loss),
    )
    assert len({before, *map(mark, others)}) == 1 + len(others)


def test_the_fingerprint_is_of_the_gradient_norm_where_that_was_read() -> None:
    step, norm = [0.0, 1, 2], [3.0, 2, 1]
    before = mark(History(step, grad_norm=norm))
    assert mark(History([], grad_norm=norm, grad_step=step)) == before
    assert mark(History([], grad_norm=norm, grad_step=[0.0, 1, 3])) != before
    assert mark(History(step, grad_norm=[3.0, 2, 2])) != before
    assert mark(History(step, norm)) != before


@pytest.mark.parametrize(
    "changed",
    [
        {"nan_policy": "omit"},
        {"units": "raw"},
        {"duplicates": "keep"},
        {"weights": (0.2, 0.3, 0.5)},
        {"loss_key": "mine"},
        {"grad_norm_key": "mine"},
        {"step_key": "mine"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_the_digest_changes_with_each_option(changed: dict[str, object]) -> None:
    assert ScoringOptions().digest == ScoringOptions().digest
    assert re.fullmatch(r"[0-9a-f]{8}", ScoringOptions().digest)
    assert ScoringOptions(**changed).digest != ScoringOptions().digest


@pytest.mark.parametrize("version", ["ENGINE_VERSION", "INSIGHT_VERSION"])
def test_the_digest_changes_with_each_version(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ScoringOptions().digest
    monkeypatch.setattr(f"dqi_tracking.pipeline.options.{version}", "another")
    assert ScoringOptions().digest != before


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "KILLED"},
        {"ended": 5_001},
        {"latest": REF.latest | {"loss": "0.1@10"}},
        {"latest": {}},
        {"revision": "4096 bytes"},
    ],
    ids=["status", "end time", "a point", "no point", "more data"],
)
def test_seen_changes_when_the_listing_does(changed: dict[str, object]) -> None:
    assert seen(replace(REF, **changed), "loss") != seen(REF, "loss")


def test_seen_changes_with_the_revision() -> None:
    first, second = (replace(REF, revision=revision) for revision in ("1", "2"))
    assert seen(first, "loss") != seen(second, "loss")


def test_seen_does_not_depend_on_what_only_reading_told() -> None:
    # the next listing knows none of it, and must say the same
    read = replace(REF, listed=False, revision="1")
    bare = replace(read, loss_keys=(), grad_norm_keys=(), latest={})
    assert seen(read, "loss") == seen(bare, "loss")
    assert seen(read, "loss") != seen(replace(bare, revision="2"), "loss")
    assert seen(read, "loss") != seen(replace(bare, status="KILLED"), "loss")


def test_seen_covers_every_part_of_a_sum() -> None:
    before = seen(REF, "a_loss + b_loss")
    for part in SUM.parts:
        later = replace(REF, latest=REF.latest | {part: "9@10"})
        assert seen(later, "a_loss + b_loss") != before


def test_seen_does_not_change_with_what_has_no_part_in_the_score() -> None:
    same = replace(
        REF, name="renamed", started=1, stamp=Stamp({}, {}), latest={**REF.latest, "acc": "1@1"}
    )
    assert seen(same, "loss") == seen(REF, "loss")


@pytest.mark.parametrize("signal", ["loss", "grad_norm"])
def test_seen_changes_when_the_gradient_norm_gets_a_point(signal: str) -> None:
    norm = replace(REF, latest=REF.latest | {"grad_norm": "9@10"})
    assert seen(norm, signal) != seen(REF, signal)


def test_seen_changes_when_a_better_series_appears_or_gets_its_points() -> None:
    norm_only = replace(REF, loss_keys=(), latest={"grad_norm": "3@9"})
    assert seen(REF, "grad_norm") != seen(norm_only, "grad_norm")
    longer = replace(REF, latest=REF.latest | {"a_loss": "1@99"})
    assert seen(longer, "loss") != seen(REF, "loss")


def test_no_mark_stands_where_a_write_was_not_finished() -> None:
    stamp = stamp_for(CURVE, REF, "mark", 1_000)
    later = replace(stamp, timestamp=stamp.timestamp + 1)
    unmarked = replace(stamp, facts={"status": "ok"})
    marks = [standing_mark(replace(REF, stamp=each)) for each in (stamp, later, unmarked, None)]
    assert marks == ["mark", None, None, None]
