"""The forecast through its door: what it foretells, and what it keeps to."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.forecast import Forecast, forecast, forecast_many
from dqi_tracking.types import History
from tests.forecast_runs import power_law, settled, turned, until
from tests.strategies import FEW, curves

NUMBERS = [
    field.name
    for field in dataclasses.fields(Forecast)
    if isinstance(field.type, str) and field.type == "float"
]


def numbers(result: Forecast) -> np.ndarray:
    return np.array([getattr(result, name) for name in NUMBERS])


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_a_power_law_is_foretold_better_than_by_its_last_value(share: float) -> None:
    whole = power_law(240)
    seen = until(whole, share)
    result = forecast(seen, whole.step[-1])
    error = abs(result.loss - whole.loss[-1])
    assert error < 0.35 * abs(seen.loss[-1] - whole.loss[-1])
    assert result.low90 <= whole.loss[-1] <= result.high90


def test_a_settled_loss_stays_where_it_is() -> None:
    result = forecast(until(settled(), 0.5), 1200)
    assert result.loss == pytest.approx(1, abs=2e-3)
    assert abs(result.gain) < 2e-3


def test_a_loss_that_has_turned_goes_on_rising() -> None:
    whole = turned()
    result = forecast(until(whole, 0.7), whole.step[-1])
    assert result.gain < 0
    assert abs(result.loss - whole.loss[-1]) < 0.4 * abs(result.loss_now - whole.loss[-1])
    assert math.isnan(result.saturation_step)
    assert any("turned" in note for note in result.warnings)


def test_noise_alone_is_not_taken_for_progress() -> None:
    step = np.arange(1.0, 401.0)
    gains = [
        forecast(History(step, 5 + np.random.default_rng(seed).normal(size=400)), 2000).gain
        for seed in range(20)
    ]
    # the best of a thousand flat forecasts must not look like a fall by a standard deviation
    assert max(gains) < 0.5


def test_gain_interval_and_rate_agree_with_the_loss() -> None:
    result = forecast(until(power_law(noise=0.01), 0.5), 1200)
    assert result.gain == pytest.approx(result.loss_now - result.loss)
    assert result.gain_low90 == pytest.approx(result.loss_now - result.high90)
    assert result.gain_high90 == pytest.approx(result.loss_now - result.low90)
    assert result.gain_per_1000_steps == pytest.approx(result.gain / 0.6)
    assert result.step < result.saturation_step <= result.horizon


def test_most_of_the_gain_of_a_fast_decay_comes_early() -> None:
    step = 10.0 * np.arange(1, 61)
    fast = forecast(History(step, 1 + (step / 10) ** -2.0), 6000)
    slow = forecast(History(step, 1 + (step / 10) ** -0.2), 6000)
    assert fast.saturation_step < slow.saturation_step


def test_verdicts_follow_the_curve() -> None:
    falling = History(np.arange(1.0, 101), np.arange(1.0, 101) ** -0.2)
    assert forecast(falling, 130).verdict == "rapid"
    assert forecast(until(power_law(400), 0.25), 4000).verdict == "diminishing"
    quiet = np.append(np.geomspace(5, 1, 20), 1 + 1e-6 * np.random.default_rng(0).normal(size=380))
    assert forecast(History(np.arange(400.0), quiet), 440).verdict == "ceiling"
    noisy = 1 + np.random.default_rng(1).normal(size=60)
    assert forecast(History(np.arange(60.0), noisy), 300).verdict == "undetermined"


def test_a_ceiling_holds_for_more_than_a_few_steps() -> None:
    falling = until(power_law(400), 0.5)
    near = forecast(falling, falling.step[-1] + 10)
    assert near.gain_high90 < 0.02 * (falling.loss[0] - falling.loss[-1])
    assert near.verdict != "ceiling"
    quiet = np.append(np.geomspace(5, 1, 20), 1 + 1e-6 * np.random.default_rng(0).normal(size=380))
    assert forecast(History(np.arange(400.0), quiet), 401).verdict == "ceiling"


def test_the_sentence_tells_the_numbers_and_the_doubt() -> None:
    result = forecast(until(power_law(), 0.5), 1200)
    assert result.sentence.startswith("diminishing returns: ")
    assert f"{result.loss:.4g}" in result.sentence
    assert "90 % interval" in result.sentence
    lost = forecast(History(np.arange(60.0), np.random.default_rng(1).normal(size=60)), 300)
    assert lost.sentence.startswith("not to be told: ")
    assert "anything from" in lost.sentence
    overfit = forecast(until(turned(), 0.8), 1_200)
    assert "step 1200" in overfit.sentence
    assert "-" not in overfit.sentence


def test_the_calibration_group_and_its_size_are_told() -> None:
    result = forecast(until(power_law(), 0.5), 1200)
    assert result.group == "public runs of 7 workload families, at 50 % of the steps"
    assert result.group_size > 1000


@given(curves(min_size=20, max_size=120), st.floats(1.05, 6))
@FEW
def test_intervals_are_nested_and_hold_the_forecast(
    curve: tuple[np.ndarray, np.ndarray], ahead: float
) -> None:
    step, loss = curve
    horizon = step[-1] + (ahead - 1) * (step[-1] - step[0]) + 1
    result = forecast(History(step, loss), horizon, level=0.6)
    assert result.status == "ok"
    assert result.low90 <= result.low80 <= result.low <= result.loss
    assert result.loss <= result.high <= result.high80 <= result.high90
    assert result.low80 < result.high80


@given(curves(min_size=20, max_size=120), st.sampled_from((2.0**-10, 4.0, 2.0**17)))
@FEW
def test_units_of_the_loss_and_of_the_steps_do_not_matter(
    curve: tuple[np.ndarray, np.ndarray], unit: float
) -> None:
    step, loss = curve
    horizon = 1.5 * step[-1]
    plain = forecast(History(step, loss), horizon)
    # powers of two change no digit, so that no point moves to another bin
    moved = forecast(History(4 * step, unit * loss), 4 * horizon)
    spread = float(np.ptp(loss))
    for name in ("loss", "low80", "high90", "gain", "loss_now"):
        expected = pytest.approx(getattr(plain, name), abs=1e-9 * spread)
        assert getattr(moved, name) / unit == expected
    assert moved.verdict == plain.verdict


@pytest.mark.parametrize("offset", [-1e4, 5.0, 1e6])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_offsets_of_the_loss_and_of_the_steps_do_not_matter(offset: float, share: float) -> None:
    seen = until(power_law(200, noise=0.02), share)
    plain = forecast(seen, 2000)
    moved = forecast(History(3 * seen.step + 517, seen.loss + offset), 6517)
    for name in ("loss", "low80", "high90", "loss_now"):
        assert getattr(moved, name) - offset == pytest.approx(getattr(plain, name), abs=1e-6)
    assert moved.verdict == plain.verdict


@given(curves(min_size=20, max_size=120))
@FEW
def test_a_metric_that_should_rise_is_the_mirror_of_one_that_should_fall(
    curve: tuple[np.ndarray, np.ndarray],
) -> None:
    step, loss = curve
    loss = loss - loss.max() - float(np.ptp(loss))  # negative, so that nothing is held at 0
    falls = forecast(History(step, loss), 2 * step[-1])
    rises = forecast(History(step, -loss), 2 * step[-1], higher_is_better=True)
    if rises.low90 > 0:
        assert rises.loss == pytest.approx(-falls.loss)
        assert rises.high90 == pytest.approx(-falls.low90)
        assert rises.gain == pytest.approx(falls.gain)
        assert rises.verdict == falls.verdict


def test_many_runs_at_once_come_out_as_one_by_one() -> None:
    runs = [until(power_law(n, noise=0.02, seed=n), 0.6) for n in range(15, 215)]
    runs += [History([1, 2], [1, 1]), History(range(20), np.ones(20)), turned(), settled()]
    horizons = [float(3 * run.step[-1]) for run in runs]
    together = forecast_many(runs, horizons)
    for run, horizon, result in zip(runs, horizons, together, strict=True):
        alone = forecast(run, horizon)
        assert (result.status, result.verdict) == (alone.status, alone.verdict)
        np.testing.assert_allclose(numbers(result), numbers(alone), rtol=1e-9, atol=1e-9)


def test_one_run_at_many_horizons_makes_a_fan() -> None:
    seen = until(power_law(noise=0.02), 0.5)
    horizons = np.linspace(610, 1200, 30)
    fan = forecast_many([seen] * 30, horizons.tolist())
    width = [one.high90 - one.low90 for one in fan]
    assert all(np.diff([one.loss for one in fan]) < 0)
    assert width[-1] > 1.5 * width[0]


def test_a_longer_log_interval_tells_the_same() -> None:
    whole = power_law(400)
    dense = forecast(until(whole, 0.5), whole.step[-1])
    sparse = forecast(History(whole.step[:200:5], whole.loss[:200:5]), whole.step[-1])
    assert sparse.loss == pytest.approx(dense.loss, abs=0.2 * dense.gain)


@pytest.mark.parametrize("level", [0.4, 0.99, 90, math.nan])
def test_a_level_out_of_range_is_refused_with_a_fix(level: float) -> None:
    with pytest.raises(ConfigError, match="level") as caught:
        forecast(power_law(), 2000, level)
    assert "0.9" in caught.value.fix


@pytest.mark.parametrize("horizon", [math.nan, math.inf, -math.inf])
def test_a_horizon_that_is_no_step_is_refused(horizon: float) -> None:
    with pytest.raises(ConfigError, match="finite"):
        forecast(power_law(), horizon)


def test_one_horizon_a_run_is_needed() -> None:
    with pytest.raises(ConfigError, match="1 horizons for 2 runs"):
        forecast_many([power_law(), power_law()], [2000])
    assert forecast_many([], []) == []


def test_a_forecast_cannot_be_changed() -> None:
    result = forecast(power_law(), 2000)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.loss = 0.0  # type: ignore[misc]
    assert not hasattr(result, "__dict__")
