"""Learned phase weights as a person reads them, and as a program does."""

from __future__ import annotations

import math
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, say
from dqi_tracking.cli.table import print_table
from dqi_tracking.engine.fusion import PHASE_WEIGHTS
from dqi_tracking.fitting.weighting import NO_OUTCOME
from dqi_tracking.report.printable import printable
from dqi_tracking.types import PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dqi_tracking.fitting.weighting import Scored
    from dqi_tracking.fitting.weights_file import WeightsFile
    from dqi_tracking.insight.weighing.result import Skill, WeightFit

COLUMNS = ("weights", *PHASES, "within groups", "95 %", "over all runs")
CSV = ("weights", *PHASES, "within", "low", "high", "pooled")
WIDEST = 100
MOST_GROUPS = 20
"""Groups up to which each has a line of the table."""


def print_fit(found: WeightFit, runs: Scored, file: WeightsFile) -> None:
    """Print what was learned, what it is held against, and what follows."""
    say(f"{_outcome(file)}, ranked within {_group(file)}")
    for sentence in _counts(found, runs):
        _sentence(sentence)
    if found.is_fitted:
        say("")
        print_table([_row(skill, found) for skill in found.skills], COLUMNS)
        _sentence(
            "within groups: rank correlation of the weighted score with a better outcome, mean "
            "over groups; learned weights are tried on the group that they were not learned on"
        )
        if 1 < len(found.groups) <= MOST_GROUPS:
            say("")
            print_table(_groups(found), ("group", "runs", "learned", "default"))
        say("")
        for sentence in _evidence(found):
            _sentence(sentence)
    say("")
    _sentence(_verdict(found))


def print_rows(found: WeightFit, runs: Scored, file: WeightsFile, form: Format) -> None:
    """Print one JSON object with all there is, or a CSV row for each rule."""
    rows = Rows(form, (), CSV)
    if form is Format.JSON:
        rows.add(_whole(found, runs, file))
        return
    for skill in found.skills:
        low, high = skill.interval
        told = {"within": skill.within, "low": low, "high": high, "pooled": skill.pooled}
        rows.add({"weights": skill.rule, **_weights(skill, found), **told})


def _outcome(file: WeightsFile) -> str:
    better = "lower" if file.lower_is_better else "higher"
    return f"outcome {printable(file.outcome)}, {better} is better"


def _group(file: WeightsFile) -> str:
    return printable(file.group) if file.group else "the experiment or project"


def _counts(found: WeightFit, runs: Scored) -> Iterator[str]:
    """Say how many runs took part, and why others did not."""
    groups = f"{len(found.groups):,} {'group' if len(found.groups) == 1 else 'groups'}"
    yield f"{found.n_runs:,} of {runs.n_listed:,} runs take part, in {groups}"
    for reason, count in _left_out(found, runs).items():
        yield f"left out: {count:,} {reason}"
    n_unknown = runs.left_out.get(NO_OUTCOME, 0)
    if n_unknown and 2 * n_unknown >= n_unknown + len(runs.outcomes):
        yield "note: half of the scored runs or more have no outcome; the rest may be others"
    if runs.n_options > 1:
        yield (
            f"note: the scores were made with {runs.n_options} sets of options, which do not "
            "compare; backfill the runs with one"
        )


def _left_out(found: WeightFit, runs: Scored) -> dict[str, int]:
    inside = {
        "in groups with fewer than 4 of them": found.left_out.small_group,
        "in groups where all outcomes are equal": found.left_out.constant_group,
    }
    return {**runs.left_out, **{reason: count for reason, count in inside.items() if count}}


def _row(skill: Skill, found: WeightFit) -> dict[str, str]:
    return {
        "weights": skill.rule,
        **{name: f"{value:.2f}" for name, value in _weights(skill, found).items()},
        "within groups": _signed(skill.within),
        "95 %": _between(skill.interval),
        "over all runs": _signed(skill.pooled),
    }


def _weights(skill: Skill, found: WeightFit) -> dict[str, float]:
    of_rule = {"learned": found.weights, "default": PHASE_WEIGHTS, "equal": (1 / 3,) * 3}
    return dict(zip(PHASES, of_rule.get(skill.rule, ()), strict=False))


def _groups(found: WeightFit) -> list[dict[str, str]]:
    return [
        {
            "group": name,
            "runs": f"{size:,}",
            "learned": _signed(learned),
            "default": _signed(default),
        }
        for name, size, (learned, default) in zip(
            found.groups, found.sizes, found.by_group, strict=True
        )
    ]


def _evidence(found: WeightFit) -> Iterator[str]:
    """Say how sure the weights are; of one group nothing can be told."""
    if len(found.groups) < 2:
        return
    intervals = zip(PHASES, found.intervals, strict=True)
    told = ", ".join(f"{phase} {low:.2f} to {high:.2f}" for phase, (low, high) in intervals)
    yield f"learned weights, 95 % over groups drawn anew: {told}"
    yield (
        f"{100 * found.share:.0f} % of them is learned, the rest is the default: the share that "
        "does best on groups left out"
    )
    yield (
        f"gain over the default on groups left out: {_signed(found.gain)} "
        f"({_between(found.gain_interval)})"
    )
    yield f"outcomes shuffled within groups are ordered as well with p = {found.p:.3f}"
    promised = found.skills[0].within + found.optimism
    yield (
        f"folds over runs, which ignore groups, promise {_signed(promised)}: "
        f"{_signed(found.optimism)} against groups left out"
    )


def _verdict(found: WeightFit) -> str:
    if found.is_supported:
        return "The data support these weights against the default."
    reasons = "; ".join(found.reasons)
    return f"The data do not support other weights than the default: {reasons}."


def _whole(found: WeightFit, runs: Scored, file: WeightsFile) -> dict[str, Any]:
    skills = {
        skill.rule.replace(" ", "_"): {
            "within": _known(skill.within),
            "interval": [_known(each) for each in skill.interval],
            "pooled": _known(skill.pooled),
        }
        for skill in found.skills
    }
    groups = [
        {"group": name, "runs": size, "learned": _known(learned), "default": _known(default)}
        for name, size, (learned, default) in zip(
            found.groups, found.sizes, found.by_group, strict=False
        )
    ]
    return file.model_dump(mode="json") | {
        "groups": groups,
        "fitted": found.is_fitted,
        "reasons": list(found.reasons),
        "skills": skills,
        "optimism": found.optimism,
        "listed": runs.n_listed,
        "left_out": _left_out(found, runs),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.3f}"


def _between(interval: tuple[float, float]) -> str:
    return "–" if math.isnan(interval[0]) else f"{interval[0]:+.3f} to {interval[1]:+.3f}"


def _sentence(text: str) -> None:
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    for line in textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False):
        say(line)
