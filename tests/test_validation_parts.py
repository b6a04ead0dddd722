"""The parts of a validation against scikit-learn and SciPy, and what they guard against."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import LeaveOneGroupOut, permutation_test_score

from dqi_tracking.insight.outcome import Features
from dqi_tracking.insight.validating.question import Question, ask
from dqi_tracking.insight.validating.ranks import group_rho, within_ranks
from dqi_tracking.insight.validating.ridge import PENALTIES, by_folds, nested
from dqi_tracking.insight.validating.shuffling import holm, p_value, shuffles
from dqi_tracking.insight.validating.splits import k_folds, single_runs
from dqi_tracking.insight.validating.testing import controls, ridge_p
from tests.outcome_runs import by_configuration, noise_runs, normal
from tests.strategies import FEW

LEVEL = 0.05


def question(seed: int = 0, *, strength: float = 0.5, n_groups: int = 4) -> Question:
    runs = noise_runs(seed, n_groups=n_groups)
    outcome = strength * runs.features["signal"] + normal(seed + 50, len(runs.groups))
    return ask(runs.features, outcome, runs.groups)


@FEW
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-5, 5) | st.just(np.nan)), max_size=40))
def test_ranks_are_those_of_scipy_within_each_group(rows: list[tuple[int, float]]) -> None:
    codes = np.array([group for group, _ in rows], dtype=np.int64)
    values = np.array([value for _, value in rows], dtype=float)
    found = within_ranks(values[:, None], codes)[:, 0]
    for code in np.unique(codes):
        own = (codes == code) & ~np.isnan(values)
        place = rankdata(values[own])
        np.testing.assert_allclose(found[own] * own.sum(), place - (own.sum() + 1) / 2)
    assert (found[np.isnan(values)] == 0).all()


def test_group_rho_is_spearmans() -> None:
    first, second = np.round(normal(1, 40), 1), np.round(normal(2, 40), 1)
    codes = np.repeat([0, 1], 20)
    ranks = within_ranks(second[:, None], codes)
    found = group_rho(first[:, None], ranks, codes)[:, 0]
    expected = [spearmanr(first[codes == code], second[codes == code])[0] for code in (0, 1)]
    np.testing.assert_allclose(found, expected)
    assert (group_rho(np.ones((40, 1)), ranks, codes) == 0).all()


def sklearn_ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> Ridge:
    return Ridge(alpha=penalty * len(x) / 12, fit_intercept=False).fit(x, y)


def test_nested_ridge_is_the_double_loop_with_scikit_learn() -> None:
    asked = question()
    outcomes = np.column_stack((asked.y, asked.y[::-1]))
    found = nested(asked.x, outcomes, asked.codes)
    split = LeaveOneGroupOut()
    for column, y in enumerate(outcomes.T):
        for training, held_out in split.split(asked.x, y, asked.codes):
            x, own, codes = asked.x[training], y[training], asked.codes[training]
            errors = np.zeros(len(PENALTIES))
            for inner, judge in split.split(x, own, codes):
                for at, penalty in enumerate(PENALTIES):
                    model = sklearn_ridge(x[inner], own[inner], penalty)
                    errors[at] += np.mean((model.predict(x[judge]) - own[judge]) ** 2)
            model = sklearn_ridge(x, own, PENALTIES[errors.argmin()])
            expected = model.predict(asked.x[held_out])
            np.testing.assert_allclose(found[held_out, column], expected, atol=1e-12)


@pytest.mark.parametrize("folds", [k_folds(60, 0), single_runs(60)], ids=["ten", "single"])
def test_folds_are_predicted_by_the_other_rows(folds: list[np.ndarray]) -> None:
    asked = question()
    found = by_folds(asked.x, asked.y[:, None], folds, 0.1)[:, 0]
    assert sorted(np.concatenate(folds).tolist()) == list(range(60))
    for held_out in folds[:5]:
        training = np.setdiff1d(np.arange(60), held_out)
        model = sklearn_ridge(asked.x[training], asked.y[training], 0.1)
        np.testing.assert_allclose(found[held_out], model.predict(asked.x[held_out]), atol=1e-12)


@pytest.mark.parametrize("strength", [0.0, 0.25])
def test_the_permutation_test_is_that_of_scikit_learn(strength: float) -> None:
    asked = question(1, strength=strength)
    x = asked.x[:, :1]  # the penalty of one feature does not change an order
    moved = shuffles(asked.codes, asked.configurations, 999, 0)
    rho, p = ridge_p(asked, x, moved)

    def own_rho(y: np.ndarray, predicted: np.ndarray) -> float:
        return float(spearmanr(y, predicted)[0])

    expected, _, expected_p = permutation_test_score(
        Ridge(alpha=1.0, fit_intercept=False),
        x,
        asked.y,
        groups=asked.codes,
        cv=LeaveOneGroupOut(),
        scoring=make_scorer(own_rho),
        n_permutations=150,
        random_state=0,
    )
    assert rho == pytest.approx(expected, abs=1e-9)
    assert p == pytest.approx(expected_p, abs=0.1)


@FEW
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=40),
    st.integers(0, 1000),
)
def test_shuffles_exchange_runs_within_groups(rows: list[tuple[int, int]], seed: int) -> None:
    _, codes = np.unique([group for group, _ in rows], return_inverse=True)
    configurations = np.array([10 * group + block for group, block in rows])
    moved = shuffles(codes, configurations, 20, seed)
    assert (np.sort(moved, axis=0) == np.arange(codes.size)[:, None]).all()
    assert (codes[moved] == codes[:, None]).all()
    np.testing.assert_array_equal(moved, shuffles(codes, configurations, 20, seed))


def test_configurations_of_one_size_move_whole_and_to_every_place() -> None:
    configurations = np.tile(np.repeat(np.arange(4), 3), 2)
    codes = np.repeat([0, 1], 12)
    moved = shuffles(codes, configurations + 4 * codes, 300, 0)
    blocks = configurations[moved].reshape(2, 4, 3, 300)
    assert (blocks == blocks[:, :, :1]).all()
    for place in range(4):
        counts = np.bincount(blocks[0, place, 0], minlength=4)
        assert (counts > 45).all()
    assert len({tuple(column) for column in moved.T.tolist()}) > 290


def test_shuffling_whole_configurations_is_not_fooled_by_repeats() -> None:
    fooled, honest, n_sets = 0, 0, 60
    for seed in range(n_sets):
        runs = noise_runs(seed)
        signal = by_configuration(1000 + seed, runs)
        outcome = by_configuration(5000 + seed, runs)
        table = Features(("signal",), signal[:, None])
        alone = ask(table, outcome, runs.groups)
        whole = ask(table, outcome, runs.groups, runs.configurations)
        for asked in (alone, whole):
            moved = shuffles(asked.codes, asked.configurations, 99, seed)
            found = ridge_p(asked, asked.x, moved)[1] <= LEVEL
            fooled += found and asked is alone
            honest += found and asked is whole
    # chance finds 3 of 60; 9 or more come once in 400 times
    assert honest <= 8
    assert fooled >= 9


def test_enough_runs_tell_a_planted_signal_from_noise() -> None:
    asked = question(2, strength=0.0, n_groups=12)
    noise, planted = controls(asked, 3, 0)
    assert noise.passed
    assert planted.passed
    assert abs(noise.mean_rho) < 0.1 < 0.3 < planted.mean_rho


def test_adjusted_p_values_are_holms() -> None:
    assert holm([0.01, 0.04, 0.03], 1) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, 0.04], 3) == pytest.approx([0.06, 0.12])
    assert holm([0.9, 0.8], 5) == [1.0, 1.0]


def test_a_p_value_is_never_zero_and_ties_count_against() -> None:
    assert p_value(1.0, np.zeros(99)) == 0.01
    assert p_value(0.0, np.zeros(99)) == 1.0
    assert p_value(0.3, np.array([0.3 - 1e-12, 0.1])) == pytest.approx(2 / 3)


def test_unknown_configurations_are_runs_of_their_own() -> None:
    runs = noise_runs(n_groups=3, size=8)
    labels = [None, np.nan, "", "a", "a", "b", "b", "b"] * 3
    asked = ask(runs.features, normal(1, 24), runs.groups, labels)
    # three of their own, and two of a name, in each group apart
    assert asked.n_configurations == 3 * 5
    assert len(set(asked.configurations[:8])) == 5
