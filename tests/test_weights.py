"""Learned phase weights: what was planted is found, and chance is told from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from scipy.stats import rankdata, spearmanr
from sklearn.model_selection import LeaveOneGroupOut, cross_val_score

from dqi_tracking import ConfigError
from dqi_tracking.insight.weighing.estimator import PhaseWeights, order
from dqi_tracking.insight.weighing.fitting import SHARES, fit, least_squares, moments
from dqi_tracking.insight.weighing.groups import MIN_IN_GROUP, grouped, order_within
from dqi_tracking.insight.weighing.result import WeightFit
from dqi_tracking.insight.weighing.validation import leave_one_group_out
from dqi_tracking.insight.weights import MIN_GROUPS, MIN_RUNS, fit_weights

NAN, INF = math.nan, math.inf
DEFAULT = (0.5, 0.3, 0.2)
QUICK = {"n_permutations": 39, "n_bootstrap": 100}
Runs = tuple[np.ndarray, np.ndarray, np.ndarray]


def planted(
    weights: tuple[float, float, float] | None,
    *,
    n_groups: int = 8,
    size: int = 15,
    noise: float = 0.05,
    seed: int = 0,
) -> Runs:
    """Return runs whose loss falls with a weighted score, or with nothing; groups lie far apart."""
    rng = np.random.default_rng(seed)
    scores = rng.random((n_groups * size, 3))
    groups = np.repeat([f"g{number}" for number in range(n_groups)], size)
    of_group = np.repeat(rng.normal(scale=100, size=n_groups), size)
    effect = np.zeros(len(scores)) if weights is None else scores @ np.array(weights)
    return scores, of_group - effect + rng.normal(scale=noise, size=len(scores)), groups


def quick(runs: Runs, **given: object) -> WeightFit:
    return fit_weights(*runs, **{**QUICK, **given})


@pytest.mark.parametrize("truth", [(0.0, 0.0, 1.0), (0.1, 0.8, 0.1), (0.0, 0.5, 0.5)])
def test_planted_weights_are_found_and_supported(truth: tuple[float, float, float]) -> None:
    found = quick(planted(truth))
    assert found.is_supported
    assert found.reasons == ()
    assert np.abs(np.subtract(found.weights, truth)).max() < 0.12
    for (low, high), weight in zip(found.intervals, found.weights, strict=True):
        assert 0 <= low <= weight <= high <= 1
    by_rule = {skill.rule: skill for skill in found.skills}
    assert by_rule["learned"].within > by_rule["default"].within > 0
    assert found.gain == pytest.approx(by_rule["learned"].within - by_rule["default"].within)
    assert 0 < found.gain_interval[0] <= found.gain <= found.gain_interval[1]
    assert found.p == pytest.approx(1 / 40)


def test_where_the_default_is_the_truth_no_others_are_supported() -> None:
    found = quick(planted(DEFAULT))
    assert not found.is_supported
    assert found.p == pytest.approx(1 / 40)
    assert {skill.rule: skill.within > 0.8 for skill in found.skills}["default"]


def test_chance_is_hardly_ever_taken_for_support() -> None:
    supported = [quick(planted(None, noise=1, seed=seed)).is_supported for seed in range(20)]
    assert sum(supported) <= 2


def test_a_score_that_falls_with_better_outcomes_teaches_nothing() -> None:
    scores, outcomes, groups = planted(DEFAULT)
    found = quick((scores, -outcomes, groups))
    assert (found.weights, found.share, found.is_fitted) == (DEFAULT, 0.0, True)
    assert not found.is_supported
    assert any("no other weights" in reason for reason in found.reasons)
    turned = quick((scores, -outcomes, groups), lower_is_better=False)
    assert turned.skills[0].within > 0.8


def test_a_confound_of_groups_is_no_support() -> None:
    """Groups with higher scores have lower losses; within a group there is nothing."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(10), 12)
    level = np.repeat(rng.random(10), 12)
    scores = np.clip(level[:, None] + rng.normal(scale=0.02, size=(120, 3)), 0, 1)
    found = quick((scores, -10 * level + rng.normal(scale=0.01, size=120), groups))
    by_rule = {skill.rule: skill for skill in found.skills}
    assert by_rule["default"].pooled > 0.8
    assert by_rule["group only"].pooled > 0.9
    assert by_rule["group only"].within == 0
    assert not found.is_supported


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1_000), st.integers(2, 6), st.integers(4, 9))
def test_weights_are_weights_and_only_order_counts(seed: int, n_groups: int, size: int) -> None:
    scores, outcomes, groups = planted(None, n_groups=n_groups, size=size, noise=1, seed=seed)
    few = {"n_permutations": 1, "n_bootstrap": 5}
    found = fit_weights(scores, outcomes, groups, **few)
    assert min(found.weights) >= 0
    assert sum(found.weights) == pytest.approx(1, abs=1e-12)
    assert found.share in SHARES
    assert all(-1 <= value <= 1 for pair in found.by_group for value in pair)
    other = fit_weights(scores, np.exp(outcomes / 300), groups, **few)
    assert (other.weights, other.by_group) == (found.weights, found.by_group)
    flipped = fit_weights(scores, -outcomes, groups, lower_is_better=False, **few)
    assert (flipped.weights, flipped.by_group) == (found.weights, found.by_group)
    order = np.random.default_rng(seed).permutation(len(outcomes))
    mixed = fit_weights(scores[order], outcomes[order], groups[order], **few)
    assert mixed.weights == pytest.approx(found.weights, abs=1e-6)


