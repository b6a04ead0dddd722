"""What a validation found: plain numbers, ready to be shown or written as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VerdictName = Literal["evidence", "confounded", "no evidence", "controls failed", "too little data"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over groups, with its 95 % bootstrap interval over groups."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reading:
    """How well one model or baseline orders the runs.

    Attributes
    ----------
    name : str
        What predicts, and from what.
    is_baseline : bool
    rho : Estimate
        Spearman's rho within groups that were left out, mean over groups, in [−1, 1].
    each_rho : tuple of float
        The same of each group, in the order of `OutcomeStudy.groups`.
    over_loss : Estimate or None
        `rho` minus that of the loss at the cut, paired by groups, or minus 0 where the loss does
        worse than chance; None for that baseline itself and where there is no loss.
    k_fold, leave_one_out : float
        The same rho where other runs of the group were in the training: ten folds, and one run left
        out. NaN where it was not computed.
    optimism : float
        `k_fold` minus `rho`: how much a split that mixes groups flatters.
    pooled : float
        rho over all runs at once, ten folds, in the units of the outcome: what a table that ignores
        groups would show. To be read against that of the group alone.
    """

    name: str
    is_baseline: bool
    rho: Estimate
    each_rho: tuple[float, ...]
    over_loss: Estimate | None
    k_fold: float
    leave_one_out: float
    optimism: float
    pooled: float


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """A one-sided test of one model by shuffles within groups.

    Attributes
    ----------
    name : str
        The model.
    p, p_adjusted : float
        Share of shuffles that do as well, and the same adjusted for all tests and questions.
    n_shuffles : int
        The smallest possible p is 1 / (`n_shuffles` + 1).
    """

    name: str
    p: float
    p_adjusted: float
    n_shuffles: int


@dataclass(frozen=True, slots=True)
class Control:
    """A question with a known answer, put to the same groups, outcomes and procedure.

    Attributes
    ----------
    name : str
    expected : str
        What must come out.
    repeats, detected : int
        How often it was asked with other random numbers, and how often p ≤ 0.05.
    mean_rho : float
        Mean of rho over the repeats.
    passed : bool
    """

    name: str
    expected: str
    repeats: int
    detected: int
    mean_rho: float
    passed: bool


@dataclass(frozen=True, slots=True)
class CounterTests:
    """What is left of the signals once something else has its due.

    Attributes
    ----------
    model : str
        The model whose predictions these are.
    beyond_confounds, beyond_loss : Estimate or None
        Partial rank correlation of prediction and outcome within groups, by residuals, given the
        confounds, and given the loss at the cut and the lowest so far. None where there is nothing
        to hold fixed, or the signals are that loss themselves.
    confounds_only : float
        rho of the confounds alone, by ridge regression as the next two; 0 where there are none.
    with_signals : float
        rho of confounds and signals together.
    with_shuffled : float
        The same with the signals shuffled within groups, mean over `n_shuffled`.
    shuffled_p : float
        Share of these that do as well as the real ones, those among them.
    n_shuffled : int
    """

    model: str
    beyond_confounds: Estimate | None
    beyond_loss: Estimate | None
    confounds_only: float
    with_signals: float
    with_shuffled: float
    shuffled_p: float
    n_shuffled: int
