"""Running medians and quantiles, against NumPy and SciPy as references."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import median_filter

from dqi_tracking.insight import order_statistics
from dqi_tracking.insight.order_statistics import (
    median,
    quantile,
    running_median,
    running_median_at,
)
from tests.strategies import FEW

# few distinct values as well: ties are where a selection goes wrong
numbers = st.floats(-1e300, 1e300) | st.integers(-3, 3).map(float)
series = hnp.arrays(np.float64, st.integers(1, 120), elements=numbers)
windows = st.sampled_from([3, 5, 7, 23, 41, 93, 301])
modes = st.sampled_from(["nearest", "reflect"])
PADDING = {"nearest": "edge", "reflect": "symmetric"}


def by_windows(values: np.ndarray, window: int, mode: str) -> np.ndarray:
    padded = np.pad(values, window // 2, mode=PADDING[mode])
    return np.sort(np.lib.stride_tricks.sliding_window_view(padded, window))[:, window // 2]


@given(series, windows, modes)
@FEW
def test_each_value_is_the_middle_of_its_window(values, window: int, mode: str) -> None:
    expected = by_windows(values, window, mode)
    assert np.array_equal(running_median(values, window, mode), expected)


@given(series, windows, modes)
@FEW
def test_scipy_has_the_same_running_median(values, window: int, mode: str) -> None:
    window = min(window, 2 * (values.size // 2) + 1)  # beyond that SciPy's reflection differs
    if window >= 3:
        expected = median_filter(values, size=window, mode=mode)
        assert np.array_equal(running_median(values, window, mode), expected)


@given(series, windows, modes, st.data())
@FEW
def test_a_running_median_at_some_rows(values, window: int, mode: str, data) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, values.size - 1))), dtype=np.intp)
    expected = running_median(values, window, mode)[rows]
    assert np.array_equal(running_median_at(rows, values, window, mode), expected)


@pytest.mark.parametrize("mode", ["nearest", "reflect"])
@pytest.mark.parametrize("n", [1000, 1001])
def test_a_long_series_is_read_in_parts(monkeypatch, mode, n: int) -> None:
    monkeypatch.setattr(order_statistics, "_CHUNK", 1000)
    values = np.random.default_rng(0).normal(size=n)
    expected = by_windows(values, 41, mode)
    assert np.array_equal(running_median(values, 41, mode), expected)
    assert np.array_equal(running_median_at(np.arange(n), values, 41, mode), expected)


def test_insight_is_imported_without_the_filters_of_scipy() -> None:
    code = "import sys, dqi_tracking.insight.insight; print('scipy.ndimage' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_nothing_has_no_running_median() -> None:
    assert running_median(np.empty(0), 5).size == 0
    assert running_median(np.empty(0), 41, "reflect").size == 0


def test_a_series_is_left_as_it_was() -> None:
    values = np.random.default_rng(0).normal(size=100)
    before = values.copy()
    running_median(values, 41)[:] = 0.0
    running_median(values, 5)[:] = 0.0
    quantile(values, 0.3)
    median(values)
    assert np.array_equal(values, before)


bounded = hnp.arrays(
    np.float64, st.integers(1, 60), elements=st.floats(-1e150, 1e150) | st.just(0.0)
)


@given(bounded, st.floats(0, 1))
@FEW
def test_a_quantile_is_that_of_numpy(values, share: float) -> None:
    assert quantile(values, share) == np.quantile(values, share)


@given(bounded)
@FEW
def test_a_median_is_that_of_numpy(values) -> None:
    assert median(values) == np.median(values)
