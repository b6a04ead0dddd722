"""The published runs as curves that can be forecast.

A run gives up to two curves: its step loss (kind ``train``) and its validation loss (``eval``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from real_curves import Run, load_all

from dqi_tracking.insight.forecasting.reading import Curve, read
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAMILIES = (
    "criteo1tb",
    "fastmri",
    "ogbg",
    "wmt",
    "modded-nanogpt",
    "multipowerlaw",
    "parameter-golf",
)


@dataclass(frozen=True)
class Published:
    """One curve of one run, with what groups it."""

    run: str
    kind: str
    source: str
    family: str
    group: str
    licence: str
    repo: str
    history: History
    curve: Curve
    learning_rate: tuple[np.ndarray, np.ndarray] | None


def load(folder: Path) -> list[Published]:
    """Return every curve that has 8 finite points and is not constant."""
    return [curve for run in load_all(folder) for curve in _curves(run)]


def _curves(run: Run) -> Iterator[Published]:
    rate = run.learning_rate
    for kind, series in (("train", run.history), ("eval", run.validation)):
        if series is None:
            continue
        kept = np.isfinite(series.loss)
        history = History(series.step[kept], series.loss[kept])
        curve = read(history)
        if curve.status == "ok":
            yield Published(
                run=run.name,
                kind=kind,
                source=run.source,
                family=run.family,
                # repeats of one submission on one workload are no independent evidence
                group=f"{run.group}|{run.submission}",
                licence=run.licence,
                repo=run.repo,
                history=history,
                curve=curve,
                learning_rate=rate if rate is not None and rate[0].size > 8 else None,
            )


def balance(curves: list[Published], run: np.ndarray) -> np.ndarray:
    """Weigh forecasts so that families count the same, kinds within, and groups within those.

    A family and kind of fewer than five groups counts in proportion.
    """
    weight = np.zeros(run.size)
    family = np.array([c.family for c in curves])[run]
    kind = np.array([c.kind for c in curves])[run]
    group = np.array([c.group for c in curves])[run]
    for one in np.unique(family):
        for of in np.unique(kind):
            chosen = (family == one) & (kind == of)
            if chosen.any():
                names, index, count = np.unique(
                    group[chosen], return_inverse=True, return_counts=True
                )
                share = 1 / count[index]
                weight[chosen] = share / share.sum() * min(1, len(names) / 5)
    return weight
