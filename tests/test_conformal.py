"""Split conformal intervals: the table, its lookup, and the coverage that it is for."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.insight.forecasting.conformal import (
    KNOTS,
    TAILS,
    filled,
    multiples,
    quantile_table,
)


def errors(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw skewed errors that grow with the horizon."""
    rng = np.random.default_rng(seed)
    ahead = np.exp(rng.uniform(0.02, np.log(10), n))
    return (rng.exponential(size=n) - 0.5) * (0.3 + np.log(ahead)), ahead


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.98])
def test_new_errors_are_covered_as_promised(level: float) -> None:
    error, ahead = errors(20_000)
    table = quantile_table(error, ahead, np.ones(error.size))
    fresh, at = errors(20_000, seed=1)
    low, high = multiples(table, at, level)
    inside = (fresh >= low) & (fresh <= high)
    assert inside.mean() == pytest.approx(level, abs=0.03)
    for share in np.array_split(np.argsort(at), 5):
        assert inside[share].mean() == pytest.approx(level, abs=0.05)


def test_a_small_sample_is_answered_with_wider_intervals() -> None:
    covered = []
    for seed in range(300):
        error, ahead = errors(60, seed=seed)
        table = filled(quantile_table(error, ahead, np.ones(60)))
        fresh, at = errors(50, seed=1000 + seed)
        low, high = multiples(table, at, 0.8)
        covered.append(((fresh >= low) & (fresh <= high)).mean())
    assert np.mean(covered) > 0.78


def test_weights_say_what_counts() -> None:
    ahead = np.full(2000, 2.5)
    error = np.append(np.full(1000, -1.0), np.full(1000, 5.0))
    only_first = np.append(np.ones(1000), np.zeros(1000))
    low, high = multiples(filled(quantile_table(error, ahead, only_first)), np.array([2.5]), 0.9)
    assert (low[0], high[0]) == (-1, 0)
    low, high = multiples(filled(quantile_table(error, ahead, 1 - only_first)), ahead[:1], 0.9)
    assert (low[0], high[0]) == (0, 5)


def test_quantiles_stand_in_order() -> None:
    error, ahead = errors(500)
    table = quantile_table(error, ahead, np.random.default_rng(0).random(500))
    assert table.shape == (len(KNOTS), len(TAILS), 2)
    assert (np.diff(table[..., 0], axis=1) >= 0).all()
    assert (np.diff(table[..., 1], axis=1) <= 0).all()


def test_knots_without_errors_take_the_nearest() -> None:
    error = np.linspace(-1, 1, 101)
    table = quantile_table(error, np.full(101, 2.5), np.ones(101))
    assert np.isnan(table).any()
    whole = filled(table)
    assert np.isfinite(whole).all()
    assert (whole == whole[KNOTS.index(2.5)]).all()


def test_beyond_the_last_knot_intervals_grow() -> None:
    error, ahead = errors(5000)
    table = quantile_table(error, ahead, np.ones(5000))
    low, high = multiples(table, np.array([10.0, 40.0, 1000.0]), 0.9)
    assert high / high[0] == pytest.approx([1, 2, 10])
    assert low / low[0] == pytest.approx([1, 2, 10])


def test_intervals_between_levels_are_between_theirs() -> None:
    error, ahead = errors(5000)
    table = quantile_table(error, ahead, np.ones(5000))
    at = np.array([1.5, 3.0, 7.0])
    ends = [multiples(table, at, level) for level in np.linspace(0.5, 0.98, 25)]
    low, high = np.array(ends).transpose(1, 0, 2)
    assert (np.diff(low, axis=0) <= 0).all()
    assert (np.diff(high, axis=0) >= 0).all()
