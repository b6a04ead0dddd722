"""The tables of the forecast study, each as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bootstrap import difference, interval, mean, skill
from forecast_baselines import capped_error, power_law
from forecast_trials import (
    covered,
    midway_rows,
    own_cohort,
    rate_rows,
    stop_rows,
    verdict_rows,
    without_family,
)
from published_curves import FAMILIES, Published, balance

from dqi_tracking.insight.forecasting.calibration import tabulated
from dqi_tracking.insight.forecasting.replay import Replay, replay

ALGOPERF = ("criteo1tb", "fastmri", "ogbg", "wmt")
TUNING = ("fastmri", "wmt", "modded-nanogpt", "ogbg")
HELD_OUT = ("criteo1tb", "multipowerlaw", "parameter-golf")
SHARES = (0.2, 0.4, 0.6, 0.8)
KINDS = ("eval", "train")


@dataclass(frozen=True)
class Study:
    """Every forecast of the study, with labels of shape (N,) and errors."""

    curves: list[Published]
    found: Replay
    family: np.ndarray
    kind: np.ndarray
    group: np.ndarray
    extent: np.ndarray
    ours: np.ndarray
    last: np.ndarray
    power: np.ndarray

    def chosen(self, families: tuple[str, ...], kind: str, share: float) -> np.ndarray:
        """Forecasts of some families and one kind at one share."""
        return np.isin(self.family, families) & (self.kind == kind) & (self.found.share == share)


def prepare(curves: list[Published]) -> Study:
    """Forecast the end of every curve from every share, by every method."""
    found = replay([curve.curve for curve in curves])
    extent = np.array([np.subtract(*np.percentile(c.curve.y, (95, 5))) for c in curves])[found.run]
    baseline = np.full(found.run.size, np.nan)
    for row in np.flatnonzero(np.isin(found.share, SHARES)):
        curve = curves[found.run[row]].curve
        seen = curve.standard.u <= found.share[row]
        baseline[row] = power_law(curve.x[seen], curve.y[seen], curve.x[-1])
    extent = np.maximum(extent, 1e-12)
    return Study(
        curves=curves,
        found=found,
        family=np.array([curve.family for curve in curves])[found.run],
        kind=np.array([curve.kind for curve in curves])[found.run],
        group=np.array([curve.group for curve in curves])[found.run],
        extent=extent,
        ours=capped_error(found.loss, found.truth, extent),
        last=capped_error(found.last, found.truth, extent),
        power=capped_error(baseline, found.truth, extent),
    )


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """Write a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(study: Study, families: tuple[str, ...], kind: str) -> list[str]:
    cells: list[str] = []
    for share in SHARES:
        rows = study.chosen(families, kind, share)
        if rows.sum() < 5:
            cells.append("–")
            continue
        ours, last, power = (e[rows].mean() for e in (study.ours, study.last, study.power))
        both = np.stack((study.ours[rows], study.last[rows]), axis=1)
        low, high = interval(both, study.family[rows], study.group[rows], skill)
        cells.append(
            f"{ours:.3f} / {last:.3f} / {power:.3f}: **{100 * (1 - ours / last):.0f}**"
            f" [{low:.0f}, {high:.0f}] ({rows.sum()})"
        )
    return cells


def skill_table(study: Study) -> str:
    """Show errors (this / last value / power law), skill against last value in per cent, runs."""
    rows = []
    for kind in KINDS:
        for family in FAMILIES:
            cells = _cells(study, (family,), kind)
            if set(cells) != {"–"}:
                side = "tuning" if family in TUNING else "held out"
                rows.append([family, side, kind, *cells])
    return markdown(["family", "side", "loss", *(f"{s:.0%} seen" for s in SHARES)], rows)


def pooled_table(study: Study) -> str:
    """Show the same over several families, drawn with their groups in the bootstrap."""
    rows = []
    for name, families in (
        ("AlgoPerf, 4 families", ALGOPERF),
        ("tuning families", TUNING),
        ("held-out families", HELD_OUT),
    ):
        rows.extend([[name, kind, *_cells(study, families, kind)] for kind in KINDS])
    return markdown(["families", "loss", *(f"{s:.0%} seen" for s in SHARES)], rows)


def worse_table(study: Study) -> str:
    """List the cells in which the 95 % interval of (this − baseline) does not hold 0."""
    rows = []
    for name, other in (("last value", study.last), ("power law", study.power)):
        worse, better, cells = [], 0, 0
        for kind in KINDS:
            for family in FAMILIES:
                for share in SHARES:
                    at = study.chosen((family,), kind, share)
                    if at.sum() < 5:
                        continue
                    both = np.stack((study.ours[at], other[at]), axis=1)
                    low, high = interval(both, study.family[at], study.group[at], difference)
                    cells += 1
                    better += high < 0
                    if low > 0:
                        ours, theirs = both.mean(axis=0)
                        worse.append(f"{family} {kind} {share:.0%} ({ours:.3f} > {theirs:.3f})")
        rows.append([name, str(cells), str(better), str(len(worse)), "; ".join(worse) or "–"])
    return markdown(["against", "cells", "better", "worse", "where"], rows)


