"""The published training curves of a data folder: `curves.parquet` and `runs.csv`.

A run gives up to two curves: its step loss (kind ``train``) and its validation loss (``eval``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dqi_tracking.insight.forecasting.reading import MIN_POINTS, Curve, read
from dqi_tracking.types import History

if TYPE_CHECKING:
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
    """Read every curve that has 8 finite points and is not constant."""
    runs = pd.read_csv(folder / "runs.csv").set_index("run")
    rows = pd.read_parquet(folder / "curves.parquet")
    found: list[Published] = []
    for run, part in rows.groupby("run", sort=False):
        about = runs.loc[run]
        step = part["step"].to_numpy(float)
        rate = part["lr"].to_numpy(float)
        has_rate = np.isfinite(rate)
        for kind, column in (("train", "loss"), ("eval", "eval_loss")):
            value = part[column].to_numpy(float)
            kept = np.isfinite(value)
            if kept.sum() < MIN_POINTS:
                continue
            history = History(step[kept], value[kept])
            curve = read(history)
            if curve.status != "ok":
                continue
            found.append(
                Published(
                    run=str(run),
                    kind=kind,
                    source=about["source"],
                    family=about["family"],
                    # repeats of one submission on one workload are no independent evidence
                    group=f"{about['group']}|{about['submission']}",
                    licence=about["licence"],
                    repo=about["repo"],
                    history=history,
                    curve=curve,
                    learning_rate=(step[has_rate], rate[has_rate]) if has_rate.sum() > 8 else None,
                )
            )
    return found


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
