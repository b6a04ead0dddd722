"""How well the cohort readings foretell a run's rank, beside what a larger sample showed.

Usage: python studies/cohort_study.py FOLDER

A group is a workload and a submission (one optimizer) with 8 runs or more that had come to the
cut: a share of the group's usual end, the median last step of its runs, validation included. Runs
that end before it are left out. Positive is as the readings mean it: a lower loss leads to a better
end, a larger gradient norm to more improvement. The end is the final metric, by rank; improvement
is the fall of the validation loss after the cut, and "training" that of the lowest binned loss.
"Between": configurations by the mean ranks of their repeats, five or more. "Repeats": within
configurations of four runs or more. "Across optimizers": all runs of a workload as one group.
Spearman's rho a group, mean over groups, then over families; [ ] is a 95 % bootstrap of families,
then of their groups, too narrow for so few families. The earlier sample was 2,142 runs of 8
families, many of these among them: agreement is no independent confirmation.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from real_curves import Run, load, markdown
from scipy.stats import rankdata

from dqi_tracking.insight.cohort_reading import CohortReading, reading
from dqi_tracking.insight.population import MIN_COHORT

CUTS = (0.2, 0.4, 0.6)
MIN_CONFIGURATIONS, MIN_REPEATS = 5, 4
DRAWS, SEED = 2_000, 0
EARLIER = {
    ("lowest loss", "end", "all"): (".25 [.07, .43]", ".27 [.09, .45]", ".29 [.12, .47]"),
    ("lowest loss", "end", "repeats"): ("about .10",) * 3,
    ("late gradient norm", "improvement", "all"): (
        ".29 [.16, .41]",
        ".26 [.15, .37]",
        ".23 [.11, .34]",
    ),
    ("late gradient norm", "improvement", "repeats"): (".14", ".12", ".07"),
    ("late gradient norm", "improvement", "across optimizers"): ("of either sign",) * 3,
}
PAIRS = [
    *((name, "end", how) for name in ("lowest loss",) for how in ("all", "between", "repeats")),
    ("late gradient norm", "end", "all"),
    *(
        ("late gradient norm", "improvement", how)
        for how in ("all", "between", "repeats", "across optimizers")
    ),
    ("late gradient norm", "training improvement", "all"),
]
Estimates = dict[str, list[float]]  # by family, one rho a group


@dataclass
class Row:
    """One run at one cut: its readings, and what became of it, larger is as the readings mean."""

    run: Run
    numbers: dict[str, float]


def ends(runs: list[Run], folder: Path) -> dict[str, float]:
    """Return each run's final metric, larger is better; NaN where there is none."""
    about = pd.read_csv(folder / "runs.csv").set_index("run")
    metric = about["final_metric"].where(
        about["final_metric_name"] == "validation/accuracy", -about["final_metric"]
    )
    found = metric.fillna(-about["final_eval_loss"])
    return {run.name: float(found[run.name]) for run in runs}


def last_step(run: Run) -> float:
    """Return the last step at which anything was logged."""
    steps = [run.history.step] + ([run.validation.step] if run.validation else [])
    return float(max(each.max() for each in steps))


def row(run: Run, end: float, at: CohortReading, whole: CohortReading) -> Row:
    """Bring the readings of a run at a cut together with what came later."""
    improvement = np.nan
    if run.validation is not None:
        ok = np.isfinite(run.validation.loss)
        step, loss = run.validation.step[ok], run.validation.loss[ok]
        before = loss[step <= at.until]
        if before.size and before.size < loss.size:
            improvement = float(before[-1] - loss[-1])
    return Row(
        run,
        {
            "lowest loss": -at.lowest_loss,
            "late gradient norm": at.late_grad_norm,
            "end": end,
            "improvement": improvement,
            "training improvement": at.lowest_loss - whole.lowest_loss,
        },
    )


def rows_at(runs: list[Run], outcome: dict[str, float], cut: float) -> tuple[list[Row], int]:
    """Read every run at a share of its group's usual end; also count those that ended before."""
    by_group: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_group[run.cohort].append(run)
    found: list[Row] = []
    n_short = 0
    for group in by_group.values():
        usual = float(np.median([last_step(run) for run in group]))
        for run in group:
            at = reading(run.history, share=cut, end_step=usual)
            n_short += np.isnan(at.lowest_loss)
            found.append(row(run, outcome[run.name], at, reading(run.history)))
    return found, n_short


def rho(x: np.ndarray, y: np.ndarray) -> float:
    """Return Spearman's rank correlation; NaN where either is constant."""
    ranks = rankdata(x), rankdata(y)
    if min(np.ptp(each) for each in ranks) == 0:
        return np.nan
    return float(np.corrcoef(*ranks)[0, 1])