def test_the_same_runs_give_the_same_fit() -> None:
    assert quick(planted((0, 0, 1.0), noise=0.5)) == quick(planted((0, 0, 1.0), noise=0.5))


def test_least_squares_is_that_of_the_stacked_runs() -> None:
    for seed in range(20):
        scores, outcomes, groups = planted((0.2, 0, 0.8), noise=0.4, seed=seed)
        runs, _ = grouped(scores, -outcomes, groups)
        found = least_squares(moments(runs.scores, runs.ranks, runs.codes))
        rows, target = [], []
        for group in np.unique(groups):
            inside = groups == group
            centred = scores[inside] - scores[inside].mean(axis=0)
            ranks = rankdata(-outcomes[inside])
            rows.append(centred)
            target.append((ranks - ranks.mean()) / ranks.std())
        stacked = nnls(np.vstack(rows), np.concatenate(target))[0]
        assert found == pytest.approx(stacked / stacked.sum(), abs=1e-8)


def test_order_is_the_rank_correlation_of_each_group() -> None:
    scores, outcomes, groups = planted(None, noise=1)
    outcomes = np.round(outcomes, 1)
    runs, _ = grouped(scores, -outcomes, groups)
    found = order_within(runs.scores[:, 0], runs.ranks, runs.codes)
    for number, name in enumerate(runs.names):
        inside = groups == name
        expected = spearmanr(scores[inside, 0], -outcomes[inside]).statistic
        assert found[number] == pytest.approx(expected, abs=1e-12)


def test_a_group_left_out_teaches_nothing_of_itself() -> None:
    """Weights for a group come out the same whatever its outcomes are."""
    scores, outcomes, groups = planted((0, 0, 1.0), noise=0.3)
    before, _ = grouped(scores, -outcomes, groups)
    last = groups == "g7"
    other = np.where(last, outcomes[::-1], outcomes)
    after, _ = grouped(scores, -other, groups)
    same = before.codes == 7
    assert np.array_equal(leave_one_group_out(before)[same], leave_one_group_out(after)[same])


def test_the_permutation_test_judges_what_is_told() -> None:
    runs, _ = grouped(*planted(None, noise=1))
    table = np.column_stack((runs.scores, runs.codes))
    by_library = cross_val_score(
        PhaseWeights(), table, runs.ranks, groups=runs.codes, cv=LeaveOneGroupOut(), scoring=order
    )
    own = order_within(leave_one_group_out(runs), runs.ranks, runs.codes)
    assert by_library == pytest.approx(own, abs=1e-12)


def test_no_share_is_chosen_on_a_single_group() -> None:
    runs, _ = grouped(*planted((0, 0, 1.0), n_groups=1))
    assert fit(moments(runs.scores, -runs.ranks, runs.codes)).share == 1


