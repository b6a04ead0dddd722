"""Whatever was logged, a forecast is a status or a finite answer, never an error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.insight.forecast import Forecast, forecast, forecast_many
from dqi_tracking.types import History
from tests.forecast_runs import power_law, until
from tests.strategies import PROPERTY, extreme, messy


def test_fewer_than_eight_points_are_too_short() -> None:
    for n in range(1, 8):
        result = forecast(History(range(n), np.arange(n)[::-1]), 100)
        assert result.status == "too_short"
        assert math.isnan(result.loss)
        assert "8 are needed" in result.sentence
    assert forecast(History(range(8), np.arange(8)[::-1]), 100).status == "ok"


def test_a_run_without_a_loss_has_no_signal() -> None:
    steps = np.arange(50.0)
    assert forecast(History([], []), 100).status == "no_signal"
    assert forecast(History(steps), 100).status == "no_signal"
    assert forecast(History(steps, grad_norm=1 / (1 + steps)), 100).status == "no_signal"


def test_a_constant_run_is_flat() -> None:
    result = forecast(History(range(50), np.full(50, 0.7)), 100)
    assert (result.status, result.loss_now) == ("flat", 0.7)


def test_a_run_that_ends_in_nan_is_lost() -> None:
    loss = np.append(np.geomspace(5, 1, 50), [np.nan] * 3)
    assert forecast(History(range(53), loss), 100).status == "nan"
    assert forecast(History(range(50), np.full(50, np.inf)), 100).status == "nan"


def test_single_values_that_are_not_finite_are_left_out_and_told() -> None:
    whole = until(power_law(noise=0.01), 0.5)
    loss = whole.loss.copy()
    loss[[3, 20, 41]] = np.nan, np.inf, -np.inf
    result = forecast(History(whole.step, loss), 1200)
    assert result.n_points == 57
    assert any("3 of 60 points are not finite" in note for note in result.warnings)
    assert result.loss == pytest.approx(forecast(whole, 1200).loss, rel=0.01)


def test_a_horizon_that_is_not_after_now_is_past() -> None:
    run = power_law()
    for horizon in (-5, 1, 600, run.step[-1]):
        result = forecast(run, horizon)
        assert result.status == "past"
        assert math.isnan(result.gain)
        assert result.loss_now == run.loss[-1]
    assert forecast(run, run.step[-1] + 1).status == "ok"


def test_a_horizon_far_beyond_says_so_and_widens() -> None:
    run = power_law(noise=0.05)
    near, far, farthest = (forecast(run, run.step[-1] * k) for k in (5, 101, 1e9))
    assert not near.warnings
    assert any("times what was seen" in note for note in far.warnings)
    assert far.high90 - far.low90 > 2 * (near.high90 - near.low90)
    assert math.isfinite(farthest.loss)
    assert farthest.high90 - farthest.low90 > far.high90 - far.low90


def test_unsorted_steps_and_repeated_steps_are_put_in_order() -> None:
    run = until(power_law(noise=0.01), 0.5)
    mixed = np.random.default_rng(0).permutation(60)
    shuffled = forecast(History(run.step[mixed], run.loss[mixed]), 1200)
    assert shuffled == forecast(run, 1200)
    twice = forecast(History(np.repeat(run.step, 2), np.repeat(run.loss, 2)), 1200)
    assert twice.loss == shuffled.loss
    assert any("share their step" in note for note in twice.warnings)


def test_a_gap_in_the_log_is_told() -> None:
    run = power_law(noise=0.01)
    kept = (run.step < 300) | (run.step > 800)
    result = forecast(History(run.step[kept], run.loss[kept]), 2400)
    assert result.status == "ok"
    assert any("between steps 290 and 810" in note for note in result.warnings)


def test_a_restart_is_told_and_makes_the_forecast_less_sure() -> None:
    first = power_law(60, noise=0.01)
    step = np.append(first.step, first.step + 600)
    restarted = forecast(History(step, np.append(first.loss, first.loss)), 2400)
    steady = forecast(power_law(120, noise=0.01), 2400)
    assert any("jumped up near step 6" in note for note in restarted.warnings)
    assert restarted.high90 - restarted.low90 > 2 * (steady.high90 - steady.low90)


def test_a_spike_moves_the_forecast_little() -> None:
    run = until(power_law(noise=0.01), 0.5)
    loss = run.loss.copy()
    loss[30] = 1e300
    result = forecast(History(run.step, loss), 1200)
    assert result.loss == pytest.approx(forecast(run, 1200).loss, abs=0.2)


def test_steps_logged_densely_at_first_do_not_hide_the_rest() -> None:
    # a hundred steps one by one, then every hundredth: most points are of the first fall
    step = np.append(np.arange(1.0, 101), 100 * np.arange(2.0, 51))
    loss = 1 + 9 * step**-0.3
    result = forecast(History(step, loss), 20_000)
    assert result.loss == pytest.approx(1 + 9 * 20_000**-0.3, abs=0.25)


def test_a_loss_that_was_never_negative_stays_so() -> None:
    run = power_law(20)
    result = forecast(History(run.step, run.loss - run.loss.min()), 1e6)
    assert result.low90 == 0 <= result.loss
    below = forecast(History(run.step, run.loss - run.loss.min() - 1e-3), 1e6)
    assert below.low90 < 0


def test_a_metric_that_rises_gains() -> None:
    step = np.arange(10.0, 1000, 10)
    accuracy = 0.9 - 0.5 * (step / 10) ** -0.7
    result = forecast(History(step, accuracy), 2000, higher_is_better=True)
    assert result.loss > accuracy[-1]
    assert result.gain > 0
    assert result.low90 <= result.loss <= result.high90
    assert result.gain_low90 <= result.gain <= result.gain_high90


def is_sound(result: Forecast) -> bool:
    ends = (result.low, result.low80, result.low90, result.high, result.high80, result.high90)
    if result.status != "ok":
        return math.isnan(result.loss) and bool(result.sentence) and not result.group
    ordered = result.low90 <= result.low80 <= result.loss <= result.high80 <= result.high90
    return ordered and not any(math.isnan(end) for end in (*ends, result.gain))


@given(st.one_of(messy(max_size=80), extreme(max_size=60)), st.booleans())
@PROPERTY
def test_no_history_is_an_error(rows: tuple[np.ndarray, np.ndarray], rising: bool) -> None:
    step, loss = rows
    last = float(step.max()) if step.size else 0.0
    horizons = [last * 2 + 1, last / 2, 0.0, 1e300]
    horizons = [horizon for horizon in horizons if math.isfinite(horizon)]
    made = forecast_many([History(step, loss)] * len(horizons), horizons, higher_is_better=rising)
    assert all(is_sound(result) for result in made)
