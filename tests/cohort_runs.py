"""Losses of one cohort and odd ones beside them, and what the command line says of such runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from tests.insight_runs import clean_run, noise
from tests.mlflow_runs import written
from tests.stores import Store

HOSTILE = "g\x1b[2Jpt \x1b]8;;http://x\x07<b>"
ROWS = 120
Dqi = Callable[..., tuple[int, str, str]]


def values(seed: int, *, n: int = ROWS, scale: float = 0.02) -> np.ndarray:
    loss = clean_run(seed, n=n, scale=scale).loss
    assert loss is not None
    return loss


def odd_losses() -> dict[str, np.ndarray]:
    return {
        "rescaled": 3 * values(20),
        "noise_level": values(0, scale=0.0) + noise(0.2, 21, ROWS),
        "far_from_cohort": np.linspace(3.0, 2.0, ROWS) + noise(0.02, 22, ROWS),
    }


def shown(dqi: Dqi, run: str, *more: str) -> tuple[set[str], str]:
    """Return what `dqi show` finds, and what it says."""
    code, out, err = dqi("show", f"runs:/{run}", *more, "--json")
    assert code == 0, err
    names = json.loads(out)["dqi_findings"]
    code, out, _ = dqi("show", f"runs:/{run}", *more)
    assert code == 0
    return set(filter(None, names.split(","))), out


def tagged(store: Store, runs: list[str]) -> list[set[str]]:
    found = [written(store, run) for run in runs]
    names = [set(filter(None, each["tags"]["checks"].split(","))) for each in found]
    assert [each["metrics"]["dqi_checks"] for each in found] == list(map(len, names))
    return names
