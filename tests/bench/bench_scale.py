"""What 10⁷ runs would take, by the simulated cost model, and which part is the limit."""

from __future__ import annotations

import pytest

from tests.bench.cost_model import Costs, simulate

RUNS = 10_000_000


@pytest.mark.parametrize(("workers", "cores"), [(1, 2), (8, 2), (32, 2), (32, 8), (128, 8)])
def test_ten_million_runs(benchmark, workers, cores):
    seconds = benchmark.pedantic(simulate, (RUNS, workers, cores, Costs()), rounds=1)
    benchmark.extra_info |= {
        "workers": workers,
        "database_cores": cores,
        "hours": round(seconds / 3_600, 1),
        "runs_a_second": round(RUNS / seconds),
    }
