"""Whether outcomes of published runs support other phase weights than the default.

Usage: python studies/weights_study.py FOLDER

Outcomes: the median of the last twentieth of the training loss, and the last validation loss; lower
is better. Groups: workload families, then workload × submission, within which alone losses are of
one task. The phase scores are those of the whole run.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from real_curves import Run, load, markdown

from dqi_tracking import score_many
from dqi_tracking.insight.weights import WeightFit, fit_weights


def final_loss(run: Run) -> float:
    """Return the median of the last twentieth of the training loss; NaN where it holds one."""
    loss = run.history.loss[np.argsort(run.history.step, kind="stable")]
    return float(np.median(loss[-max(1, loss.size // 20) :]))


def final_validation(run: Run) -> float:
    """Return the last validation loss; NaN where none was logged."""
    if run.validation is None:
        return float("nan")
    return float(run.validation.loss[np.argmax(run.validation.step)])


def rules(fits: dict[str, WeightFit]) -> str:
    """Table: the weights of each fit, and how its rules order runs."""
    rows: list[list[object]] = []
    for name, fit in fits.items():
        for skill in fit.skills:
            low, high = skill.interval
            rows.append(
                [
                    name if skill is fit.skills[0] else "",
                    skill.rule,
                    f"{skill.within:+.3f} [{low:+.3f}, {high:+.3f}]",
                    f"{skill.pooled:+.3f}",
                ]
            )
    return markdown(["outcome, group", "rule", "within groups [95 %]", "over all runs"], rows)


def verdicts(fits: dict[str, WeightFit]) -> str:
    """Table: what each fit found, and whether it is supported."""
    rows: list[list[object]] = []
    for name, fit in fits.items():
        low, high = fit.gain_interval
        rows.append(
            [
                name,
                fit.n_runs,
                len(fit.groups),
                " / ".join(f"{weight:.2f}" for weight in fit.weights),
                " ".join(f"[{a:.2f}, {b:.2f}]" for a, b in fit.intervals),
                f"{fit.share:g}",
                f"{fit.gain:+.3f} [{low:+.3f}, {high:+.3f}]",
                f"{fit.optimism:+.3f}",
                f"{fit.p:.3f}",
                "yes" if fit.is_supported else "no",
            ]
        )
    head = [
        "outcome, group",
        "runs",
        "groups",
        "weights",
        "95 %",
        "share",
        "gain over default",
        "optimism",
        "p",
        "supported",
    ]
    return markdown(head, rows)


def by_group(fit: WeightFit) -> str:
    """Table: how learned and default weights order the runs of each group."""
    rows = [
        [group, size, f"{learned:+.3f}", f"{default:+.3f}"]
        for group, size, (learned, default) in zip(fit.groups, fit.sizes, fit.by_group, strict=True)
    ]
    return markdown(["group", "runs", "learned on the others", "default"], rows)


def main(folder: Path) -> None:
    """Print the tables."""
    runs = load(folder)
    found = score_many([run.history for run in runs])
    phases = np.array([[phase.dqi for phase in score.phases.values()] for score in found])
    outcomes = {
        "training loss": [final_loss(run) for run in runs],
        "validation loss": [final_validation(run) for run in runs],
    }
    groups = {
        "family": [run.family for run in runs],
        "workload × submission": [run.cohort for run in runs],
    }
    fits: dict[str, WeightFit] = {}
    for outcome, values in outcomes.items():
        for group, labels in groups.items():
            start = time.perf_counter()
            fit = fit_weights(phases, values, labels)
            fits[f"{outcome}, {group}"] = fit
            print(
                f"- {outcome}, {group}: {time.perf_counter() - start:.1f} s, {fit.left_out}, "
                f"{'; '.join(fit.reasons) or 'supported'}"
            )
    print(f"\n### What was found\n\n{verdicts(fits)}")
    print(f"\n### How the rules order runs\n\n{rules(fits)}")
    print(f"\n### Training loss, by family\n\n{by_group(fits['training loss, family'])}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
