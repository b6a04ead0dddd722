"""Does a signal tell how runs end? A validation that does not fool itself.

Groups are left out whole, configurations are shuffled whole, everything stands beside baselines
and counter-tests, and the procedure itself is put to questions whose answers are known. Where
there is no evidence, it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.outcome import OutcomeStudy, named, study_of
from dqi_tracking.insight.validating.confounds import counter_tests
from dqi_tracking.insight.validating.judging import Findings, cautions, judge, strongest
from dqi_tracking.insight.validating.question import ask
from dqi_tracking.insight.validating.readings import RIDGE, TREES, predictions, readings
from dqi_tracking.insight.validating.result import (
    Control,
    CounterTests,
    PermutationTest,
    VerdictName,
)
from dqi_tracking.insight.validating.shuffling import holm, shuffles
from dqi_tracking.insight.validating.testing import controls, ridge_p, trees_p

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

    from dqi_tracking.insight.early_part import Features
    from dqi_tracking.insight.validating.question import Question

RIDGE_SHUFFLES, TREES_SHUFFLES = 999, 99
"""Shuffles of the two permutation tests."""
SHUFFLES_A_QUESTION, MOST_SHUFFLES = 80, 9999
"""Shuffles of ridge regression for each of many questions: p, adjusted, can then be 0.025."""


@dataclass(frozen=True, slots=True, eq=False)
class ValidationReport:
    """What a validation found.

    Attributes
    ----------
    question : str
        As it was asked. Data, never trusted.
    verdict : str
        `evidence`: the signals order runs of unseen groups better than shuffles do. `confounded`:
        they do, but nothing is left once logging interval and length are held fixed. `no
        evidence`. `controls failed`: the procedure finds noise on these runs, so nothing it says
        counts. `too little data`: no number at all.
    sentence : str
        The verdict in words.
    cautions : tuple of str
        What to bear in mind, one sentence each.
    signals, confounds : tuple of str
        Names of the features.
    study : OutcomeStudy
        Models and baselines.
    n_configurations : int
        Configurations that were shuffled whole; 0 where none were given.
    n_questions : int
        Questions asked of these runs, by which p-values are multiplied.
    tests : tuple of PermutationTest
        One for each model; empty where there is too little data, as `controls`.
    counter_tests : CounterTests or None
    controls : tuple of Control
    seed : int
    """

    question: str
    verdict: VerdictName
    sentence: str
    cautions: tuple[str, ...]
    signals: tuple[str, ...]
    confounds: tuple[str, ...]
    study: OutcomeStudy
    n_configurations: int
    n_questions: int
    tests: tuple[PermutationTest, ...]
    counter_tests: CounterTests | None
    controls: tuple[Control, ...]
    seed: int


def validate(
    features: Features,
    outcomes: ArrayLike,
    groups: Sequence[Hashable],
    *,
    configurations: Sequence[Hashable] | None = None,
    signals: Sequence[str] | None = None,
    confounds: Sequence[str] | None = None,
    question: str = "",
    n_questions: int = 1,
    seed: int = 0,
) -> ValidationReport:
    """Ask whether signals tell how the runs of a group end.

    Parameters
    ----------
    features, outcomes, groups, signals, confounds, seed
        As in `dqi_tracking.insight.outcome.predict_outcomes`. Groups should be the widest thing
        that the answer is to carry over to: what two groups share is not put to the test.
    configurations : sequence of n labels, optional
        Hyperparameters of each run, equal for repeats within a group; None, NaN or an empty text
        for a run without repeats. Repeats are shuffled together: they end alike, and counted as
        single runs they make noise look like evidence.
    question : str
        In words, for the report.
    n_questions : int
        How many questions are asked of these runs in all, 1 or more: other outcomes, other
        signals, other shares of the run. p-values are multiplied by it.

    Returns
    -------
    ValidationReport
        The same for the same arguments. Some ten seconds for 200 runs in 8 groups, most of them
        for the trees; two minutes for 1,500 runs in 60.

    Raises
    ------
    ConfigError
        When lengths differ, a feature is named that is not there, or `n_questions` is below 1.
    """
    if n_questions < 1:
        raise ConfigError(f"{n_questions} questions cannot be asked", fix="pass 1 or more")
    chosen, fixed = named(features, signals, confounds)
    asked = ask(features, outcomes, groups, configurations)
    findings = Findings() if asked.problem else _findings(asked, chosen, fixed, n_questions, seed)
    verdict, sentence = judge(asked, findings)
    return ValidationReport(
        question=question,
        verdict=verdict,
        sentence=sentence,
        cautions=cautions(asked, findings, n_questions),
        signals=chosen,
        confounds=fixed,
        study=study_of(asked, findings.predicted, findings.readings, len(features.values)),
        n_configurations=asked.n_configurations,
        n_questions=n_questions,
        tests=findings.tests,
        counter_tests=findings.counter_tests,
        controls=findings.controls,
        seed=seed,
    )


def _findings(
    asked: Question,
    signals: tuple[str, ...],
    confounds: tuple[str, ...],
    n_questions: int,
    seed: int,
) -> Findings:
    predicted = predictions(asked, signals, confounds, seed)
    found = readings(asked, predicted, seed)
    rho = {reading.name: reading.rho.value for reading in found}
    x = asked.of(signals)
    many = min(MOST_SHUFFLES, max(RIDGE_SHUFFLES, SHUFFLES_A_QUESTION * n_questions - 1))
    moved = shuffles(asked.codes, asked.configurations, many, seed)
    numbers = {RIDGE: many, TREES: TREES_SHUFFLES}
    p_values = [
        ridge_p(asked, x, moved)[1],
        trees_p(asked, x, rho[TREES], moved[:, :TREES_SHUFFLES]),
    ]
    tests = tuple(
        PermutationTest(name, p, adjusted, numbers[name])
        for name, p, adjusted in zip(numbers, p_values, holm(p_values, n_questions), strict=True)
    )
    best = strongest(tests, found).name
    return Findings(
        predicted=predicted,
        readings=found,
        tests=tests,
        counter_tests=counter_tests(
            asked, best, predicted[best].by_group, signals, confounds, seed
        ),
        controls=controls(asked, len(signals), seed),
    )
