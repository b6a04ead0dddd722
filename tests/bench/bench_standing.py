"""Ranking the runs at the end of a backfill: collecting them from a listing, and their places."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.backfill.cohort_ranking import Cohorts, Standings
from dqi_tracking.types import RunRef, Stamp


@pytest.mark.parametrize("runs", [10_000, 100_000])
def test_collect_and_rank(benchmark, runs):
    numbers = np.random.default_rng(0).random((runs, 3)).tolist()
    names = ("dqi", "dqi_loss_lowest", "dqi_grad_late")
    facts = {"status": "ok", "fingerprint": "abcd1234-1"}
    listed = [
        (
            RunRef(f"r{n}", group="g", columns={"params.model": f"m{n % 40}", "params.optim": "a"}),
            Stamp(dict(zip(names, each, strict=True)), facts),
        )
        for n, each in enumerate(numbers)
    ]

    def rank():
        cohorts, found = Cohorts("abcd1234", "params.model"), Standings()
        for ref, stamp in listed:
            cohorts.add(ref, stamp)
        return cohorts.changes(0, found), found

    changes, found = benchmark.pedantic(rank, rounds=3)
    assert len(changes) == found.n_ranked == runs
    benchmark.extra_info |= {"runs": runs, "seconds": round(benchmark.stats["min"], 2)}
