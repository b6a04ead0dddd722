"""What percentiles and cohort readings cost. Nothing is asserted of time."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.insight.cohort import ranks
from dqi_tracking.insight.cohort_reading import reading
from dqi_tracking.insight.population import MEASURES, SCORES, standing, weakest
from dqi_tracking.insight.saved_population import Population, reference
from dqi_tracking.types import COMPONENTS, History

N_RUNS = 100_000


def scores() -> dict[str, np.ndarray]:
    """Make scores of many runs, over decades as real ones are."""
    rng = np.random.default_rng(0)
    return {name: 10.0 ** rng.uniform(-6, 0, N_RUNS) for name in MEASURES}


@pytest.mark.parametrize("cohorts", [1, 300, 10_000])
def test_percentiles_of_four_scores(benchmark, cohorts: int) -> None:
    found, labels = scores(), [f"experiment {row % cohorts}" for row in range(N_RUNS)]
    each = benchmark(lambda: [standing(found[name], labels) for name in SCORES])
    assert all(np.isfinite(one.percentile).all() for one in each)
    benchmark.extra_info["runs"] = N_RUNS


def test_percentiles_and_weakest_against_the_reference(benchmark) -> None:
    found, cohort = scores(), reference().cohort("wmt")

    def against() -> list[str | None]:
        return weakest({name: cohort.standing(name, found[name]) for name in COMPONENTS})

    assert len(benchmark(against)) == N_RUNS


def test_a_population_saved_and_read(benchmark) -> None:
    found, labels = scores(), [f"experiment {row % 300}" for row in range(N_RUNS)]

    def saved() -> str:
        text = Population.of(found, labels, name="bench").to_json()
        assert len(Population.from_json(text).cohorts) == 300
        return text

    benchmark.extra_info["bytes"] = len(benchmark(saved))


def test_ranks_of_readings(benchmark) -> None:
    found = scores()
    labels = [f"experiment {row % 300}" for row in range(N_RUNS)]
    optimizer = [("adam", "sgd", "")[row % 3] for row in range(N_RUNS)]
    loss, grad_norm = found["dqi"], np.log(found["dqi_late"])
    benchmark(lambda: ranks(loss, grad_norm, cohort=labels, optimizer=optimizer))


def test_reading_of_one_run(benchmark) -> None:
    rng = np.random.default_rng(0)
    run = History(np.arange(1_000), 1 + rng.random(1_000), rng.exponential(size=1_000))
    assert not benchmark(reading, run).reason