def estimates(rows: list[Row], name: str, outcome: str, how: str) -> Estimates:
    """Return rho of a reading and an outcome in each group."""
    by_group: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for each in rows:
        if np.isfinite([each.numbers[name], each.numbers[outcome]]).all():
            cohort = each.run.cohort
            key = cohort.rpartition("/")[0] if how == "across optimizers" else cohort
            by_group[each.run.family, key].append(each)
    found: Estimates = defaultdict(list)
    for (family, _), group in by_group.items():
        if len(group) >= MIN_COHORT:
            value = in_group(group, name, outcome, how)
            if np.isfinite(value):
                found[family].append(value)
    return found


def in_group(group: list[Row], name: str, outcome: str, how: str) -> float:
    """Return rho within one group: of runs, of configurations, or within configurations."""
    x = np.array([each.numbers[name] for each in group])
    y = np.array([each.numbers[outcome] for each in group])
    configuration = np.array([configuration_of(each.run) for each in group])
    names, counts = np.unique(configuration, return_counts=True)
    if how == "between":
        if names.size < MIN_CONFIGURATIONS or counts.max() == 1:
            return np.nan
        ranks = rankdata(x), rankdata(y)
        return rho(*([each[configuration == one].mean() for one in names] for each in ranks))
    if how == "repeats":
        of = [
            rho(x[here], y[here]) for here in (configuration == n for n in repeated(names, counts))
        ]
        of = [value for value in of if np.isfinite(value)]
        return float(np.mean(of)) if of else np.nan
    return rho(x, y)


def configuration_of(run: Run) -> str:
    """Return what repeats have in common: the trial's number, in one ruleset of the benchmark."""
    return f"{run.name.partition('-study_')[0]}/{run.configuration}"


def repeated(names: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the configurations that were run often enough."""
    return names[counts >= MIN_REPEATS]


def pooled(found: Estimates) -> float:
    """Return the mean over groups, then over families."""
    return float(np.mean([np.mean(values) for values in found.values()]))


def interval(found: Estimates) -> tuple[float, float]:
    """Return the 95 % interval: families drawn anew, then groups within each."""
    rng = np.random.default_rng(SEED)
    families = [np.array(values) for values in found.values()]
    drawn = [
        np.mean(
            [
                rng.choice(families[which], families[which].size).mean()
                for which in rng.integers(len(families), size=len(families))
            ]
        )
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def told(found: Estimates) -> tuple[str, bool]:
    """Write an estimate with its interval and its size; and tell whether it leaves out 0."""
    n_groups = sum(map(len, found.values()))
    if not n_groups:
        return "–", False
    size = f"({n_groups} groups, {len(found)} families)"
    low, high = interval(found)
    return f"{pooled(found):.2f} [{low:.2f}, {high:.2f}] {size}", low > 0 or high < 0


def main() -> None:
    """Print the tables."""
    folder = Path(sys.argv[1])
    runs = load(folder)
    outcome = ends(runs, folder)
    at = {cut: rows_at(runs, outcome, cut) for cut in CUTS}
    n_ends = sum(map(np.isfinite, outcome.values()))
    print(f"{len(runs)} runs with a training loss, {n_ends} of them with an end.\n")
    for cut, (_, n_short) in at.items():
        print(f"- at {100 * cut:.0f} % {n_short} runs have no loss so late, and are left out")
    rows: list[list[object]] = []
    families: list[list[object]] = []
    names = list(dict.fromkeys(run.family for run in runs))
    for pair in PAIRS:
        found = {cut: estimates(each, *pair) for cut, (each, _) in at.items()}
        cells = {cut: told(each) for cut, each in found.items()}
        clear = [f"{cut:.0%}" for cut, (_, leaves_out_0) in cells.items() if leaves_out_0]
        texts = [text for text, _ in cells.values()]
        rows.append([", ".join(pair), *texts, ", ".join(clear) or "nowhere"])
        rows.append(["– earlier sample", *EARLIER.get(pair, ("–",) * len(CUTS)), "–"])
        middle = found[0.4]
        means = (np.mean(middle[name]) if middle.get(name) else np.nan for name in names)
        families.append([", ".join(pair), *map(float, means)])
    head = ["reading, outcome, runs", *(f"{cut:.0%}" for cut in CUTS), "told from 0 at"]
    print("\n" + markdown(head, rows))
    print("\nBy family, at 40 %:\n\n" + markdown(["reading, outcome, runs", *names], families))


if __name__ == "__main__":
    main()
