"""Curves in a saved population: exact, and refused where they are not ours to read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import History
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.binning import N_BINS
from dqi_tracking.insight.checks import CohortCurves, measure
from dqi_tracking.insight.population import MEASURES
from dqi_tracking.insight.saved_population import Population, reference
from tests.insight_runs import clean_run
from tests.strategies import FEW, histories

NAME = 'a "], \u202e<b>\n\x1b[31m'


def population(curves: CohortCurves) -> Population:
    scores = dict.fromkeys(MEASURES, np.linspace(0.1, 0.9, 9))
    whole = Population.of(scores, [NAME] * 9, name="tests")
    return Population(whole.name, whole.cohorts, curves={NAME: curves})


def cohort() -> CohortCurves:
    lengths = (200, 200, 200, 200, 150, 30, 8, 1, 400)
    return CohortCurves.of(clean_run(seed, n=n) for seed, n in enumerate(lengths))


@given(st.lists(histories(), min_size=8, max_size=12), histories())
@FEW
def test_what_is_measured_against_saved_curves_is_what_is_measured_against_the_runs(
    runs: list[History], run: History
) -> None:
    try:
        before = CohortCurves.of(runs)
    except ConfigError:
        return
    text = population(before).to_json()
    after = Population.from_json(text).curves[NAME]
    assert population(after).to_json() == text
    assert measure(run, cohort=after) == measure(run, cohort=before)


def test_runs_of_other_lengths_and_too_few_rows_come_back() -> None:
    before = cohort()
    after = Population.from_json(population(before).to_json()).curves[NAME]
    for name in ("levels", "noise", "interval"):
        assert np.array_equal(getattr(after, name), getattr(before, name), equal_nan=True)
    assert (after.start_step, after.stop_step) == (before.start_step, before.stop_step)
    assert np.isnan(after.noise).any()
    assert np.isnan(after.levels).any()


def test_sixty_curves_are_some_ten_kilobytes_each_ten() -> None:
    curves = CohortCurves.of(clean_run(seed) for seed in range(60))
    assert len(population(curves).to_json()) < 80_000


def test_a_file_of_before_there_were_curves_is_read() -> None:
    content = json.loads(population(cohort()).to_json())
    del content["curves"], content["insight_version"]
    found = Population.from_json(json.dumps(content))
    assert found.curves == {}
    assert found.cohort(NAME).size == 9
    assert reference().curves == {}


def test_curves_of_another_insight_version_are_refused() -> None:
    content = json.loads(population(cohort()).to_json()) | {"insight_version": "0.0.1"}
    with pytest.raises(ConfigError, match=r"insight version '0\.0\.1', this is version") as caught:
        Population.from_json(json.dumps(content))
    assert "save the population again" in caught.value.fix


def put(*path: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        inner: Any = content["curves"][NAME]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("start_step", value=None),
        put("start_step", value="0"),
        put("start_step", value=10.0**300),
        put("stop_step", value=float("nan")),
        put("stop_step", value=10**400),
        put("runs", value={}),
        put("runs", value=[]),
        put("runs", value=None),
        put("runs", value=[[1.0] * (N_BINS + 2)] * 7),
        put("runs", value=[[1.0] * (N_BINS // 2 + 2)] * 9),
        put("runs", 0, value=[1.0] * (N_BINS + 3)),
        put("runs", 0, value="1" * (N_BINS + 2)),
        put("runs", 0, value={}),
        put("runs", 0, 0, value=-1.0),
        put("runs", 0, 1, value=-0.1),
        put("runs", 0, 5, value="1.0"),
        put("runs", 0, 5, value=True),
        put("runs", 0, 5, value=float("inf")),
        put("runs", 0, 5, value=[1.0]),
    ],
)
def test_curves_that_were_edited_into_something_else_are_refused(
    change: Callable[[dict[str, Any]], None],
) -> None:
    content = json.loads(population(cohort()).to_json())
    change(content)
    with pytest.raises(ConfigError, match="damaged") as caught:
        Population.from_json(json.dumps(content))
    assert caught.value.fix


@pytest.mark.parametrize(
    "change",
    [
        {"insight_version": ...},
        {"curves": None},
        {"curves": []},
        {"curves": {NAME: None}},
        {"curves": {"no such cohort": {}}},
    ],
)
def test_a_file_whose_curves_are_of_no_cohort_is_refused(change: dict[str, Any]) -> None:
    content = json.loads(population(cohort()).to_json()) | change
    content = {key: value for key, value in content.items() if value is not ...}
    with pytest.raises(ConfigError, match="damaged"):
        Population.from_json(json.dumps(content))
