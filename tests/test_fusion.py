from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.engine.fusion import PHASE_WEIGHTS, checked_weights, fuse, weakest
from dqi_tracking.errors import ConfigError
from tests.strategies import FEW

WEIGHTS = np.array(PHASE_WEIGHTS)
TABLES = st.lists(st.lists(st.floats(0, 1), min_size=12, max_size=12), min_size=1, max_size=9).map(
    lambda rows: np.array(rows).reshape(-1, 3, 4)
)


def test_a_phase_is_the_product_of_its_components_and_the_run_their_weighted_sum() -> None:
    table = np.array([[[0.5, 0.5, 1, 1], [0.1, 1, 1, 1], [1, 1, 1, 1]]])
    phases, dqi = fuse(table, WEIGHTS)
    assert phases[0].tolist() == pytest.approx([0.25, 0.1, 1.0])
    assert dqi[0] == pytest.approx(0.5 * 0.25 + 0.3 * 0.1 + 0.2 * 1.0)


def test_one_collapsed_component_collapses_its_phase() -> None:
    phases, _ = fuse(np.array([[[1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 1]]]), WEIGHTS)
    assert phases[0].tolist() == [0, 1, 0]


def test_a_run_that_is_perfect_throughout_scores_one() -> None:
    assert fuse(np.ones((1, 3, 4)), WEIGHTS)[1].tolist() == [1.0]


def test_weights_that_sum_to_a_little_more_than_one_do_not_score_above_one() -> None:
    weights = checked_weights((0.5, 0.3, 0.2 + 9e-10))
    assert fuse(np.ones((1, 3, 4)), weights)[1].tolist() == [1.0]


@FEW
@given(TABLES)
def test_scores_lie_between_zero_and_one_and_do_not_depend_on_the_batch(table) -> None:
    phases, dqi = fuse(table, WEIGHTS)
    assert ((phases >= 0) & (phases <= 1)).all()
    assert ((dqi >= 0) & (dqi <= 1)).all()
    for row in range(len(table)):
        own_phases, own_dqi = fuse(table[row : row + 1], WEIGHTS)
        assert own_phases.tolist() == phases[row : row + 1].tolist()
        assert own_dqi.tolist() == dqi[row : row + 1].tolist()


def test_the_weakest_component_has_the_lowest_weighted_mean() -> None:
    # density is lowest in the late phase alone, which weighs least
    table = np.array([[[0.9, 0.2, 0.9, 0.9], [0.9, 0.9, 0.9, 0.9], [0.9, 0.9, 0.9, 0.0]]])
    assert weakest(table, WEIGHTS).tolist() == [1]
    assert weakest(table, np.array([0.1, 0.1, 0.8])).tolist() == [3]


def test_the_first_of_equally_weak_components_is_named() -> None:
    assert weakest(np.full((1, 3, 4), 0.5), WEIGHTS).tolist() == [0]


@pytest.mark.parametrize(
    "weights", [(0.5, 0.3, 0.2), [1, 0, 0], np.array([0.2, 0.2, 0.6]), (1 / 3, 1 / 3, 1 / 3)]
)
def test_three_weights_that_sum_to_one_are_taken(weights) -> None:
    checked = checked_weights(weights)
    assert (checked.shape, checked.dtype) == ((3,), np.float64)
    assert checked.tolist() == list(weights)


@pytest.mark.parametrize(
    "weights",
    [
        (0.5, 0.5),
        (0.4, 0.3, 0.2, 0.1),
        (),
        1.0,
        None,
        "abc",
        (0.5, 0.3, "late"),
        [(1, 0, 0)],
        (0.5, 0.3, 0.3),
        (1.2, -0.1, -0.1),
        (float("nan"), 0.5, 0.5),
        (float("inf"), 0.0, 0.0),
        (1e308, 1e308, 1e308),
    ],
    ids=str,
)
def test_other_weights_are_refused_with_a_fix(weights) -> None:
    with pytest.raises(ConfigError, match="weights") as caught:
        checked_weights(weights)
    assert "(0.5, 0.3, 0.2)" in caught.value.fix
