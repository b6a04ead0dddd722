"""A validation as tables: what Markdown and HTML both show, in the same words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.insight.validating.result import Estimate

if TYPE_CHECKING:
    from dqi_tracking.insight.validating.result import CounterTests
    from dqi_tracking.insight.validation import ValidationReport

MOST_GROUPS = 100
"""Groups that are listed; the others are counted."""

DASH = "–"


class Cell(NamedTuple):
    """One cell: its text, and the estimate to draw where it is one. `is_data` text is foreign."""

    text: str
    estimate: Estimate | None = None
    is_data: bool = False


class Table(NamedTuple):
    """A titled table; the first column names the row, `numbers` are columns of numbers."""

    title: str
    note: str
    head: tuple[str, ...]
    rows: list[list[Cell]]
    numbers: frozenset[int]


def tables(report: ValidationReport) -> list[Table]:
    """Return the tables of a report; those of which there is nothing to say are left out."""
    if not report.study.readings:
        return []
    found = [_readings(report), _tests(report)]
    if report.counter_tests is not None:
        found.append(_counter_tests(report.counter_tests))
    return [*found, _controls(report), _groups(report)]


def number(value: float) -> str:
    """Return a number with two decimals, a dash for NaN, and no minus before zero."""
    if math.isnan(value):
        return DASH
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", "−")


def _readings(report: ValidationReport) -> Table:
    rows = [
        [
            Cell(f"{reading.name} (baseline)" if reading.is_baseline else reading.name),
            _estimate(reading.rho),
            _estimate(reading.over_loss),
            Cell(number(reading.k_fold)),
            Cell(number(reading.leave_one_out)),
            Cell(number(reading.optimism)),
            Cell(number(reading.pooled)),
        ]
        for reading in report.study.readings
    ]
    return Table(
        "How well the runs of unseen groups are ordered",
        "Rank correlation of prediction and outcome within groups, mean over groups, with its 95 % "
        "bootstrap interval over groups; 0 is chance, and a value below 0 a direction that did not "
        "carry over. The next columns are no evidence: they show how much other splits flatter or "
        "mislead. Pooled over all runs, only what exceeds the group alone counts.",
        (
            "Predicted from",
            "Unseen groups",
            "Minus the loss at the cut",
            "10-fold",
            "Leave one out",
            "Optimism of 10-fold",
            "Pooled 10-fold",
        ),
        rows,
        frozenset(range(1, 7)),
    )


def _tests(report: ValidationReport) -> Table:
    rows = [
        [
            Cell(test.name),
            Cell(f"{test.p:.2g}"),
            Cell(f"{test.p_adjusted:.2g}"),
            Cell(f"{test.n_shuffles:,}"),
        ]
        for test in report.tests
    ]
    moved = (
        f"{report.n_configurations:,} configurations, each moved as a whole"
        if report.n_configurations
        else "single runs"
    )
    return Table(
        "Permutation tests within groups",
        f"Outcomes were shuffled within groups ({moved}) and the models fitted anew.",
        ("Model", "p", "p, adjusted", "Shuffles"),
        rows,
        frozenset((1, 2, 3)),
    )


def _counter_tests(found: CounterTests) -> Table:
    rows = [
        [Cell(f"{found.model}, confounds held fixed"), _estimate(found.beyond_confounds)],
        [Cell(f"{found.model}, loss so far held fixed"), _estimate(found.beyond_loss)],
        [Cell("ridge on the confounds alone"), Cell(number(found.confounds_only))],
        [Cell("ridge on confounds and signals"), Cell(number(found.with_signals))],
        [
            Cell(f"ridge on confounds and shuffled signals, mean of {found.n_shuffled}"),
            Cell(f"{number(found.with_shuffled)} (p = {found.shuffled_p:.2g})"),
        ],
    ]
    return Table(
        "Counter-tests",
        "What is left once something else has its due: partial rank correlation by residuals, and "
        "signals shuffled beside the real confounds.",
        ("Counter-test", "Rank correlation"),
        rows,
        frozenset((1,)),
    )


def _controls(report: ValidationReport) -> Table:
    rows = [
        [
            Cell(control.name),
            Cell(control.expected),
            Cell(f"{control.detected} of {control.repeats}"),
            Cell(number(control.mean_rho)),
            Cell("yes" if control.passed else "NO"),
        ]
        for control in report.controls
    ]
    return Table(
        "Controls with a known answer",
        "Put to the same groups, configurations and outcomes, by ridge regression.",
        ("In place of the signals", "Must come out", "Found (p ≤ 0.05)", "Mean", "As it must"),
        rows,
        frozenset((2, 3)),
    )


def _groups(report: ValidationReport) -> Table:
    models = [reading for reading in report.study.readings if not reading.is_baseline]
    groups = report.study.groups
    rows = [
        [
            Cell(name, is_data=True),
            Cell(f"{n_runs:,}"),
            *(Cell(number(model.each_rho[at])) for model in models),
        ]
        for at, (name, n_runs) in enumerate(groups[:MOST_GROUPS])
    ]
    return Table(
        "Group by group",
        f"The first {MOST_GROUPS} of {len(groups):,} groups." if len(groups) > MOST_GROUPS else "",
        ("Group left out", "Runs", *(model.name.capitalize() for model in models)),
        rows,
        frozenset(range(1, 2 + len(models))),
    )


def _estimate(estimate: Estimate | None) -> Cell:
    if estimate is None:
        return Cell(DASH)
    value, low, high = (number(part) for part in (estimate.value, estimate.low, estimate.high))
    return Cell(f"{value} [{low}, {high}]", estimate)
