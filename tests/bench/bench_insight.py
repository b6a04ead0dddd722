"""What the states and the direct checks cost. Nothing is asserted of time."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.insight.checks import CohortCurves, check
from dqi_tracking.insight.convergence import states
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.types import History

RUNS, ROWS = 1_000, 1_000


@pytest.fixture(scope="module")
def runs() -> list[History]:
    made = []
    for seed in range(RUNS):
        rng = np.random.default_rng(seed)
        step = 10.0 * np.arange(ROWS)
        loss = np.exp(-np.arange(ROWS) / 200) + rng.normal(scale=0.05, size=ROWS)
        made.append(History(step, loss, np.abs(rng.normal(1, 0.2, ROWS))))
    return made


def test_states(benchmark, runs) -> None:
    found = benchmark(states, runs)
    assert len(found) == RUNS


def test_states_with_validation(benchmark, runs) -> None:
    validations = [History(run.step[::20], run.loss[::20]) for run in runs]
    found = benchmark(states, runs, validations=validations)
    assert len(found) == RUNS


@pytest.mark.parametrize("n", [100, 1_000, 10_000, 100_000])
def test_insight_of_one_run(benchmark, n: int) -> None:
    rng = np.random.default_rng(0)
    loss = np.exp(-np.arange(n) / (n / 5)) + rng.normal(scale=0.05, size=n)
    run = History(10.0 * np.arange(n), loss, np.abs(rng.normal(1, 0.2, n)))
    assert benchmark(insight_of, run).state.name


def test_check_alone(benchmark, runs) -> None:
    found = benchmark(lambda: [check(run) for run in runs[:200]])
    assert len(found) == 200


def test_check_against_a_cohort(benchmark, runs) -> None:
    cohort = CohortCurves.of(runs)
    found = benchmark(lambda: [check(run, cohort=cohort) for run in runs[:50]])
    assert len(found) == 50


def test_cohort(benchmark, runs) -> None:
    assert len(benchmark(CohortCurves.of, runs).levels) == RUNS


def test_check_of_a_long_run(benchmark) -> None:
    n = 1_000_000
    rng = np.random.default_rng(0)
    loss = np.exp(-np.arange(n) / (n / 5)) + rng.normal(scale=0.05, size=n)
    assert isinstance(benchmark.pedantic(check, (History(np.arange(n), loss),), rounds=2), tuple)
