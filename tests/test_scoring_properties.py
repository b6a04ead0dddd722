"""What holds of every score, whatever was logged."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History, score
from tests.score_parts import parts_of, without_place
from tests.strategies import (
    FEW,
    PROPERTY,
    curves,
    extreme,
    grids,
    messy,
    options,
)

NAN, INF = np.nan, np.inf


@PROPERTY
@given(st.one_of(extreme(), messy()), options())
def test_every_number_lies_between_zero_and_one_or_is_nan_whatever_was_logged(rows, chosen) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(History(*rows), **chosen)
    numbers = [found.dqi, found.dqi_raw]
    for phase in found.phases.values():
        numbers += [phase.dqi, *parts_of(phase)]
    known = found.status not in ("nan", "no_signal")
    assert all(0.0 <= number <= 1.0 if known else np.isnan(number) for number in numbers)


MOST = 1.7e308
BLOCKS = np.where(np.arange(200) // 20 % 2, MOST, -MOST)


@pytest.mark.parametrize(
    ("step", "loss"),
    [
        ([-MOST, MOST, MOST / 2, 1], [3, 1, 2, 0]),
        ([0, 1e-300, 2e-300, 3e-300, 1e300], [3, 1, 2, 0, 1]),
        ([0, 5e-324, 1e-323, 1.5e-323, MOST], [3, 1, 2, 0, 1]),
        (1e300 * np.arange(9), [3, 1, 2, 0, 1, 5, 7, 7, 2]),
        (range(200), BLOCKS),
        (range(200), BLOCKS / MOST * 5e-324),
    ],
)
@pytest.mark.parametrize("units", ["relative", "raw"])
def test_values_from_one_end_of_float64_to_the_other_score_in_silence(step, loss, units) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(History(step, loss), units=units)
    assert found.status == "ok"
    assert 0.0 <= found.dqi <= 1.0
    assert 0.0 <= found.dqi_raw <= 1.0


# Whole numbers below 2**26, times a power of two: every sum, difference and product that the
# transformation makes is exact in float64, so the transformed run is the same curve to the last
# bit, and its score has to be. 2**996 is 6.7e299.
EXPONENTS = st.integers(-996, 996)
OFFSETS = st.integers(-(2**25), 2**25)


@PROPERTY
@given(grids(), EXPONENTS, OFFSETS, EXPONENTS, OFFSETS)
def test_scale_and_offset_of_loss_and_step_change_no_digit(
    grid, loss_exponent, loss_offset, step_exponent, step_offset
) -> None:
    step, loss = grid
    moved = History(
        (step + step_offset) * 2.0**step_exponent, (loss + loss_offset) * 2.0**loss_exponent
    )
    assert without_place(score(moved)) == without_place(score(History(step, loss)))


# Decimal scales round every value by up to 2**-53 of itself. The range of these curves is at least
# a hundredth of their values, so the curve moves by less than 1e-13 of its range. Steps are whole
# numbers below 1e6, so that a logging interval keeps ten digits.
DECIMALS = st.floats(-300, 300).map(lambda power: 10.0**power)


@PROPERTY
@given(curves(max_size=150), DECIMALS, st.floats(-50, 50), st.floats(1e-300, 1e300))
def test_any_scale_of_the_loss_and_the_step_leaves_the_score(
    curve, loss_scale, offset, step_scale
) -> None:
    step, loss = curve
    largest = np.abs(loss).max()
    unit = loss / largest if largest else loss
    moved = (unit + offset * np.ptp(unit)) * loss_scale
    found, expected = score(History(step * step_scale, moved)), score(History(step, loss))
    assert (found.status, found.boundaries) == (expected.status, expected.boundaries)
    numbers = [(phase.dqi, *parts_of(phase)) for phase in found.phases.values()]
    wanted = [(phase.dqi, *parts_of(phase)) for phase in expected.phases.values()]
    np.testing.assert_allclose(numbers, wanted, rtol=0, atol=1e-9)
    assert found.dqi == pytest.approx(expected.dqi, abs=1e-9)


@FEW
@given(st.integers(3, 200), DECIMALS, st.sampled_from((-3.0, -0.1, 0.0, 0.3, 7.0)))
def test_a_straight_line_is_cut_at_the_same_points_in_any_units(n, scale, offset) -> None:
    line = np.arange(float(n)) / n
    found = score(History(range(n), (line + offset) * scale))
    assert found.boundaries == score(History(range(n), np.arange(n))).boundaries


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[tuple[np.ndarray, np.ndarray], list[int]]:
    """Draw rows, and an order of them in which the rows of one step keep their own order."""
    rows = draw(st.one_of(messy(), grids(), curves(max_size=60)))
    order = draw(st.permutations(range(len(rows[0]))))
    step = rows[0]
    for value in np.unique(step):
        places = [place for place, row in enumerate(order) if step[row] == value]
        kept = sorted(order[place] for place in places)
        for place, row in zip(places, kept, strict=True):
            order[place] = row
    return rows, list(order)


@PROPERTY
@given(shuffled(), options())
def test_the_order_of_rows_makes_no_difference(drawn, chosen) -> None:
    (step, loss), order = drawn
    found = score(History(step[order], loss[order]), **chosen)
    assert repr(found) == repr(score(History(step, loss), **chosen))


def test_negative_losses_score_as_positive_ones_do() -> None:
    step, loss = np.arange(40), np.round(np.exp(-np.arange(40) / 9) * 64) / 64
    lowered = score(History(step, loss - 100))
    assert without_place(lowered) == without_place(score(History(step, loss)))
    # upside down, and to the left of zero
    assert score(History(step, -loss)).dqi == pytest.approx(score(History(step, loss)).dqi)


def test_scoring_leaves_the_arrays_as_they_were() -> None:
    step, loss = np.array([3.0, 1, 2, 2, 5]), np.array([1.0, NAN, 3, 4, 5])
    kept = step.copy(), loss.copy()
    for policy in ("propagate", "omit", "interpolate"):
        score(History(step, loss), nan_policy=policy)
    np.testing.assert_array_equal(step, kept[0])
    np.testing.assert_array_equal(loss, kept[1])
