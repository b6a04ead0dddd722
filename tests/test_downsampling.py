"""Few rows of a long curve: spikes, ends, order and gaps survive, whatever was logged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dqi_tracking.report.downsampling import thin
from dqi_tracking.report.geometry import trace

finite = st.floats(-1e300, 1e300)
steps = st.lists(finite | st.integers(0, 50).map(float), max_size=200).map(sorted)
values = st.floats() | st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf])


@st.composite
def curves(draw: st.DrawFn, of: st.SearchStrategy[float] = values) -> tuple:
    x = np.array(draw(steps), dtype=np.float64)
    y = np.array(draw(st.lists(of, min_size=x.size, max_size=x.size)), dtype=np.float64)
    return x, y


many = st.integers(2, 20)


@given(curve=curves(), columns=many)
@example(curve=(np.full(50, 0.1), np.arange(50.0)), columns=4)
@example(curve=(np.array([-1e308] + [1e308] * 49), np.arange(50.0)), columns=4)
@settings(deadline=None)
def test_ends_and_extremes_survive_in_order_and_number(curve: tuple, columns: int) -> None:
    x, y = curve
    rows, lost = thin(x, y, columns=columns)
    np.testing.assert_array_equal(lost, np.flatnonzero(~np.isfinite(y)))
    assert (np.diff(rows) > 0).all()
    assert rows.size <= 3 * columns
    there = np.flatnonzero(np.isfinite(y))
    kept = rows[np.isfinite(y[rows])]
    assert kept.size <= 2 * columns
    if there.size:
        assert (kept[0], kept[-1]) == (there[0], there[-1])
        assert y[kept].min() == y[there].min()
        assert y[kept].max() == y[there].max()
    if there.size <= 2 * columns:
        np.testing.assert_array_equal(kept, there)


@given(
    y=st.lists(finite, min_size=50, max_size=400).map(np.array),
    columns=many,
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_each_column_keeps_its_lowest_and_highest(y: np.ndarray, columns: int, seed: int) -> None:
    x = np.sort(np.random.default_rng(seed).choice(10_000, y.size, replace=False)).astype(float)
    rows = thin(x, y, columns=columns).rows
    share = (x - x[0]) / (x[-1] - x[0]) * (columns - 1)
    column = np.minimum(share.astype(int), columns - 2)
    # where rounding may put a point into either of two columns there is nothing to compare
    clear = np.abs(share - np.rint(share)) > 1e-9
    for one in np.unique(column):
        inside = column == one
        if clear[inside].all():
            chosen = rows[inside[rows]]
            assert y[chosen].min() == y[inside].min()
            assert y[chosen].max() == y[inside].max()


@given(curve=curves())
@settings(deadline=None)
def test_a_line_is_broken_exactly_where_values_are_missing(curve: tuple) -> None:
    x, y = curve
    there = np.flatnonzero(np.isfinite(y))
    line = trace(x, y, columns=x.size + 2)
    np.testing.assert_array_equal(line.x, x[there])
    np.testing.assert_array_equal(line.starts[1:], np.diff(there) > 1)
    assert line.starts[:1].all()


@given(curve=curves(), columns=many)
@settings(deadline=None)
def test_thinning_what_is_thin_changes_nothing(curve: tuple, columns: int) -> None:
    x, y = curve
    rows = thin(x, y, columns=columns).rows
    once = trace(x[rows], y[rows], columns=columns)
    twice = trace(x, y, columns=columns)
    np.testing.assert_array_equal(once.x, twice.x)
    np.testing.assert_array_equal(once.y, twice.y)
    np.testing.assert_array_equal(once.starts, twice.starts)


@pytest.mark.parametrize("columns", [3, 50, 600])
def test_a_long_gap_stays_a_gap(columns: int) -> None:
    x = np.arange(100_000.0)
    y = np.random.default_rng(0).random(x.size)
    y[20_000:80_000] = np.nan
    line = trace(x, y, columns=columns)
    assert line.starts.sum() == 2
    assert line.x[np.flatnonzero(line.starts)[1]] >= 80_000


@pytest.mark.parametrize("where", [0, 1, 77_777, 999_998, 999_999])
def test_one_spike_in_a_million_points_is_drawn(where: int) -> None:
    y = np.zeros(1_000_000)
    y[where] = 1.0
    rows = thin(np.arange(1_000_000.0), y, columns=500).rows
    assert y[rows].sum() == 1.0
    assert rows.size <= 1_000


def test_a_crowd_in_one_corner_does_not_cost_the_rest_its_detail() -> None:
    crowd, rest = np.linspace(0, 1, 100_000), np.arange(2.0, 1_002.0)
    x = np.concatenate((crowd, rest))
    rows = thin(x, np.sin(x), columns=500).rows
    assert (x[rows] > 1).sum() > 900
