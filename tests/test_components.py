from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.engine.components import components
from tests import reference
from tests.strategies import FEW, PROPERTY, curves, extreme, grids

GOLDEN = json.loads((Path(__file__).parent / "data" / "components_golden.json").read_text())
NAMES = ("coverage", "variation", "structure", "density")


def of(x, y, **options) -> dict[str, float]:
    """Return the components of one slice by name."""
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    row = components(x, y, np.array([y.size]), **options)[0]
    return dict(zip(NAMES, row.tolist(), strict=True))


@pytest.mark.parametrize("one", GOLDEN["slices"], ids=lambda one: f"{len(one['step'])}_points")
def test_a_slice_scores_what_the_author_s_package_gives_it(one) -> None:
    expected = {name: one[name] for name in NAMES}
    assert of(one["step"], one["y"]) == pytest.approx(expected, abs=1e-9, rel=0)


def test_the_author_s_slices_score_the_same_end_to_end() -> None:
    slices = GOLDEN["slices"]
    x = np.concatenate([np.array(one["step"], dtype=float) for one in slices])
    y = np.concatenate([np.array(one["y"], dtype=float) for one in slices])
    table = components(x, y, np.array([len(one["y"]) for one in slices]))
    expected = np.array([[one[name] for name in NAMES] for one in slices])
    assert len(slices) == 40
    np.testing.assert_allclose(table, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("gap", [1, 7, 500])
def test_coverage_counts_points_whatever_the_spacing(gap) -> None:
    found = of(gap * np.arange(21), np.arange(21) % 3)
    assert found["coverage"] == pytest.approx(np.tanh(1.0))


def test_variation_is_twice_the_population_deviation_over_the_range() -> None:
    assert of(range(4), [0, 1, 0, 1])["variation"] == pytest.approx(1.0)
    assert of(range(4), [0, 0, 0, 1])["variation"] == pytest.approx(2 * np.sqrt(3) / 4)


def test_structure_of_a_parabola_is_zero_and_of_a_cubic_is_its_bend_over_its_slope() -> None:
    x = np.arange(4.0)
    assert of(x, x**2)["structure"] == pytest.approx(0.0, abs=1e-12)
    # d1 = 1, 7, 19; d2 = 6, 12: variance 9 over mean slope 9
    assert of(x, x**3)["structure"] == pytest.approx(np.tanh(1.0))


def test_structure_divides_each_bend_by_the_gap_before_it() -> None:
    # d1 = 1, 1/2, 2; d2 = (-1/2)/1, (3/2)/2
    assert of([0, 1, 3, 4], [0, 1, 2, 4])["structure"] == pytest.approx(
        np.tanh(np.var([-0.5, 0.75]) / np.mean([1, 0.5, 2]))
    )


def test_density_falls_with_the_relative_spread_of_the_gaps() -> None:
    assert of([0, 5, 10, 15], [1, 2, 1, 2])["density"] == 1.0
    assert of([0, 1, 4], [1, 2, 1])["density"] == pytest.approx(1 / 1.5)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_slice_of_fewer_than_three_points_scores_zero_in_all(n) -> None:
    assert set(of(range(n), range(n)).values()) == {0.0}


def test_short_slices_among_long_ones_score_zero_and_leave_the_others_alone() -> None:
    long_x, long_y = np.arange(12.0), np.arange(12.0) ** 1.5 % 4
    x = np.concatenate(([0.0, 1.0], long_x, [5.0], long_x))
    y = np.concatenate(([3.0, 9.0], long_y, [7.0], long_y))
    table = components(x, y, np.array([2, 12, 0, 1, 12, 0]))
    alone = components(long_x, long_y, np.array([12]))[0]
    assert not table[[0, 2, 3, 5]].any()
    assert (table[[1, 4]] == alone).all()


def test_no_slices_make_an_empty_table() -> None:
    assert components(np.empty(0), np.empty(0), np.empty(0, np.int64)).shape == (0, 4)


@pytest.mark.parametrize("span", [0.0, 1e-12])
def test_a_slice_without_span_has_neither_coverage_nor_density(span) -> None:
    found = of([0, span / 2, span], [1, 2, 5])
    assert (found["coverage"], found["density"]) == (0.0, 0.0)


def test_a_constant_slice_has_neither_variation_nor_structure() -> None:
    found = of(range(30), [0.1] * 30)
    assert (found["variation"], found["structure"]) == (0.0, 0.0)
    assert found["density"] == 1.0


def test_a_range_of_a_trillionth_has_no_variation_and_more_has() -> None:
    shape = np.array([0.0, 1, 0, 1])
    assert of(range(4), 1e-12 * shape)["variation"] == 0.0
    assert of(range(4), 2e-12 * shape)["variation"] == pytest.approx(1.0)


def test_a_step_logged_twice_divides_by_epsilon_and_saturates() -> None:
    found = of([0, 1, 1, 2, 3], [5, 4, 3, 2, 1])
    assert found["structure"] == 1.0
    assert 0 < found["density"] < 1


@PROPERTY
@given(st.one_of(curves(), grids()))
def test_components_equal_the_reference(curve) -> None:
    expected = dict(zip(NAMES, reference.components(*curve), strict=True))
    assert of(*curve) == pytest.approx(expected, abs=1e-9, rel=0)


@FEW
@given(st.lists(st.one_of(grids(min_size=0, max_size=20), extreme(max_size=12)), max_size=8))
def test_a_slice_scores_the_same_in_every_digit_whatever_lies_beside_it(slices) -> None:
    slices = [(np.sort(x), np.nan_to_num(y)) for x, y in slices]
    lengths = np.array([y.size for _, y in slices], dtype=np.int64)
    x = np.concatenate([np.empty(0), *(x for x, _ in slices)])
    y = np.concatenate([np.empty(0), *(y for _, y in slices)])
    together = components(x, y, lengths)
    for row, (own_x, own_y) in zip(together, slices, strict=True):
        np.testing.assert_array_equal(row, components(own_x, own_y, np.array([own_y.size]))[0])


@PROPERTY
@given(extreme())
def test_components_lie_between_zero_and_one_for_any_finite_slice(rows) -> None:
    x, y = rows
    found = of(np.sort(x), np.nan_to_num(y))
    assert all(0.0 <= value <= 1.0 for value in found.values())


@FEW
@given(curves(), st.integers(-30, 30))
def test_a_power_of_two_taken_out_beforehand_changes_nothing(curve, exponent) -> None:
    x, y = curve
    scale = 2.0**exponent
    assert of(x, y / scale, scale=scale) == pytest.approx(of(x, y), abs=1e-12, rel=0)
