"""What a validation costs: 200 runs in 8 groups, all signals. Nothing is asserted of time."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking.insight.outcome import CONFOUNDS, SIGNALS, Features, features_many
from dqi_tracking.insight.validation import validate
from dqi_tracking.types import History

N_GROUPS, SIZE, ROWS = 8, 25, 500


@pytest.fixture(scope="module")
def runs() -> list[History]:
    made = []
    for seed in range(N_GROUPS * SIZE):
        rng = np.random.default_rng(seed)
        loss = np.exp(-np.arange(ROWS) / 100) + rng.normal(scale=0.05, size=ROWS)
        made.append(History(10.0 * np.arange(ROWS), loss, np.abs(rng.normal(1, 0.2, ROWS))))
    return made


def test_features(benchmark, runs) -> None:
    found = benchmark(features_many, runs, 0.6)
    assert found.values.shape == (len(runs), len(SIGNALS) + len(CONFOUNDS))


def test_validation_of_one_question(benchmark) -> None:
    random = np.random.default_rng(0)
    names = (*SIGNALS, *CONFOUNDS)
    table = Features(names, random.normal(size=(N_GROUPS * SIZE, len(names))))
    outcome = table["loss_level"] + random.normal(size=N_GROUPS * SIZE)
    groups = np.repeat(np.arange(N_GROUPS), SIZE).tolist()
    found = benchmark.pedantic(validate, (table, outcome, groups), rounds=1)
    assert found.verdict == "evidence"