def coverage_table(study: Study) -> str:
    """Show the share of last values inside, and the median width in ranges of the curve.

    With a 95 % bootstrap interval of the 90 % column, over the groups of the family.
    """
    inside = {level: without_family(study, level) for level in (0.8, 0.9)}
    return _coverage(study, inside, FAMILIES)


def strict_table(study: Study) -> str:
    """Show the same on held-out families, by a table that knows nothing of any of them."""
    learnt = np.where(np.isin(study.family, TUNING), balance(study.curves, study.found.run), 0)
    table = tabulated(study.found, learnt, name="tuning families").table
    inside = {}
    for level in (0.8, 0.9):
        hit, width = covered(study.found, table, level)
        inside[level] = (hit, width / study.extent)
    return _coverage(study, inside, HELD_OUT)


def _coverage(
    study: Study,
    inside: dict[float, tuple[np.ndarray, np.ndarray]],
    families: tuple[str, ...],
) -> str:
    rows = []
    for family in families:
        cuts = {kind: [study.chosen((family,), kind, share) for share in SHARES] for kind in KINDS}
        if all(max(rows_.sum() for rows_ in at) >= 5 for at in cuts.values()):
            cuts["both"] = [np.logical_or(*both) for both in zip(*cuts.values(), strict=True)]
        for kind, at in cuts.items():
            if max(rows_.sum() for rows_ in at) < 5:
                continue
            whole = np.logical_or.reduce(at)
            cells = [f"{100 * hit[whole].mean():.0f}" for hit, _ in inside.values()]
            hit, width = inside[0.9]
            low, high = interval(hit[whole, None], study.family[whole], study.group[whole], mean)
            cells[-1] += f" [{100 * low:.0f}, {100 * high:.0f}]"
            for rows_ in at:
                told = f"{100 * hit[rows_].mean():.0f} ({np.median(width[rows_]):.2f})"
                cells.append(told if rows_.sum() >= 5 else "–")
            rows.append([family, kind, *cells])
    head = ["family", "loss", "80 %", "90 %", *(f"90 % at {s:.0%} (width)" for s in SHARES)]
    return markdown(head, rows)


def own_table(study: Study) -> str:
    """90 % coverage by a table of half of the groups of a family, on its other half."""
    rows = [
        [family, kind, f"{runs}", f"{100 * others:.0f}", f"{100 * own:.0f}"]
        for family, kind, runs, others, own in own_cohort(study)
    ]
    return markdown(["family", "loss", "runs", "other families' table", "own table"], rows)


def midway_table(study: Study) -> str:
    """Skill and coverage where the horizon is drawn between now and the end."""
    rows = [
        [family, kind, str(n), f"{100 * gain:.0f}", f"{100 * hit:.0f}"]
        for family, kind, n, gain, hit in midway_rows(study)
    ]
    return markdown(["family", "loss", "forecasts", "skill, %", "90 % interval covers"], rows)


def verdict_table(study: Study) -> str:
    """Show what the verdicts said at 20 to 80 % seen, by tables without the family."""
    rows = [
        [verdict, str(n), f"{100 * improved:.0f} %", f"{100 * small:.0f} %", f"{100 * gain:.1f} %"]
        for verdict, n, improved, small, gain in verdict_rows(study)
    ]
    head = ["verdict", "forecasts", "improved", "by under 2 % of what was learnt", "median gain"]
    return markdown(head, rows)


def rate_table(study: Study) -> str:
    """Error where the learning rate has decayed by half: plan known, not known, time, last."""
    rows = [
        [side, f"{share:.0%}", str(n), *(f"{value:.3f}" for value in errors)]
        for side, share, n, errors in rate_rows(study, HELD_OUT)
    ]
    head = ["families", "seen", "curves", "rate, plan", "rate, no plan", "time", "last value"]
    return markdown(head, rows)


def stop_table(study: Study) -> str:
    """Show means over all runs of the family; regret in per cent of the range of the loss."""
    sides = {"all tuning": TUNING, "all held out": HELD_OUT, "all AlgoPerf": ALGOPERF}
    rows = [
        [
            f"**{name}**" if name in sides else name,
            kind,
            f"{found.stopped} of {found.runs}",
            f"{100 * found.saved:.1f} %",
            f"{100 * found.regret:.2f}",
            f"{100 * found.patience_regret:.2f}",
            f"{100 * found.reduction:.0f} %"
            f" [{100 * found.reduction_low:.0f}, {100 * found.reduction_high:.0f}]",
        ]
        for name, kind, found in stop_rows(study, sides)
    ]
    head = ["family", "loss", "stopped", "steps saved", "regret", "patience", "reduction"]
    return markdown(head, rows)
