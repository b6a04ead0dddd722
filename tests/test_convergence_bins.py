from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.insight.binning import bin_medians
from dqi_tracking.insight.trend import last_quarter
from tests.strategies import PROPERTY, curves


@given(curves(), st.integers(1, 60))
@PROPERTY
def test_each_bin_is_the_median_of_its_rows(curve, n_bins: int) -> None:
    x, y = curve
    found = bin_medians(x, y, x[0], x[-1], n_bins)
    edges = np.linspace(x[0], x[-1], n_bins + 1)
    # a row on an edge may fall to either side by rounding: such curves say nothing here
    if np.min(np.abs(x[:, None] - edges[1:-1]), initial=np.inf) < 1e-6 * (x[-1] - x[0]):
        return
    place = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, n_bins - 1)
    for each in range(n_bins):
        rows = y[place == each]
        assert found[each] == pytest.approx(np.median(rows) if rows.size else np.nan, nan_ok=True)


def test_bins_of_very_unequal_counts_and_rows_outside() -> None:
    x = np.concatenate((np.arange(1000) / 1000, [2.0, 3.0, 4.0, 9.0]))
    y = np.arange(x.size, dtype=float)
    found = bin_medians(x, y, 0.0, 4.0, 4)
    np.testing.assert_array_equal(found, [499.5, np.nan, 1000.0, 1001.5])
    np.testing.assert_array_equal(bin_medians(x, y, 20.0, 30.0, 2), [np.nan, np.nan])
    np.testing.assert_array_equal(bin_medians(x[:0], y[:0], 0.0, 1.0, 2), [np.nan, np.nan])


def test_a_span_wider_than_a_float_is_divided() -> None:
    x = np.array([-1.7e308, 0.0, 1.7e308])
    np.testing.assert_array_equal(bin_medians(x, np.arange(3.0), x[0], x[-1], 2), [0.0, 1.5])


def test_the_trend_is_the_drop_of_a_line_whatever_one_bin_says() -> None:
    line = np.linspace(40, 1, 40)
    bent = line.copy()
    bent[35] = 1e6
    found = last_quarter(np.array([line, bent, np.full(40, np.nan)]))
    assert found.drop[:2] == pytest.approx(10.0)
    assert found.error[0] == pytest.approx(0, abs=1e-9)
    assert np.isnan(found.drop[2])
    assert np.isnan(found.error[2])


@pytest.mark.parametrize("kept", [slice(None), slice(None, None, 2)])
def test_the_error_covers_the_drop_of_noise(kept: slice) -> None:
    levels = np.full((2000, 40), np.nan)
    levels[:, kept] = np.random.default_rng(0).normal(size=levels[:, kept].shape)
    found = last_quarter(levels)
    beyond = np.mean(np.abs(found.drop) > 3 * found.error)
    assert beyond < 0.06
