"""How often each state occurs, how stable it is, and what the loss does afterwards.

Usage: python studies/convergence_study.py FOLDER

Nothing is fitted here: the thresholds are those of `dqi_tracking.insight.convergence`. Two of them
(`SIGNIFICANT`, `GRAD_SCATTER`) were raised for stability on criteo1tb, fastmri and modded-nanogpt.
The noise estimate and the gain bound were mended after the tables of all families had been seen, so
no family here is untouched. "Later" is
the last fifth of the run, with the state taken from the first four fifths; the loss levels are
medians of binned losses, the change is a share of the range observed by then, positive where the
loss fell.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from real_curves import Run, load, markdown, until

from dqi_tracking.insight.binning import bin_medians
from dqi_tracking.insight.convergence import FLAT, State, states

NAMES = (
    "learning",
    "converged",
    "stuck",
    "plateau",
    "dead",
    "diverging",
    "overfitting",
    "unknown",
)
DATA_SEED = 0


def states_at(runs: list[Run], share: float) -> list[State]:
    """Return the states of runs seen up to a share of their steps."""
    cuts = [cut(run, share) for run in runs]
    return states(
        [until(run.history, step) for run, step in zip(runs, cuts, strict=True)],
        validations=[until(run.validation, step) for run, step in zip(runs, cuts, strict=True)],
    )


def cut(run: Run, share: float) -> float:
    """Return the step at a share of a run's span."""
    first, last = run.history.step.min(), run.history.step.max()
    return float(first + share * (last - first))


def occurrence(runs: list[Run], found: list[State]) -> str:
    """Table: share of each state in each family, in percent."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for run, state in zip(runs, found, strict=True):
        counts[run.family][state.name] += 1
        counts["all"][state.name] += 1
    rows: list[list[object]] = []
    for family, count in counts.items():
        total = sum(count.values())
        rows.append([family, total, *(f"{100 * count[name] / total:.0f}" for name in NAMES)])
    return markdown(["family", "runs", *(f"{name} %" for name in NAMES)], rows)


def stability(runs: list[Run], found: list[State], earlier: list[State]) -> str:
    """Table: share of runs that keep their state when the last 5 % is left off."""
    kept: dict[str, list[bool]] = defaultdict(list)
    for run, now, before in zip(runs, found, earlier, strict=True):
        for key in ("all", run.family, f"state {now.name}"):
            kept[key].append(now.name == before.name)
    rows = [[key, len(same), f"{100 * np.mean(same):.0f}"] for key, same in kept.items()]
    return markdown(["runs", "n", "keep their state %"], rows)


def changes(found: list[State], earlier: list[State]) -> str:
    """Table: the commonest changes of state when the last 5 % is left off."""
    pairs = Counter((a.name, b.name) for a, b in zip(earlier, found, strict=True))
    moved = [(pair, n) for pair, n in pairs.most_common() if pair[0] != pair[1]][:6]
    return markdown(["at 95 %", "at the end", "runs"], [[*pair, n] for pair, n in moved])


def later_change(run: Run) -> float:
    """Return how far the loss fell over the last fifth, as a share of the range seen before."""
    ok = np.isfinite(run.history.loss)
    step, loss = run.history.step[ok], run.history.loss[ok]
    if step.size < 20:
        return float("nan")
    # the share of 40 bins: the last eighth of what was seen, and of the whole run
    levels = bin_medians(step, loss, float(step[0]), float(step[-1]))
    seen = levels[:32]
    start = np.median(loss[:3])
    span = np.nanmax([*seen, start]) - np.nanmin(seen)
    if not span > 0:
        return float("nan")
    before, after = (part[np.isfinite(part)] for part in (seen[-4:], levels[-4:]))
    if not before.size or not after.size:
        return float("nan")
    return float((np.median(before) - np.median(after)) / span)


def afterwards(runs: list[Run], at_80: list[State]) -> str:
    """Table: the later change by state, with bounds by resampling families, then runs."""
    by_state: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for run, state in zip(runs, at_80, strict=True):
        change = later_change(run)
        if np.isfinite(change):
            by_state[state.name].append((run.family, change, state.evidence["gain_bound"]))
    rows: list[list[object]] = []
    for name in NAMES:
        items = by_state.get(name, [])
        if not items:
            rows.append([name, 0, *["–"] * 5])
            continue
        change = np.array([item[1] for item in items])
        low, middle, high = np.percentile(change, [10, 50, 90])
        more = np.mean(change > FLAT)
        within = np.mean(change <= np.array([item[2] for item in items]))
        low_b, high_b = bootstrap(items)
        rows.append(
            [
                name,
                len(items),
                f"{100 * middle:.2f} [{100 * low_b:.2f}, {100 * high_b:.2f}]",
                f"{100 * low:.1f} to {100 * high:.1f}",
                f"{100 * more:.0f}",
                f"{100 * np.mean(change < -FLAT):.0f}",
                f"{100 * within:.0f}",
            ]
        )
    head = [
        "state at 80 %",
        "runs",
        "median later fall % [95 %]",
        "10 to 90 %",
        "fell > 2 %: % of runs",
        "rose > 2 %: % of runs",
        "within the gain bound %",
    ]
    return markdown(head, rows)


def bootstrap(items: list[tuple[str, float, float]], times: int = 500) -> tuple[float, float]:
    """Return the 95 % interval of the median: families drawn anew, then runs within each."""
    rng = np.random.default_rng(DATA_SEED)
    families = defaultdict(list)
    for family, change, _ in items:
        families[family].append(change)
    groups = [np.array(values) for values in families.values()]
    medians = []
    for _ in range(times):
        drawn = [groups[i] for i in rng.integers(len(groups), size=len(groups))]
        medians.append(np.median(np.concatenate([rng.choice(g, g.size) for g in drawn])))
    return tuple(np.percentile(medians, [2.5, 97.5]))


def main(folder: Path) -> None:
    """Print the tables."""
    runs = load(folder)
    found, at_95, at_80 = (states_at(runs, share) for share in (1.0, 0.95, 0.8))
    for title, table in (
        ("How often each state occurs", occurrence(runs, found)),
        ("Stability: the last 5 % left off", stability(runs, found, at_95)),
        ("Which states change", changes(found, at_95)),
        ("What the loss does in the last fifth, by the state before it", afterwards(runs, at_80)),
    ):
        sys.stdout.write(f"\n### {title}\n\n{table}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