class TestWhatCannotBeFitted:
    def test_one_group_is_fitted_but_held_against_nothing(self) -> None:
        found = quick(planted((0, 0, 1.0), n_groups=1, size=40))
        assert (found.is_fitted, found.is_supported) == (True, False)
        assert found.weights[2] > 0.8
        assert "one group only" in found.reasons[0]
        unknown = [
            found.p,
            found.gain,
            found.optimism,
            found.skills[0].within,
            found.by_group[0][0],
        ]
        assert all(map(math.isnan, [*unknown, *found.gain_interval, *found.intervals[0]]))
        assert found.skills[1].rule == "default"
        assert found.skills[1].within > 0

    def test_few_groups_support_nothing(self) -> None:
        found = quick(planted((0, 0, 1.0), n_groups=MIN_GROUPS - 1, size=30))
        assert not found.is_supported
        assert found.reasons == (f"there are {MIN_GROUPS - 1} groups; it takes {MIN_GROUPS}",)

    def test_fewer_than_eight_runs(self) -> None:
        found = quick(planted((0, 0, 1.0), n_groups=1, size=MIN_RUNS - 1))
        assert (found.weights, found.is_fitted, found.is_supported) == (DEFAULT, False, False)
        assert found.reasons == ("7 runs can be compared; it takes 8",)

    def test_a_constant_outcome(self) -> None:
        scores, _, groups = planted(None)
        found = quick((scores, np.full(len(scores), 0.25), groups))
        assert not found.is_fitted
        assert "same on all runs" in found.reasons[0]

    def test_scores_that_are_all_the_same(self) -> None:
        scores, outcomes, groups = planted(None)
        found = quick((np.full_like(scores, 0.3), outcomes, groups))
        assert (found.is_fitted, found.reasons) == (
            False,
            ("the phase scores are the same on all runs",),
        )

    def test_nothing_at_all(self) -> None:
        found = quick((np.empty((0, 3)), np.empty(0), np.empty(0)))
        assert (found.is_fitted, found.n_runs, found.groups) == (False, 0, ())

    def test_what_is_missing_is_left_out_and_counted_once(self) -> None:
        scores, outcomes, groups = planted((0, 0, 1.0), noise=0.01)
        outcomes[:60:2] = NAN
        scores[1, 0] = scores[2, 1] = NAN
        more = (
            np.vstack([scores, np.full((3 + 5, 3), 0.5)]),
            np.concatenate([outcomes, [1, 2, 3], [7.0] * 5]),
            np.concatenate([groups, ["small"] * 3, ["equal"] * 5]),
        )
        found = quick(more)
        left = found.left_out
        assert (left.no_score, left.no_outcome) == (2, 29)
        assert (left.small_group, left.constant_group) == (MIN_IN_GROUP - 1, 5)
        assert found.n_runs == len(more[1]) - 2 - 29 - 3 - 5
        assert sum(found.sizes) == found.n_runs
        kept = np.isfinite(more[0]).all(axis=1) & ~np.isnan(more[1])
        assert quick(tuple(each[kept] for each in more)).weights == found.weights

    def test_an_infinite_outcome_is_the_worst(self) -> None:
        scores, outcomes, groups = planted((0, 0, 1.0))
        worst = [
            np.flatnonzero(groups == group)[outcomes[groups == group].argmax()]
            for group in ["g0", "g1"]
        ]
        infinite = outcomes.copy()
        infinite[worst] = INF
        assert (
            quick((scores, infinite, groups)).weights == quick((scores, outcomes, groups)).weights
        )

    @pytest.mark.parametrize(
        ("scores", "outcomes", "groups"),
        [
            (np.ones((3, 3)), np.ones(2), ["a"] * 3),
            (np.ones((3, 3)), np.ones(3), ["a"] * 2),
            (np.ones((3, 3)), np.ones((3, 1)), ["a"] * 3),
            (np.ones((3, 2)), np.ones(3), ["a"] * 3),
        ],
    )
    def test_arrays_that_do_not_go_together(
        self, scores: np.ndarray, outcomes: np.ndarray, groups: list[str]
    ) -> None:
        with pytest.raises(ConfigError) as refusal:
            fit_weights(scores, outcomes, groups)
        assert refusal.value.fix
