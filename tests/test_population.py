"""Percentiles within cohorts: mid-ranks, their sizes, and the reasons where there are none."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.population import (
    MEASURES,
    MIN_COHORT,
    SCORES,
    Standing,
    measures,
    moved,
    standing,
    weakest,
)
from dqi_tracking.names import METRICS
from dqi_tracking.types import COMPONENTS, PHASES, RunRef
from tests.insight_runs import clean_run
from tests.stamps import stamp_for
from tests.strategies import PROPERTY

# few values, so that ties are common; and any score
NUMBERS = st.one_of(st.integers(0, 5).map(lambda n: n / 5), st.floats(0, 1))
MAYBE = st.one_of(NUMBERS, NUMBERS, NUMBERS, st.just(float("nan")))
RUNS = st.lists(st.tuples(MAYBE, st.sampled_from("abc")), max_size=60)


@given(RUNS)
@PROPERTY
def test_percentiles_are_those_of_scipy_within_each_cohort(runs) -> None:
    values, cohort = [run[0] for run in runs], [run[1] for run in runs]
    found = standing(values, cohort)
    for row, (value, name) in enumerate(runs):
        members = [v for v, c in runs if c == name and np.isfinite(v)]
        assert found.cohort_size[row] == len(members)
        if np.isnan(value) or len(members) < MIN_COHORT:
            assert np.isnan(found.percentile[row])
            assert found.reason(row)
        else:
            expected = percentileofscore(members, value, kind="mean")
            assert found.percentile[row] == pytest.approx(expected, abs=1e-9)
            assert not found.reason(row)


@given(st.lists(NUMBERS, min_size=MIN_COHORT, max_size=60), st.randoms(use_true_random=False))
@PROPERTY
def test_percentiles_lie_between_0_and_100_around_50_whatever_the_order(values, random) -> None:
    found = standing(values).percentile
    assert found.min() > 0
    assert found.max() < 100
    assert found.mean() == pytest.approx(50)
    assert standing([-value for value in values]).percentile == pytest.approx(100 - found)
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = standing([values[row] for row in order]).percentile
    assert shuffled.tolist() == found[order].tolist()


def test_equal_runs_stand_alike_and_a_cohort_of_equals_at_50() -> None:
    assert standing([0.3] * 9).percentile.tolist() == [50.0] * 9
    found = standing([0.1] * 4 + [0.2] * 4).percentile
    assert found.tolist() == [25.0] * 4 + [75.0] * 4
    assert len(set(standing([0.0, -0.0] * 4).percentile)) == 1


@pytest.mark.parametrize("size", [1, 2, 7])
def test_a_cohort_that_is_too_small_gets_the_reason_and_no_number(size: int) -> None:
    found = standing(np.linspace(0, 1, size))
    assert np.isnan(found.percentile).all()
    assert found.cohort_size.tolist() == [size] * size
    runs = "1 run" if size == 1 else f"{size} runs"
    assert found.reason(0) == f"the cohort has only {runs} to compare with, 8 are needed"


def test_runs_without_a_number_count_in_no_cohort() -> None:
    values = [*np.linspace(0, 1, 8), np.nan, np.inf, -np.inf]
    found = standing(values)
    assert found.percentile[:8].tolist() == standing(values[:8]).percentile.tolist()
    assert found.cohort_size.tolist() == [8] * 11
    assert np.isnan(found.percentile[8:]).all()
    assert found.reason(8) == "the run has no finite number to compare"
    # one of the eight less, and none has a percentile
    assert np.isnan(standing([np.nan, *values[1:9]]).percentile).all()


def test_no_runs_and_labels_of_any_kind() -> None:
    assert standing([]).percentile.size == 0
    assert standing([], []).cohort_size.size == 0
    labels = [("exp", 1), ("exp", 2)] * 8
    assert standing(range(16), labels).cohort_size.tolist() == [8] * 16
    assert standing(range(16), np.array(["a", "b"] * 8)).cohort_size.tolist() == [8] * 16


def test_many_runs_in_many_cohorts_stand_as_each_cohort_alone() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(100_000).round(3)
    values[rng.random(values.size) < 0.1] = np.nan
    cohort = rng.integers(0, 40, values.size)
    found = standing(values, cohort.tolist())
    for code in range(40):
        alone = standing(values[cohort == code])
        assert np.array_equal(found.percentile[cohort == code], alone.percentile, equal_nan=True)
        assert (found.cohort_size[cohort == code] == alone.cohort_size).all()


def test_what_is_no_column_of_numbers_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 cohort labels for 3 runs"):
        standing([1, 2, 3], ["a", "b"])
    with pytest.raises(ConfigError, match="not a number"):
        standing(["high", "low"])
    with pytest.raises(ConfigError, match="2 dimensions"):
        standing([[1, 2], [3, 4]])


def written(n_runs: int) -> dict[str, list[float]]:
    """Return the metrics of scored runs by column, as a listing tells them."""
    runs = [clean_run(seed, n=60 + seed) for seed in range(n_runs)]
    stamps = [stamp_for(run, RunRef(str(row))) for row, run in enumerate(runs)]
    return {name: [stamp.metrics[name] for stamp in stamps] for name in METRICS}


def test_measures_are_scores_and_the_components_weighted_means() -> None:
    columns = written(9)
    found = measures(columns)
    assert tuple(found) == MEASURES
    for name in SCORES:
        assert found[name].tolist() == columns[name]
    for name in COMPONENTS:
        parts = [np.array(columns[f"dqi_{phase}_{name}"]) for phase in PHASES]
        assert found[name] == pytest.approx(0.5 * parts[0] + 0.3 * parts[1] + 0.2 * parts[2])
    late_only = measures(columns, weights=(0, 0, 1))
    assert late_only["density"].tolist() == columns["dqi_late_density"]


def test_measures_of_a_run_with_a_nan_phase_are_nan_and_of_a_full_one_at_most_1() -> None:
    columns = written(2)
    columns["dqi_mid_structure"][0] = float("nan")
    found = measures(columns)
    assert np.isnan(found["structure"][0])
    assert np.isfinite(found["structure"][1])
    full = measures({key: [1.0] for key in columns}, weights=(0.7, 0.2, 0.1))
    assert all(full[name].max() <= 1 for name in MEASURES)


def test_measures_say_what_is_missing() -> None:
    columns = written(2)
    with pytest.raises(ConfigError, match="no `dqi_mid_density`"):
        measures({name: each for name, each in columns.items() if name != "dqi_mid_density"})
    with pytest.raises(ConfigError, match="differ in length"):
        measures(columns | {"dqi_late": [0.5]})
    with pytest.raises(ConfigError, match="weights"):
        measures(columns, weights=(1, 1, 1))


def test_the_weakest_component_is_the_one_with_the_lowest_percentile() -> None:
    found = measures(written(12))
    standings = {name: standing(found[name]) for name in COMPONENTS}
    names = weakest(standings)
    for row, name in enumerate(names):
        percentiles = {each: standings[each].percentile[row] for each in COMPONENTS}
        assert percentiles[name] == min(percentiles.values())
    # by size alone it is the same one for every run
    assert len(set(names)) > 1
    equal = dict.fromkeys(COMPONENTS, standing([0.5] * 8))
    assert weakest(equal) == ["coverage"] * 8


def test_a_run_without_percentiles_has_no_weakest_component() -> None:
    few = dict.fromkeys(COMPONENTS, standing([0.1, 0.2]))
    assert weakest(few) == [None, None]
    rows = dict.fromkeys(COMPONENTS, standing([*range(8), np.nan]))
    assert weakest(rows)[-1] is None


def test_a_percentile_is_written_again_when_it_moved_by_a_point() -> None:
    nan = float("nan")
    before, now = [50, 50, 50, nan, 50, nan], [50.5, 51, 48.9, 50, nan, nan]
    assert moved(before, now).tolist() == [False, True, True, True, True, False]


def test_a_standing_travels_between_processes_and_does_not_change() -> None:
    found = standing(range(9))
    again = pickle.loads(pickle.dumps(found))
    assert isinstance(again, Standing)
    assert again.percentile.tolist() == found.percentile.tolist()
    with pytest.raises(AttributeError):
        found.percentile = np.zeros(9)
