"""Verdicts on questions whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.validation import ValidationReport, validate
from tests.outcome_runs import noise_runs, normal

RUNS = noise_runs(7)
N = len(RUNS.groups)
SIGNAL = RUNS.features["signal"]
NOISE = normal(31, N)


@pytest.fixture(scope="module")
def evidence() -> ValidationReport:
    outcome = SIGNAL + 0.7 * normal(1, N)
    return validate(
        RUNS.features, outcome, RUNS.groups, configurations=RUNS.configurations, question="why?"
    )


@pytest.fixture(scope="module")
def nothing() -> ValidationReport:
    return validate(RUNS.features, NOISE, RUNS.groups)


def test_a_planted_signal_is_evidence_beyond_the_loss(evidence: ValidationReport) -> None:
    assert evidence.verdict == "evidence"
    assert "tell more than the loss" in evidence.sentence
    assert "not shown" not in evidence.sentence
    assert min(test.p for test in evidence.tests) <= 0.01
    assert evidence.counter_tests is not None
    assert evidence.counter_tests.beyond_confounds.low > 0.2
    assert evidence.counter_tests.shuffled_p == 1 / 40
    assert evidence.counter_tests.with_shuffled < 0.3 < evidence.counter_tests.with_signals
    assert (evidence.question, evidence.n_configurations) == ("why?", 20)


def test_noise_is_no_evidence(nothing: ValidationReport) -> None:
    assert nothing.verdict == "no evidence"
    assert nothing.sentence.startswith("No evidence that the signals tell the outcome")
    assert all(test.p_adjusted > 0.05 for test in nothing.tests)


def test_the_controls_come_out_as_they_must(
    evidence: ValidationReport, nothing: ValidationReport
) -> None:
    for report in (evidence, nothing):
        noise, planted = report.controls
        assert noise.passed
        assert noise.detected <= 4
        assert abs(noise.mean_rho) < 0.1
        assert planted.detected > noise.detected
        assert planted.passed == (planted.detected >= 16)
    # 20 configurations tell less than 60 runs, and the report says so
    assert evidence.controls[1].detected < nothing.controls[1].detected
    assert not evidence.controls[1].passed
    assert any("planted signal was not found reliably" in caution for caution in evidence.cautions)


def test_equal_arguments_give_equal_reports(nothing: ValidationReport) -> None:
    again = validate(RUNS.features, NOISE, RUNS.groups)
    assert again.tests == nothing.tests
    assert again.controls == nothing.controls
    assert again.counter_tests == nothing.counter_tests
    assert repr(again.study.readings) == repr(nothing.study.readings)  # NaN is equal to itself


def test_what_the_logging_explains_is_confounded() -> None:
    length = normal(11, N)
    table = RUNS.replaced(n_points=length, signal=length + 0.05 * normal(12, N))
    outcome = length + 0.3 * normal(13, N)
    found = validate(table, outcome, RUNS.groups, signals=["signal"])
    assert found.verdict == "confounded"
    assert "confounds held fixed" in found.sentence
    alone = next(r for r in found.study.readings if r.name == "logging interval and length")
    assert alone.rho.value > 0.7
    assert any("shuffled signals does as well" in caution for caution in found.cautions)
    assert any("No configurations were given" in caution for caution in found.cautions)


def test_the_loss_itself_is_not_said_to_tell_more_than_the_loss() -> None:
    loss = normal(21, N)
    table = RUNS.replaced(loss_level=loss, loss_lowest=loss)
    outcome = loss + 0.5 * normal(22, N)
    own = validate(table, outcome, RUNS.groups, signals=["loss_level"])
    assert own.verdict == "evidence"
    assert "The signals are the loss itself" in own.sentence
    echo = RUNS.replaced(loss_level=loss, loss_lowest=loss, signal=loss + 0.1 * normal(23, N))
    beside = validate(echo, outcome, RUNS.groups, signals=["signal"])
    assert beside.verdict == "evidence"
    assert "more than the loss is not shown" in beside.sentence


def test_runs_too_few_to_find_anything_are_said_to_be_too_few() -> None:
    few = noise_runs(5, n_groups=3, size=8)
    found = validate(few.features, normal(6, 24), few.groups, configurations=[0, 1] * 12)
    assert found.verdict == "no evidence"
    assert "too few to find even a planted signal" in found.sentence
    assert any("With 3 groups the intervals" in caution for caution in found.cautions)
    assert any("2.0 configurations" in caution for caution in found.cautions)


def test_many_questions_raise_the_bar() -> None:
    few = noise_runs(5, n_groups=3, size=8)
    outcome = few.features["signal"] + 0.3 * normal(1, 24)
    one = validate(few.features, outcome, few.groups)
    some = validate(few.features, outcome, few.groups, n_questions=12)
    many = validate(few.features, outcome, few.groups, n_questions=5_000)
    assert one.verdict == some.verdict == "evidence"
    assert one.tests[0].p_adjusted < 0.01 < some.tests[0].p_adjusted < 0.05
    assert any("questions whose answer is no" in caution for caution in some.cautions)
    assert not any("questions whose answer is no" in caution for caution in one.cautions)
    assert many.tests[0].n_shuffles > one.tests[0].n_shuffles
    assert many.tests[0].p < 0.05 < many.tests[0].p_adjusted
    assert many.verdict == "no evidence"
    assert any("5,000 questions are more than" in caution for caution in many.cautions)


def test_too_little_data_gives_no_number() -> None:
    few = noise_runs(n_groups=2, size=30)
    found = validate(few.features, normal(1, 60), few.groups)
    assert found.verdict == "too little data"
    assert "only 2 groups are left" in found.sentence
    assert found.tests == ()
    assert found.controls == ()
    assert found.study.readings == ()
    assert found.counter_tests is None


def test_a_number_of_questions_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 questions"):
        validate(RUNS.features, normal(1, N), RUNS.groups, n_questions=0)
    with pytest.raises(ConfigError, match="3 configurations for 60 runs"):
        validate(RUNS.features, np.zeros(N), RUNS.groups, configurations=[1, 2, 3])
