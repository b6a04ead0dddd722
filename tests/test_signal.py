from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.engine.signal import extract, relative_x, relative_y
from dqi_tracking.types import History
from tests.strategies import PROPERTY, messy

NAN, INF = np.nan, np.inf


def test_the_loss_is_the_signal_where_there_is_one() -> None:
    found = extract(History([1, 2], [0.5, 0.4], [9, 8], loss_key="train/loss"))
    assert (found.source, found.key, found.y.tolist()) == ("loss", "train/loss", [0.5, 0.4])


@pytest.mark.parametrize("loss", [None, []])
def test_the_gradient_norm_at_its_own_steps_is_read_where_no_loss_was_logged(loss) -> None:
    step = [] if loss == [] else [1, 2, 3]
    history = History(step, loss, [9, 8], grad_step=[20, 10], grad_norm_key="g")
    found = extract(history)
    assert (found.source, found.key) == ("grad_norm", "g")
    assert (found.x.tolist(), found.y.tolist()) == ([10, 20], [8, 9])


def test_the_gradient_norm_shares_the_steps_of_the_run_unless_it_has_its_own() -> None:
    assert extract(History([1, 2, 3], None, [9, 8, 7])).x.tolist() == [1, 2, 3]


def test_a_loss_that_is_nan_throughout_is_still_the_loss() -> None:
    found = extract(History([1, 2, 3], [NAN] * 3, [1, 2, 3]), nan_policy="omit")
    assert (found.source, found.y.size, found.n_nonfinite) == ("loss", 0, 3)


@pytest.mark.parametrize("arrays", [{}, {"loss": None}, {"grad_norm": None}])
def test_a_run_that_logged_neither_has_no_source(arrays) -> None:
    found = extract(History([1, 2, 3], **arrays))
    assert (found.source, found.key, found.x.size, found.y.size) == ("none", "", 0, 0)


def test_rows_are_sorted_by_step() -> None:
    found = extract(History([30, 10, 20], [3, 1, 2]))
    assert (found.x.tolist(), found.y.tolist()) == ([10, 20, 30], [1, 2, 3])


def test_the_last_row_of_a_step_counts() -> None:
    found = extract(History([1, 2, 3, 2, 3, 2], [1, 2, 3, 20, 30, 200]))
    assert (found.x.tolist(), found.y.tolist(), found.n_duplicates) == ([1, 2, 3], [1, 200, 30], 3)


def test_all_rows_of_a_step_can_be_kept_in_their_order() -> None:
    found = extract(History([1, 2, 3, 2, 2], [1, 2, 3, 20, 200]), duplicates="keep")
    assert found.x.tolist() == [1, 2, 2, 2, 3]
    assert found.y.tolist() == [1, 2, 20, 200, 3]
    assert found.n_duplicates == 2


def test_a_nan_that_a_resumed_run_logged_again_is_gone() -> None:
    found = extract(History([1, 2, 2, 3], [1, NAN, 2, 3]))
    assert (found.y.tolist(), found.n_nonfinite) == ([1, 2, 3], 0)


HOLES = History([0, 1, 2, 4, 10, 12, 13], [NAN, 1, INF, 4, NAN, -4, -INF])


def test_non_finite_points_stay_by_default() -> None:
    found = extract(HOLES)
    np.testing.assert_array_equal(found.y, [NAN, 1, INF, 4, NAN, -4, -INF])
    assert found.n_nonfinite == 4


def test_omit_drops_non_finite_points() -> None:
    found = extract(HOLES, nan_policy="omit")
    assert (found.x.tolist(), found.y.tolist()) == ([1, 4, 12], [1, 4, -4])
    assert found.n_nonfinite == 4


def test_interpolate_drops_both_ends_and_fills_linearly_in_the_step() -> None:
    found = extract(HOLES, nan_policy="interpolate")
    assert found.x.tolist() == [1, 2, 4, 10, 12]
    assert found.y.tolist() == pytest.approx([1, 2, 4, -2, -4], abs=1e-12)
    assert found.n_nonfinite == 4


@pytest.mark.parametrize("policy", ["omit", "interpolate"])
def test_nothing_is_left_of_a_signal_without_a_finite_point(policy) -> None:
    found = extract(History([1, 2, 3], [NAN, INF, NAN]), nan_policy=policy)
    assert (found.x.size, found.y.size, found.n_nonfinite) == (0, 0, 3)


@PROPERTY
@given(messy(), st.sampled_from(("omit", "interpolate")), st.sampled_from(("last", "keep")))
def test_a_cleaned_signal_is_sorted_finite_and_cleaning_it_again_changes_nothing(
    rows, policy, duplicates
) -> None:
    found = extract(History(*rows), nan_policy=policy, duplicates=duplicates)
    assert np.isfinite(found.y).all()
    gaps = np.diff(found.x)
    assert (gaps > 0).all() if duplicates == "last" else (gaps >= 0).all()
    again = extract(History(found.x, found.y), nan_policy=policy, duplicates=duplicates)
    np.testing.assert_array_equal(again.x, found.x)
    np.testing.assert_array_equal(again.y, found.y)


def relative_steps(x):
    return relative_x(np.array(x), np.diff(x))


def test_relative_steps_start_at_zero_in_units_of_the_median_interval() -> None:
    assert relative_steps([100.0, 110, 120, 150]).tolist() == [0, 1, 2, 5]


def test_the_median_of_an_even_number_of_intervals_is_their_middle() -> None:
    assert relative_steps([0.0, 1, 4]).tolist() == [0, 0.5, 2]


def test_duplicated_steps_do_not_shorten_the_interval() -> None:
    assert relative_steps([5.0, 5, 5, 5, 9, 13]).tolist() == [0, 0, 0, 0, 1, 2]


def test_steps_without_any_interval_are_all_zero() -> None:
    assert relative_steps([7.0, 7.0, 7.0]).tolist() == [0.0, 0.0, 0.0]


def test_relative_values_fill_zero_to_one() -> None:
    found = relative_y(np.array([-4.0, 0, 4]))
    assert found.relative.tolist() == [0, 0.5, 1]
    assert found.extent * found.scale == 8


@pytest.mark.parametrize(
    "y", [[0.0, 0, 0], [3.0, 3, 3], [1e9, 1e9 + 1e-4, 1e9], [-1e9, -1e9 - 1e-4, -1e9]]
)
def test_a_range_of_a_trillionth_of_the_values_is_flat(y) -> None:
    found = relative_y(np.array(y))
    assert (found.relative.tolist(), found.reduced.tolist()) == ([0, 0, 0], [0, 0, 0])
    assert found.extent == 0


def test_a_range_just_above_a_trillionth_is_not_flat() -> None:
    found = relative_y(np.array([1e9, 1e9 + 2e-3, 1e9]))
    assert found.relative.max() == 1
    assert found.extent * found.scale == pytest.approx(2e-3, rel=1e-3)


@PROPERTY
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_dividing_by_the_power_of_two_changes_no_digit(values) -> None:
    y = np.array(values)
    found = relative_y(y)
    scale = found.scale
    largest = np.abs(y).max()
    assert (largest == 0 and scale == 1) or scale <= largest < 2 * scale or scale == 2.0**1023
    # a value may only lose digits where it is less than 1e-300 of the largest
    kept = (np.abs(y) >= largest * 1e-290) & (found.extent > 0)
    np.testing.assert_array_equal((found.reduced * scale)[kept], y[kept])
