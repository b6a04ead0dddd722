"""The scores of many runs in a few numbers: quantiles, weakest components, groups."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.report.experiment import column
from dqi_tracking.types import COMPONENTS, PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.report.experiment import Linked
    from dqi_tracking.types import Component, FloatArray

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
SCORES = {
    "dqi": "DQI",
    **{f"dqi_{phase}": phase.capitalize() for phase in PHASES},
    "dqi_raw": "DQI in logged units",
}
"""Scores of which the distribution is told, and what they are called."""


class Spread(NamedTuple):
    """The distribution of one score: its name, number of runs, and quantiles (NaN of none)."""

    name: str
    runs: int
    quantiles: list[float]


class Weakness(NamedTuple):
    """A component: in how many runs it is the weakest, and its median in each phase."""

    component: Component
    runs: int
    medians: list[float]


class Group(NamedTuple):
    """Runs of one experiment or project: lower quartile, median, upper quartile of DQI."""

    name: str
    runs: int
    quartiles: list[float]


def spreads(runs: Sequence[Linked]) -> list[Spread]:
    """Return the distribution of DQI, of each phase, and of DQI in logged units."""
    return [_spread(label, column(runs, name), QUANTILES) for name, label in SCORES.items()]


def weaknesses(runs: Sequence[Linked]) -> list[Weakness]:
    """Return the components, the one that is weakest in most runs first."""
    weakest = Counter(run.fact("weakest") for run in runs if run.fact("status") == "ok")
    found = [
        Weakness(
            component,
            weakest[component],
            [_quantiles(column(runs, f"dqi_{phase}_{component}"), (0.5,))[0] for phase in PHASES],
        )
        for component in COMPONENTS
    ]
    return sorted(found, key=lambda each: -each.runs)


def groups(runs: Sequence[Linked]) -> list[Group]:
    """Return the groups of runs with a DQI, the largest first."""
    values: dict[str, list[float]] = {}
    for run, dqi in zip(runs, column(runs, "dqi").tolist(), strict=True):
        if not np.isnan(dqi):
            values.setdefault(run.ref.group, []).append(dqi)
    found = [
        Group(*_spread(name, np.array(each), (0.25, 0.5, 0.75))) for name, each in values.items()
    ]
    return sorted(found, key=lambda group: (-group.runs, group.name))


def share(value: float) -> str:
    """Return a number in [0, 1] with four decimals; a dash where there is none."""
    if math.isnan(value):
        return "—"
    if not value:
        return "0"
    return "<0.0001" if value < 0.00005 else f"{value:.4f}"


def _spread(name: str, values: FloatArray, at: Sequence[float]) -> Spread:
    return Spread(name, int(np.isfinite(values).sum()), _quantiles(values, at))


def _quantiles(values: FloatArray, at: Sequence[float]) -> list[float]:
    values = values[np.isfinite(values)]
    return np.quantile(values, at).tolist() if values.size else [float("nan")] * len(at)
