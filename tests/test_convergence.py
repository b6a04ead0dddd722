from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.convergence import FLAT, State, state, states
from tests.insight_runs import ROWS, decay, noise
from tests.strategies import FEW, curves, histories

STEP = 10.0 * np.arange(ROWS)
FALLING = np.linspace(5, 1, ROWS)
RISING = np.concatenate((np.linspace(5, 1, ROWS // 2), np.linspace(1, 3, ROWS // 2)))
SETTLING = np.geomspace(1, 0.01, ROWS)
STEADY = 1 + noise(0.1, 3)


def name(loss: np.ndarray, grad_norm: np.ndarray | None = None, **given: object) -> str:
    return state(History(STEP, loss, grad_norm), **given).name


@pytest.mark.parametrize("scale", [0.0, 0.03])
def test_each_state_from_the_run_that_it_names(scale: float) -> None:
    jitter = noise(scale / 20)
    assert name(FALLING + noise(scale)) == "learning"
    assert name(decay() + jitter, SETTLING) == "converged"
    assert name(decay() + jitter, STEADY) == "stuck"
    assert name(decay() + jitter, 0.5 + 0.5 * SETTLING) == "plateau"
    assert name(2.3 + jitter, np.full(ROWS, 1e-9)) == "dead"
    assert name(RISING + noise(scale)) == "diverging"
    validation = History(STEP[::10], RISING[::10])
    assert name(FALLING + noise(scale), validation=validation) == "overfitting"
    assert name(FALLING + noise(scale), validation=History(STEP[::10], FALLING[::10])) == "learning"


def test_flat_without_a_gradient_norm_is_undetermined() -> None:
    found = state(History(STEP, decay()))
    assert found.name == "plateau"
    assert np.isnan(found.evidence["grad_ratio"])
    assert "gradient norm" in found.sentence


def test_a_gradient_norm_that_varies_more_than_its_level_is_stuck() -> None:
    level = np.geomspace(1, 0.4, ROWS)
    assert name(decay(), level) == "plateau"
    found = state(History(STEP, decay(), level * np.resize([1.0, 0.001, 5.0], ROWS)))
    assert found.name == "stuck"
    assert "scattered" in found.sentence


def test_noise_alone_is_neither_learning_nor_diverging() -> None:
    found = states([History(STEP, noise(1.0, seed)) for seed in range(100)])
    flat = sum(each.name == "plateau" for each in found)
    assert flat >= 95


def test_one_wild_value_changes_no_state() -> None:
    for wild in (1e300, -1e300, np.nan, np.inf):
        loss = decay()
        loss[150] = wild
        assert name(loss, SETTLING) == "converged"


def test_a_run_that_ends_without_finite_values_diverges() -> None:
    loss = decay()
    loss[-15:] = np.nan
    found = state(History(STEP, loss, SETTLING))
    assert found.name == "diverging"
    assert "15 rows" in found.sentence
    assert name(np.full(ROWS, np.nan)) == "diverging"
    loss[-15:] = 1.0
    loss[-1] = np.nan
    assert name(loss, SETTLING) == "converged"


def test_a_run_that_blew_up_and_stays_there_diverges() -> None:
    loss = decay()
    loss[120:] = 4.5
    assert name(loss + noise(0.01), SETTLING) == "diverging"


@pytest.mark.parametrize("rows", [0, 1, 3, 11])
def test_too_few_rows_are_said_to_be_too_few(rows: int) -> None:
    found = state(History(STEP[:rows], decay()[:rows], SETTLING[:rows]))
    assert found.name == "unknown"
    assert found.evidence["n_points"] == rows


def test_a_constant_run_is_judged_by_its_gradient_norm() -> None:
    assert name(np.full(ROWS, 2.0)) == "plateau"
    assert name(np.full(ROWS, 2.0), np.zeros(ROWS)) == "dead"
    assert name(np.full(ROWS, 2.0), STEADY) == "stuck"
    assert name(np.zeros(ROWS), STEADY) == "stuck"


def test_negative_losses_have_states_too() -> None:
    assert name(decay() - 100, SETTLING) == "converged"
    assert name(FALLING - 100) == "learning"
    assert name(RISING - 100) == "diverging"


def test_rows_in_any_order_and_a_restart_give_the_same_state() -> None:
    history = History(STEP, decay() + noise(0.001), SETTLING)
    order = np.random.default_rng(0).permutation(ROWS)
    shuffled = History(STEP[order], history.loss[order], SETTLING[order])
    assert repr(state(shuffled)) == repr(state(history))
    # resumed from a checkpoint: what was logged first at those steps does not count
    again = np.concatenate((np.arange(120), np.arange(80, ROWS)))
    loss = history.loss[again].copy()
    loss[80:120] = 50.0
    assert state(History(STEP[again], loss, SETTLING[again])).name == "converged"


def test_a_gradient_norm_on_its_own_steps_tells_the_same() -> None:
    every_third = slice(1, None, 3)
    found = state(History(STEP, decay(), SETTLING[every_third], grad_step=STEP[every_third] + 0.5))
    assert found.name == "converged"


def test_a_gap_and_a_dense_start_leave_the_state() -> None:
    kept = np.r_[0:60, 130:ROWS]
    assert state(History(STEP[kept], decay()[kept], SETTLING[kept])).name == "converged"
    step = np.concatenate((np.arange(100) / 10, STEP[1:]))
    values = np.interp(step, STEP, decay())
    assert state(History(step, values, np.interp(step, STEP, SETTLING))).name == "converged"


def test_a_given_bound_replaces_the_rule() -> None:
    history = History(STEP, decay(), SETTLING)
    span = 4.0
    assert state(history, gain_bound=0.5 * FLAT * span).name == "converged"
    beyond = state(history, gain_bound=2 * FLAT * span)
    assert beyond.name == "plateau"
    assert beyond.evidence["gain_bound"] == pytest.approx(2 * FLAT, rel=0.1)
    assert "cannot be ruled out" in beyond.sentence


@pytest.mark.parametrize("bound", [-1.0, np.nan, np.inf])
def test_a_bound_that_is_none_is_refused(bound: float) -> None:
    with pytest.raises(ConfigError, match="no bound"):
        state(History(STEP, decay()), gain_bound=bound)


def test_one_validation_and_bound_a_run_or_none() -> None:
    history = History(STEP, decay())
    with pytest.raises(ConfigError, match="2 validations for 1"):
        states([history], validations=[None, None])
    with pytest.raises(ConfigError, match="0 gain_bounds for 1"):
        states([history], gain_bounds=[])
    assert states([]) == []


def test_many_at_once_are_each_as_alone() -> None:
    runs = [
        History(STEP, decay(), SETTLING),
        History(STEP[:3], decay()[:3]),
        History(STEP),
        History(STEP[:50], FALLING[:50], STEADY[:50]),
        History(STEP, np.full(ROWS, np.nan)),
    ]
    assert [repr(each) for each in states(runs)] == [repr(state(run)) for run in runs]


@given(curves(min_size=12), st.integers(-60, 60))
@FEW
def test_scaling_by_a_power_of_two_changes_nothing(curve, power: int) -> None:
    step, loss = curve
    grad_norm = np.abs(loss) + 0.1
    factor = 2.0**power
    before = state(History(step, loss, grad_norm))
    after = state(History(step * 4, loss * factor, grad_norm * factor))
    assert after.name == before.name
    assert after.sentence == before.sentence


@given(st.lists(histories(), max_size=4))
@FEW
def test_any_history_has_a_state(runs: list[History]) -> None:
    found = states(runs, validations=list(reversed(runs)))
    assert len(found) == len(runs)
    assert all(each.sentence for each in found)


def test_a_state_travels_between_processes_and_does_not_change() -> None:
    found = state(History(STEP, FALLING))
    assert pickle.loads(pickle.dumps(found)).name == found.name
    with pytest.raises(AttributeError):
        found.name = "stuck"
    assert isinstance(found, State)
