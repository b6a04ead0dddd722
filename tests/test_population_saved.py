"""Saved populations: as exact as they say, and refused where they are not ours to read."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import percentileofscore

from dqi_tracking import History, score_many
from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.cohort_quantiles import N_QUANTILES
from dqi_tracking.insight.population import MEASURES, MIN_COHORT, standing, weakest
from dqi_tracking.insight.saved_population import Population, reference
from dqi_tracking.types import COMPONENTS
from tests.strategies import PROPERTY

HOSTILE = 'a "], \u202e<b>\n{"runs"} \x1b[31m'


def population(values: np.ndarray, cohort: str = "own") -> Population:
    """Return a population whose runs have the same number in every measure."""
    return Population.of(dict.fromkeys(MEASURES, values), [cohort] * len(values), name="tests")


def skewed(n: int, seed: int) -> np.ndarray:
    """Draw scores as runs have them: over decades, with many that are equal."""
    rng = np.random.default_rng(seed)
    values = 10.0 ** rng.uniform(-6, 0, n)
    values[rng.random(n) < rng.choice([0, 0.2])] = 0.0
    values[rng.random(n) < rng.choice([0, 0.3])] = 1.0
    return np.where(rng.random(n) < 0.3, values.round(1), values)


@given(st.integers(MIN_COHORT, 3_000), st.integers(0, 2**32 - 1))
@PROPERTY
def test_a_saved_percentile_is_off_by_a_point_and_half_a_run_at_most(n: int, seed: int) -> None:
    values = skewed(n, seed)
    rng = np.random.default_rng(seed)
    asked = np.concatenate((rng.choice(values, 20), rng.random(20), [0.0, 1.0, 5e-324]))
    found = population(values).cohort("own").standing("dqi", asked)
    assert ((found.percentile >= 0) & (found.percentile <= 100)).all()
    ordered = np.sort(values)
    below = np.searchsorted(ordered, asked, side="left")
    not_above = np.searchsorted(ordered, asked, side="right")
    exact = 50 * (below + not_above) / n
    assert np.abs(found.percentile - exact).max() <= 1 + 50 / n + 1e-9


@given(st.lists(st.floats(0, 1), min_size=MIN_COHORT, max_size=N_QUANTILES))
@PROPERTY
def test_a_cohort_of_up_to_101_runs_is_saved_exactly(values: list[float]) -> None:
    cohort = population(np.array(values)).cohort("own")
    found = cohort.standing("dqi_late", values)
    assert found.percentile == pytest.approx(standing(values).percentile, abs=1e-9)
    assert found.cohort_size.tolist() == [len(values)] * len(values)


@given(st.integers(MIN_COHORT, 500), st.integers(0, 2**32 - 1))
@PROPERTY
def test_percentiles_rise_with_the_score(n: int, seed: int) -> None:
    asked = np.sort(np.random.default_rng(seed).random(50))
    found = population(skewed(n, seed)).cohort("own").standing("dqi", asked).percentile
    assert (np.diff(found) >= -1e-9).all()


def test_outside_of_all_runs_is_0_and_100_and_equal_runs_stand_at_50() -> None:
    cohort = population(np.linspace(0.2, 0.8, 500)).cohort("own")
    assert cohort.standing("dqi", [0.1, 0.9, 0.5]).percentile == pytest.approx([0, 100, 50])
    for n in (8, 101, 102, 5_000):
        equal = population(np.full(n, 0.3)).cohort("own").standing("dqi", [0.1, 0.3, 0.7])
        assert equal.percentile == pytest.approx([0, 50, 100])


def test_a_population_comes_back_from_its_text_to_the_last_digit() -> None:
    values = np.concatenate((skewed(300, 1), skewed(20, 2), skewed(5, 3)))
    cohort = ["large"] * 300 + [HOSTILE] * 20 + ["small"] * 5
    scores = {name: values ** (row + 1) for row, name in enumerate(MEASURES)}
    sources = [{"name": HOSTILE, "licence": "MIT", "runs": 325}]
    before = Population.of(scores, cohort, name=HOSTILE, sources=sources)
    text = before.to_json()
    after = Population.from_json(text)
    assert after.to_json() == text
    assert (after.name, after.sources, after.version) == (HOSTILE, tuple(sources), ENGINE_VERSION)
    asked = np.linspace(0, 1, 99)
    for name, saved in before.cohorts.items():
        for measure in MEASURES:
            one = saved.standing(measure, asked).percentile
            other = after.cohort(name).standing(measure, asked).percentile
            assert np.array_equal(one, other, equal_nan=True)


def test_many_runs_make_a_small_text() -> None:
    text = population(skewed(100_000, 0)).to_json()
    assert len(text) < 20_000


def test_a_cohort_that_is_too_small_is_named_with_its_size_and_gives_no_percentile() -> None:
    values = skewed(15, 0)
    values[-1] = np.nan
    scores = dict.fromkeys(MEASURES, values)
    found = Population.of(scores, ["enough"] * 8 + ["few"] * 7, name="tests")
    again = Population.from_json(found.to_json()).cohort("few").standing("dqi", [0.5, np.nan])
    assert np.isnan(again.percentile).all()
    assert again.reason(0) == "the cohort has only 6 runs to compare with, 8 are needed"
    assert again.reason(1) == "the run has no finite number to compare"


def test_what_makes_no_population_is_refused() -> None:
    scores = dict.fromkeys(MEASURES, skewed(9, 0))
    with pytest.raises(ConfigError, match="has 3 runs with scores") as caught:
        Population.of(scores, list("abc") * 3, name="tests")
    assert "8 scored runs" in caught.value.fix
    with pytest.raises(ConfigError, match="outside of"):
        Population.of(scores | {"dqi": np.arange(9)}, ["a"] * 9, name="tests")
    with pytest.raises(ConfigError, match="no `structure`"):
        Population.of({n: scores[n] for n in MEASURES if n != "structure"}, ["a"] * 9, name="t")
    with pytest.raises(ConfigError, match="the 8 cohort labels"):
        Population.of(scores, ["a"] * 8, name="tests")
    with pytest.raises(ConfigError, match="largest of 0 cohorts"):
        Population.of({key: [] for key in MEASURES}, [], name="tests")


def test_a_cohort_or_measure_that_is_not_there_is_told_with_those_that_are() -> None:
    found = population(skewed(9, 0))
    with pytest.raises(ConfigError, match="no cohort 'other'") as caught:
        found.cohort("other")
    assert "'own'" in caught.value.fix
    with pytest.raises(ConfigError, match="no `loss`"):
        found.cohort("own").standing("loss", [0.5])


def test_a_population_of_another_engine_version_is_refused() -> None:
    content = json.loads(population(skewed(9, 0)).to_json())
    content["engine_version"] = "0"
    with pytest.raises(ConfigError, match="engine version '0', this is version") as caught:
        Population.from_json(json.dumps(content))
    assert "save the population again" in caught.value.fix


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '"x"', "null", "[" * 100_000])
def test_what_is_no_population_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a population") as caught:
        Population.from_json(text)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), ...),
        (("sources",), "abc"),
        (("sources",), None),
        (("cohorts",), []),
        (("cohorts", "own"), 3),
        (("cohorts", "own", "runs"), ...),
        (("cohorts", "own", "runs"), 8),
        (("cohorts", "own", "runs"), True),
        (("cohorts", "own", "runs"), -1),
        (("cohorts", "own", "runs"), 10**400),
        (("cohorts", "own", "runs"), 9.0),
        (("cohorts", "own", "quantiles"), {}),
        (("cohorts", "own", "quantiles", "dqi"), ...),
        (("cohorts", "own", "quantiles", "dqi"), [0.5] * 8),
        (("cohorts", "own", "quantiles", "dqi"), [0.5] * 8 + [0.4]),
        (("cohorts", "own", "quantiles", "dqi"), [0.5] * 8 + [1.5]),
        (("cohorts", "own", "quantiles", "dqi"), [-0.5] + [0.5] * 8),
        (("cohorts", "own", "quantiles", "dqi"), [0.5] * 8 + [float("nan")]),
        (("cohorts", "own", "quantiles", "dqi"), [0.5] * 8 + ["0.6"]),
        (("cohorts", "own", "quantiles", "dqi"), [0.5] * 8 + [True]),
        (("cohorts", "own", "quantiles", "dqi"), [0.5] * 8 + [10**400]),
        (("cohorts", "own", "quantiles", "dqi"), [[0.5]] * 9),
        (("cohorts", "own", "quantiles", "dqi"), None),
        (("cohorts", "own", "quantiles", "extra"), [0.5] * 9),
    ],
)
def test_a_damaged_population_is_refused(path: tuple[str, ...], value: object) -> None:
    content = json.loads(population(skewed(9, 0)).to_json())
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    with pytest.raises(ConfigError, match="damaged") as caught:
        Population.from_json(json.dumps(content))
    assert caught.value.fix


def test_the_reference_tells_its_families_sources_licences_and_counts() -> None:
    found = reference()
    sizes = {name: cohort.size for name, cohort in found.cohorts.items()}
    assert sum(sizes.values()) == sum(source["runs"] for source in found.sources)
    assert sorted(sizes) == sorted(f for source in found.sources for f in source["families"])
    assert min(sizes.values()) >= MIN_COHORT
    assert {source["licence"] for source in found.sources} == {"Apache-2.0", "MIT"}
    assert all(source["repository"].startswith("https://") for source in found.sources)
    size = files("dqi_tracking.insight").joinpath("reference_population.json").stat().st_size
    assert size < 100_000


def test_the_reference_holds_what_this_engine_says_of_the_demos_runs() -> None:
    """The demo's runs are some of the reference's: small cohorts hold their very scores."""
    with files("dqi_tracking.demo").joinpath("runs.csv").open(encoding="utf-8") as file:
        about = pd.read_csv(file).set_index("run")
    with files("dqi_tracking.demo").joinpath("curves.parquet").open("rb") as file:
        curves = pd.read_parquet(file)
    losses = curves[curves["key"].isin(["loss", "train_loss"])].groupby("run", observed=True)
    names = [str(name) for name, _ in losses]
    scores = score_many(History(rows["step"], rows["value"]) for _, rows in losses)
    compared = exact = 0
    for name, score in zip(names, scores, strict=True):
        workload = about.loc[name, "workload"]
        family = workload if workload in reference().cohorts else about.loc[name, "source"]
        cohort = reference().cohort(family)
        kept = cohort.quantiles["dqi"]
        if not np.isfinite(score.dqi):
            continue
        compared += 1
        assert kept[0] <= score.dqi <= kept[-1]
        if cohort.size <= N_QUANTILES:
            exact += 1
            assert score.dqi == pytest.approx(kept[np.abs(kept - score.dqi).argmin()], abs=1e-12)
    assert compared >= 20
    assert exact >= 5


def test_the_weakest_component_against_a_population() -> None:
    cohort = reference().cohort("wmt")
    middle = {name: float(np.median(cohort.quantiles[name])) for name in COMPONENTS}
    for name in ("variation", "structure"):
        run = middle | {name: 0.0}
        standings = {each: cohort.standing(each, [run[each]]) for each in COMPONENTS}
        assert weakest(standings) == [name]
        assert percentileofscore(cohort.quantiles[name], 0.0) <= standings[name].percentile[0]
