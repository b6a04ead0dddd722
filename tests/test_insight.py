"""The insight of one run: total, the same whatever order or options, and what each part says."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.insight.checks import check
from dqi_tracking.insight.cohort_reading import reading
from dqi_tracking.insight.convergence import state
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.types import History
from tests.insight_runs import clean_run
from tests.strategies import PROPERTY, extreme, histories, messy


@PROPERTY
@given(histories())
def test_any_history_has_an_insight(history: History) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = insight_of(history)
    assert found.state.sentence
    names = [finding.name for finding in found.findings]
    assert len(set(names)) == len(names)
    for finding in found.findings:
        assert finding.sentence
        assert finding.start_step <= finding.stop_step
    assert not np.isinf(found.cohort_reading.lowest_loss)
    assert not np.isinf(found.cohort_reading.late_grad_norm)


@PROPERTY
@given(messy() | extreme(), messy() | extreme())
def test_loss_and_gradient_norm_at_steps_of_their_own_have_one_too(loss, norm) -> None:
    step, value = loss
    grad_step, grad_norm = norm
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = insight_of(History(step, value, grad_norm, grad_step=grad_step))
    assert found.state.name


@PROPERTY
@given(histories(), st.randoms(use_true_random=False))
def test_state_and_reading_do_not_depend_on_the_order_of_rows(history: History, random) -> None:
    step, loss = history.step, history.loss
    if loss is None or np.unique(step).size < step.size:
        return
    order = np.array(random.sample(range(step.size), step.size), dtype=int)
    found, shuffled = insight_of(History(step, loss)), insight_of(History(step[order], loss[order]))
    assert repr(shuffled.state) == repr(found.state)
    assert repr(shuffled.cohort_reading) == repr(found.cohort_reading)


def test_its_parts_are_those_of_the_single_readings() -> None:
    history = clean_run(seed=3)
    found = insight_of(history)
    assert repr(found.state) == repr(state(history))
    assert found.findings == check(history)
    assert repr(found.cohort_reading) == repr(reading(history))


def test_a_clean_run_has_no_finding_and_a_spike_is_one() -> None:
    clean = clean_run(seed=1)
    assert insight_of(clean).findings == ()
    loss = clean.loss.copy()
    loss[120] += 4.0
    (found,) = insight_of(History(clean.step, loss)).findings
    assert (found.name, found.start_step, found.stop_step) == ("spike", 1200.0, 1200.0)
