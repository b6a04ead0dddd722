from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dqi_tracking.engine.phases import boundaries, smooth, thirds
from tests import reference
from tests.strategies import FEW, PROPERTY, curves, grids


def exact_boundaries(values: list[int]) -> tuple[int, int]:
    """Find the boundaries in fractions, which round nothing."""
    n = len(values)
    window = max(3, n // 20)
    window += window % 2 == 0
    half = window // 2
    padded = [values[0]] * half + values + [values[-1]] * half
    smoothed = [Fraction(sum(padded[i : i + window]), window) for i in range(n)]
    inner = [(smoothed[i + 1] - smoothed[i - 1]) / 2 for i in range(1, n - 1)]
    gradient = [smoothed[1] - smoothed[0], *inner, smoothed[-1] - smoothed[-2]]
    change = [sum(map(abs, gradient[: i + 1])) for i in range(n)]
    if change[-1] == 0:
        return n // 3, 2 * n // 3
    shares = [part / change[-1] for part in change]
    return (
        next(i for i in range(n) if shares[i] >= Fraction(40, 100)),
        next(i for i in range(n) if shares[i] >= Fraction(75, 100)),
    )


@pytest.mark.parametrize(
    ("n", "window"), [(3, 3), (79, 3), (80, 5), (100, 5), (119, 5), (120, 7), (400, 21), (1000, 51)]
)
def test_the_window_is_a_twentieth_of_the_run_odd_and_three_at_least(n, window) -> None:
    impulse = np.zeros(n)
    impulse[n // 2] = 1.0
    smoothed = smooth(impulse)
    assert np.count_nonzero(smoothed > 0.5 / window) == window
    assert smoothed.max() == pytest.approx(1 / window)


def test_edges_are_padded_with_the_edge_value() -> None:
    assert smooth(np.array([3.0, 0, 0, 0, 6])).tolist() == pytest.approx([2, 1, 0, 2, 4])


@FEW
@given(curves())
def test_smoothing_is_the_plain_moving_average(curve) -> None:
    _, y = curve
    expected = reference.smoothed(y)
    np.testing.assert_allclose(smooth(y), expected, rtol=0, atol=1e-12 * np.abs(y).max() * y.size)


def test_a_jump_is_cut_where_the_smoothed_change_says() -> None:
    # smoothed over 3, the jump at row 15 changes rows 13 to 16 by 1/6, 1/3, 1/3, 1/6
    y = np.repeat([0.0, 1.0], 15)
    assert boundaries(y)[:2] == (14, 15)


def test_all_change_at_the_start_leaves_the_early_phase_short() -> None:
    y = np.concatenate(([10.0], np.zeros(29)))
    a, b, total = boundaries(y)
    assert (a, b) == (0, 1)
    assert total > 0


def test_total_change_is_reported_in_the_units_of_the_signal() -> None:
    y = np.linspace(0.0, 1.0, 60)
    assert boundaries(7 * y)[2] == pytest.approx(7 * boundaries(y)[2])


@pytest.mark.parametrize(("n", "expected"), [(3, (1, 2)), (10, (3, 6)), (11, (3, 7)), (12, (4, 8))])
def test_a_flat_run_is_cut_into_thirds(n, expected) -> None:
    assert thirds(n) == expected
    assert boundaries(np.full(n, 2.5)) == (*expected, 0.0)


def test_change_of_a_trillionth_is_flat_and_more_is_not() -> None:
    jump = np.repeat([0.0, 1.0], 15)
    assert boundaries(jump * 0.9e-12)[:2] == (10, 20)
    assert boundaries(jump * 2e-12)[:2] == (14, 15)


@PROPERTY
@given(grids(min_size=2))
def test_boundaries_are_those_of_exact_arithmetic(grid) -> None:
    # whole numbers tie often; a share that is no tie is then further than the slack from one
    _, y = grid
    assert boundaries(y)[:2] == exact_boundaries([int(value) for value in y])


@FEW
@given(st.integers(3, 300), st.integers(-9, 9).filter(bool))
def test_a_straight_line_ties_and_is_cut_as_exact_arithmetic_cuts_it(n, slope) -> None:
    assert boundaries(slope * np.arange(float(n)))[:2] == exact_boundaries(list(range(n)))


@pytest.mark.parametrize("n", [5, 9, 25, 41, 101, 105, 205])
@pytest.mark.parametrize("scale", [0.1, 1 / 3, 0.7, 1e-7, 3e8])
@pytest.mark.parametrize("offset", [0.0, 0.3, -1.1, 1e3])
def test_the_boundaries_of_a_straight_line_hold_under_scale_and_offset(n, scale, offset) -> None:
    line = np.arange(float(n))
    assert boundaries(scale * (line + offset))[:2] == boundaries(line)[:2]


@pytest.mark.parametrize(("short_of", "early_end"), [(1e-10, 11), (1e-7, 28), (1e-3, 28)])
def test_a_share_counts_as_reached_a_billionth_before_it_is(short_of, early_end) -> None:
    # jumps at rows 10 and 30, smoothed over 3: the first is 40 % of all change but for a little
    y = np.zeros(50)
    y[10:] = 0.4 - short_of
    y[30:] = 1.0
    assert boundaries(y)[0] == early_end


@PROPERTY
@given(curves(min_size=2))
def test_boundaries_equal_the_reference_and_lie_in_the_run_in_order(curve) -> None:
    _, y = curve
    assume(np.ptp(y) > 0)
    y = (y - y.min()) / np.ptp(y)
    a, b, _ = boundaries(y)
    assert 0 <= a <= b < y.size
    assert (a, b) == reference.cut(y)
