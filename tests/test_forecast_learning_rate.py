"""The forecast that follows the learning rate."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.errors import MalformedHistory
from dqi_tracking.insight.forecast import forecast, forecast_many
from dqi_tracking.types import History


def annealed(n: int = 300, *, start: float = 0.5) -> tuple[History, np.ndarray, np.ndarray]:
    """Make a run whose loss follows its rate: constant, then falling to zero in a line."""
    step = np.arange(1.0, n + 1)
    rate = np.clip((1 - step / n) / (1 - start), 0, 1)
    progress = np.cumsum(rate) / n
    loss = 2 + 0.5 * (progress + 0.01) ** -0.3 - 1.5 * (1 - rate)
    return History(10 * step, loss), 10 * step, rate


def cut(run: History, share: float) -> History:
    stop = int(share * run.step.size)
    return History(run.step[:stop], run.loss[:stop])


def test_once_decay_is_seen_the_rate_foretells_better_than_time() -> None:
    run, step, rate = annealed()
    seen = cut(run, 0.8)
    by_time = forecast(seen, 3000)
    by_rate = forecast(seen, 3000, learning_rate=(step, rate))
    assert (by_time.mode, by_rate.mode) == ("time", "learning_rate")
    assert abs(by_rate.loss - run.loss[-1]) < abs(by_time.loss - run.loss[-1])
    assert by_rate.gain > 0
    assert by_rate.step < by_rate.saturation_step <= by_rate.horizon


def test_without_a_plan_the_slope_of_the_rate_is_carried_on() -> None:
    run, step, rate = annealed()
    planned = forecast(cut(run, 0.8), 3000, learning_rate=(step, rate))
    unplanned = forecast(cut(run, 0.8), 3000, learning_rate=(step[:240], rate[:240]))
    assert unplanned.mode == "learning_rate"
    assert unplanned.loss == pytest.approx(planned.loss, abs=0.05 * abs(planned.gain))


def test_a_plan_that_stops_decaying_foretells_less_gain() -> None:
    run, step, rate = annealed()
    held = np.where(step > 2400, rate[239], rate)
    falling, constant = (
        forecast(cut(run, 0.8), 3000, learning_rate=(step, plan)) for plan in (rate, held)
    )
    assert constant.gain < falling.gain


@pytest.mark.parametrize(
    "share", [0.3, 0.55], ids=["before the decay", "with a tenth of the decay seen"]
)
def test_before_half_of_the_decay_time_is_followed(share: float) -> None:
    run, step, rate = annealed()
    plain = forecast(cut(run, share), 3000)
    assert forecast(cut(run, share), 3000, learning_rate=(step, rate)) == plain


@pytest.mark.parametrize(
    "rate",
    [([], []), ([1.0], [0.1]), ([1.0, 2.0], [0.0, 0.0]), (range(3000), np.full(3000, np.nan))],
    ids=["none", "one", "zero", "nan"],
)
def test_a_rate_that_says_nothing_changes_nothing(rate: tuple[object, object]) -> None:
    run, _, _ = annealed()
    assert forecast(cut(run, 0.8), 3000, learning_rate=rate) == forecast(cut(run, 0.8), 3000)


def test_a_rate_far_beyond_is_not_followed() -> None:
    run, step, rate = annealed()
    assert forecast(cut(run, 0.8), 1e6, learning_rate=(step, rate)).mode == "time"


def test_a_rate_in_any_order_and_unit_tells_the_same() -> None:
    run, step, rate = annealed()
    mixed = np.random.default_rng(0).permutation(step.size)
    plain, other = forecast_many(
        [cut(run, 0.8)] * 2,
        [3000, 3000],
        learning_rates=[(step, rate), (step[mixed], 1e-4 * rate[mixed])],
    )
    assert other.loss == pytest.approx(plain.loss)


def test_a_rate_that_is_no_series_is_refused() -> None:
    run, step, rate = annealed()
    with pytest.raises(MalformedHistory, match="299 values for 300 steps"):
        forecast(cut(run, 0.8), 3000, learning_rate=(step, rate[:-1]))
