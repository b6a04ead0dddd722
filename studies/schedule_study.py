"""What the schedules of published runs, and simulated ones, give as phases.

Usage: python studies/schedule_study.py FOLDER

The folder holds `curves.parquet` and `runs.csv`. Nothing is fitted. Where the name of a published
curve tells its plan (`wsd_20000_24000`: the decay starts at step 20,000), the two are compared.
Simulated schedules know their boundaries: what noise and sparse logs cost is told as the distance
from them in percent of the run.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from real_curves import load, markdown

from dqi_tracking import score_many
from dqi_tracking.insight.schedule import NoPhases, SchedulePhases, phases_of_schedule

SEEDS = 40
ROWS = 400
WARMUP, DECAY = 0.08, 0.7
"""Where the simulated warm-up ends and the decay of `wsd` starts, as shares of the run."""


def simulated(kind: str, t: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a rate over time as a share of the run, and where its mid phase should end."""
    after = np.clip((t - WARMUP) / (1 - WARMUP), 0, 1)
    tails = {
        "wsd": (np.clip((1 - t) / (1 - DECAY), 0, 1), DECAY),
        "step": (np.where(t < DECAY, 1, np.where(t < 0.9, 0.1, 0.01)), DECAY),
        "cosine": ((1 + np.cos(np.pi * after)) / 2, (1 + WARMUP) / 2),
        "linear": (1 - after, (1 + WARMUP) / 2),
        "decay": ((1 + 50 * after) ** -0.5, WARMUP + (1 - WARMUP) * 3 / 50),
    }
    tail, mid_end = tails[kind]
    return np.minimum(t / WARMUP, tail), mid_end


def published(folder: Path) -> str:
    """Table: what was seen in each family and submission, and how often it gives phases."""
    runs = pd.read_csv(folder / "runs.csv").set_index("run")
    curves = pd.read_parquet(folder / "curves.parquet", columns=["run", "step", "lr"])
    seen: dict[tuple[str, str], list[tuple[str, SchedulePhases | NoPhases]]] = defaultdict(list)
    for run, rows in curves[curves.lr.notna()].groupby("run", sort=False):
        found = phases_of_schedule(rows.step.to_numpy(), rows.lr.to_numpy(float))
        about = runs.loc[run]
        submission = about.submission if isinstance(about.submission, str) else ""
        seen[about.family, submission].append((str(run), found))
    rows: list[list[object]] = []
    for (family, submission), items in seen.items():
        kinds = Counter(found.kind for _, found in items)
        given = [found for _, found in items if isinstance(found, SchedulePhases)]
        reasons = Counter(
            re.sub(r"[0-9][0-9,]*", "N", found.reason)
            for _, found in items
            if isinstance(found, NoPhases)
        )
        most = reasons.most_common(1)[0][0] if reasons else ""
        counted = ", ".join(f"{kind} {n}" for kind, n in kinds.most_common())
        rows.append([family, submission, len(items), counted, len(given), most])
    head = ["family", "submission", "runs", "kind", "with phases", "commonest reason for none"]
    return markdown(head, rows) + "\n\n" + named(seen["multipowerlaw", ""])


def named(items: list[tuple[str, SchedulePhases | NoPhases]]) -> str:
    """Table: the curves whose name tells the plan."""
    rows = [
        [run.removeprefix("mpl-"), found.kind, found.mid_end or "–", words(found)]
        for run, found in sorted(items)
    ]
    return markdown(["curve", "seen as", "mid phase ends", "in words"], rows)


def words(found: SchedulePhases | NoPhases) -> str:
    """Return what a person is told."""
    return found.reason if isinstance(found, NoPhases) else found.sentence


def accuracy() -> str:
    """Table: the share of simulated schedules read as their kind, and how far the steps are off."""
    rows: list[list[object]] = []
    for kind in ("wsd", "step", "cosine", "linear", "decay"):
        for n, noise in (
            (ROWS, 0.0),
            (ROWS, 0.01),
            (ROWS, 0.05),
            (ROWS, 0.1),
            (30, 0.0),
            (12, 0.0),
        ):
            off, same, told = [], 0, 0
            for seed in range(SEEDS):
                rng = np.random.default_rng(seed)
                t = np.sort(rng.random(n)) if n < ROWS else np.arange(n) / (n - 1)
                rate, mid_end = simulated(kind, t)
                found = phases_of_schedule(t, np.abs(rate + rng.normal(scale=noise, size=n)))
                same += found.kind == kind
                if isinstance(found, SchedulePhases):
                    told += 1
                    off.append((abs(found.early_end - WARMUP), abs(found.mid_end - mid_end)))
            furthest = (
                [f"{100 * q:.1f}" for q in np.quantile(off, 0.9, axis=0)] if off else ["–"] * 2
            )
            share = [f"{100 * part / SEEDS:.0f}" for part in (same, told)]
            rows.append([kind, n, f"{100 * noise:.0f}", *share, *furthest])
    head = ["schedule", "rows", "noise % of peak", "kind right %", "phases told %"]
    return markdown([*head, "early end off, 90th %", "mid end off, 90th %"], rows)


def scores(folder: Path) -> str:
    """Table: DQI by the plan against DQI by the rule, on the runs whose plan gives phases."""
    curves = pd.read_parquet(folder / "curves.parquet", columns=["run", "step", "lr"])
    rates = dict(iter(curves[curves.lr.notna()].groupby("run", sort=False)))
    pairs: dict[str, list[tuple[float, float, float, int]]] = defaultdict(list)
    for run in load(folder):
        if run.name not in rates:
            continue
        rows, history = rates[run.name], run.history
        span = (float(history.step.min()), float(history.step.max()))
        found = phases_of_schedule(rows.step.to_numpy(), rows.lr.to_numpy(float), loss_span=span)
        if isinstance(found, NoPhases):
            continue
        rule, plan = score_many(
            [history] * 2, nan_policy="omit", boundaries=[None, found.boundaries]
        )
        first, last = history.step.min(), history.step.max()
        share = (found.early_end - first) / (last - first)
        pairs[run.family].append((rule.dqi, plan.dqi, share, plan.early.n_points))
    table = [
        [family, len(items), *(f"{value:.3f}" for value in np.median(items, axis=0)[:3]), median_n]
        for family, items in pairs.items()
        for median_n in [f"{np.median([item[3] for item in items]):.0f}"]
    ]
    head = ["family", "runs", "DQI by the rule", "DQI by the plan", "early share of the run"]
    return markdown([*head, "points in early"], table)


def main(folder: Path) -> None:
    """Print the tables."""
    for title, table in (
        ("Published learning rates", published(folder)),
        ("Simulated schedules", accuracy()),
        ("What it does to the score (medians)", scores(folder)),
    ):
        print(f"\n### {title}\n\n{table}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
