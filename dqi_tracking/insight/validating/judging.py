"""From what was found to a verdict in words, and what to bear in mind about it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.insight.validating.readings import LOSS, RIDGE, TREES
from dqi_tracking.insight.validating.result import (
    Control,
    CounterTests,
    PermutationTest,
    Reading,
    VerdictName,
)
from dqi_tracking.insight.validating.testing import LEVEL, NOISE, PLANTED, PLANTED_RHO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.insight.validating.question import Question
    from dqi_tracking.insight.validating.readings import Prediction
    from dqi_tracking.insight.validating.result import Estimate

SURE = 0.01
"""Adjusted p up to which no word is lost on chance."""
FEW_GROUPS = 6
"""Groups below which a bootstrap over groups is known to be too narrow."""
FEW_CONFIGURATIONS = 5
"""Configurations a group below which groups are small, whatever their runs."""
MUCH_OPTIMISM = 0.1
"""k-fold minus leave-one-group-out worth a word."""
MUCH_MISSING = 0.2
"""Share of missing feature values worth a word."""


class Findings(NamedTuple):
    """All that was found of a question; empty where there is too little data."""

    predicted: dict[str, Prediction] = {}  # noqa: RUF012 - never written to
    readings: tuple[Reading, ...] = ()
    tests: tuple[PermutationTest, ...] = ()
    counter_tests: CounterTests | None = None
    controls: tuple[Control, ...] = ()

    def reading(self, name: str) -> Reading:
        """Return the reading of a name."""
        return next(reading for reading in self.readings if reading.name == name)

    def passed(self, name: str) -> bool:
        """Return whether a control came out as it must."""
        return next(control.passed for control in self.controls if control.name == name)


def judge(asked: Question, found: Findings) -> tuple[VerdictName, str]:
    """Return the verdict, and the same in words.

    Evidence takes a model whose adjusted p is at most 0.05 and whose interval over groups lies
    above 0; beyond the confounds it takes a partial correlation whose interval does.
    """
    if asked.problem:
        return "too little data", f"Too little data for a number: {asked.problem}."
    if not found.passed(NOISE):
        return (
            "controls failed",
            "On these runs the procedure finds noise more often than chance does, so nothing it "
            "says here counts.",
        )
    best = strongest(found.tests, found.readings)
    if not _holds(best, found.readings):
        return "no evidence", _no_evidence(found)
    rho = found.reading(best.name).rho
    told = (
        f"{_capital(best.name)}: rank correlation {spoken(rho)} within groups that were left out, "
        f"p = {best.p_adjusted:.2g} by shuffles within groups."
    )
    counter = found.counter_tests
    beyond = None if counter is None else counter.beyond_confounds
    if beyond is not None and not beyond.low > 0:
        return (
            "confounded",
            f"{told} But with the confounds held fixed it is {spoken(beyond)}: they may be all "
            "there is to it.",
        )
    return "evidence", f"{told} {_against_loss(best.name, found)}"


def strongest(tests: Sequence[PermutationTest], readings: Sequence[Reading]) -> PermutationTest:
    """Return the test that a verdict rests on: one that holds where there is one, by lowest p."""
    return min(tests, key=lambda test: (not _holds(test, readings), test.p_adjusted))


def _holds(test: PermutationTest, readings: Sequence[Reading]) -> bool:
    rho = next(reading.rho for reading in readings if reading.name == test.name)
    return test.p_adjusted <= LEVEL and rho.low > 0


def _no_evidence(found: Findings) -> str:
    told = " ".join(
        f"{_capital(test.name)}: rank correlation {spoken(found.reading(test.name).rho)}, "
        f"p = {test.p_adjusted:.2g}."
        for test in found.tests
    )
    if found.passed(PLANTED):
        return (
            f"No evidence that the signals tell the outcome. {told} A planted signal of "
            f"{PLANTED_RHO} would have been found; a much weaker one might not."
        )
    return (
        f"No evidence that the signals tell the outcome, and none was to be expected: these runs "
        f"are too few to find even a planted signal of {PLANTED_RHO} reliably. {told}"
    )


def _against_loss(name: str, found: Findings) -> str:
    counter, difference = found.counter_tests, found.reading(name).over_loss
    if difference is None or counter is None:
        return "There is no loss to compare it with."
    if counter.beyond_loss is None:
        return "The signals are the loss itself."
    told = f"Against the {LOSS} alone it differs by {spoken(difference)}"
    left = f"with the loss held fixed {spoken(counter.beyond_loss)} is left"
    if difference.low > 0 and counter.beyond_loss.low > 0:
        return f"{told}, and {left}: the signals tell more than the loss."
    return f"{told}; {left}: that the signals tell more than the loss is not shown."


def cautions(asked: Question, found: Findings, n_questions: int) -> tuple[str, ...]:
    """Return what to bear in mind, one sentence each."""
    told = [f"Left out: {why}." for why in asked.left_out]
    if asked.problem:
        return tuple(told)
    n_groups = len(asked.groups)
    if n_groups < FEW_GROUPS:
        told.append(
            f"With {n_groups} groups the intervals over groups are too narrow; the p-values hold."
        )
    told += _on_configurations(asked)
    told += _on_shuffled_signals(found)
    if asked.missing > MUCH_MISSING:
        told.append(
            f"{asked.missing:.0%} of the feature values are missing and count as the middle of "
            "their group."
        )
    questions = f", and by {n_questions} questions" if n_questions > 1 else ""
    told.append(
        f"p-values are adjusted for {len(found.tests)} models (Holm){questions}; other outcomes, "
        "signals or cuts that were tried before count as questions too."
    )
    if len(found.tests) * n_questions / (found.tests[0].n_shuffles + 1) > LEVEL:
        told.append(f"{n_questions:,} questions are more than any number here could stand up to.")
    told += _on_chance(found)
    if not found.passed(PLANTED):
        planted = next(control for control in found.controls if control.name == PLANTED)
        told.append(
            f"The planted signal was not found reliably ({planted.detected} of {planted.repeats}): "
            "where these runs show nothing, that means little."
        )
    optimism = max(found.reading(name).optimism for name in (RIDGE, TREES))
    if optimism > MUCH_OPTIMISM:
        told.append(f"k-fold, which mixes groups, would have shown {optimism:.2f} more.")
    return tuple(told)


def _on_configurations(asked: Question) -> list[str]:
    if not asked.n_configurations:
        return [
            "No configurations were given: if there are repeats among the runs, the p-values are "
            "too small."
        ]
    each = asked.n_configurations / len(asked.groups)
    if each < FEW_CONFIGURATIONS:
        return [f"A group has {each:.1f} configurations on average, however many its runs are."]
    return []


def _on_chance(found: Findings) -> list[str]:
    p = strongest(found.tests, found.readings).p_adjusted
    if not SURE < p <= LEVEL:
        return []
    return [
        f"Of {math.floor(1 / p + 1e-9)} questions whose answer is no, about one comes out as "
        "strong as this: ask it again of other runs."
    ]


def _on_shuffled_signals(found: Findings) -> list[str]:
    counter = found.counter_tests
    if counter is None or not counter.beyond_confounds or counter.shuffled_p <= LEVEL:
        return []
    return [
        "Beside the confounds, ridge regression on shuffled signals does as well as on the real "
        f"ones (p = {counter.shuffled_p:.2g})."
    ]


def spoken(estimate: Estimate) -> str:
    """Return a number with its interval, as in ``0.25 [0.08, 0.44]``."""
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
