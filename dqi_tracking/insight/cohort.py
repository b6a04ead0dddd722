"""Two readings of a run that carry more than its score, ranked within its cohort.

Where a run's lowest loss stands, and whether its late gradient norm says that more improvement may
come; `cohort_reading` reads both. Both are weak, and every sentence about them says how weak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.population import Standing, column, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from dqi_tracking.insight.population import BoolArray

LOSS_STRENGTH = (
    "weak: rank correlation with the final result about .25 to .3 between configurations, about .1"
    " between repeats of one, wrong-signed in some families"
)
"""Measured on 2,142 public runs of 8 families at 20, 40 and 60 % of the run: .25 [.07, .43],
.27 [.09, .45], .29 [.12, .47]; by family from -.19 to .65."""
GRAD_STRENGTH = (
    "weak: rank correlation with the improvement to come about .23 to .29 among runs of one"
    " optimizer, about .1 between repeats, of either sign across optimizers"
)
"""Measured on the same runs: .29 [.16, .41], .26 [.15, .37], .23 [.11, .34]; .14, .12 and .07
among repeats."""


@dataclass(frozen=True, slots=True, eq=False)
class CohortRanks:
    """Where the readings of n runs stand.

    Attributes
    ----------
    loss : Standing
        Of the lowest loss: a low percentile is a low loss.
    grad : Standing
        Of the late gradient norm: a high percentile says that more improvement may come.
    is_optimizer_known : ndarray of shape (n,), bool
        Whether `grad` is among runs of the same optimizer.
    """

    loss: Standing
    grad: Standing
    is_optimizer_known: BoolArray

    def loss_sentence(self, run: int) -> str:
        """Say in words where the lowest loss of a run stands, among how many, and its worth."""
        place = _place(self.loss, run, "loss")
        return place or (
            f"its lowest loss is at percentile {self.loss.percentile[run]:.0f} of"
            f" {self.loss.cohort_size[run]} runs (low is a low loss); {LOSS_STRENGTH}"
        )

    def grad_sentence(self, run: int) -> str:
        """Say in words where the late gradient norm stands, among how many, and its worth."""
        is_known = self.is_optimizer_known[run]
        among = "runs of its optimizer" if is_known else "runs, of optimizers that are not known"
        place = _place(self.grad, run, "gradient norm")
        return place or (
            f"its late gradient norm is at percentile {self.grad.percentile[run]:.0f} of"
            f" {self.grad.cohort_size[run]} {among} (high: more improvement may come);"
            f" {GRAD_STRENGTH}"
        )


def _place(found: Standing, run: int, what: str) -> str:
    reason = found.reason(run)
    return f"no rank of its {what}: {reason}" if reason else ""


def ranks(
    lowest_loss: ArrayLike,
    late_grad_norm: ArrayLike,
    *,
    cohort: Sequence[str] | None = None,
    optimizer: Sequence[str] | None = None,
) -> CohortRanks:
    """Rank the readings of many runs, each within its cohort.

    Parameters
    ----------
    lowest_loss, late_grad_norm : array_like of shape (n,)
        Readings at one share of the runs; NaN where a run has none, which leaves it out.
    cohort : sequence of n str, optional
        Which cohort each run belongs to; all to one where left out.
    optimizer : sequence of n str, optional
        Each run's optimizer, empty where it is not known: gradient norms are ranked among the
        runs of a cohort that name the same one. Those that name none are ranked by themselves.

    Returns
    -------
    CohortRanks
        Mid-rank percentiles in [0, 100], as `population.standing`. O(n log n).

    Raises
    ------
    ConfigError
        When lengths differ, or a reading is no number.
    """
    losses = column(lowest_loss, "lowest_loss")
    n_runs = losses.size
    labels = [""] * n_runs if cohort is None else cohort
    named = [""] * n_runs if optimizer is None else optimizer
    grads = column(late_grad_norm, "late_grad_norm")
    if not grads.size == len(labels) == len(named) == n_runs:
        raise ConfigError(
            f"{grads.size} gradient norms, {len(labels)} cohorts and {len(named)} optimizers for"
            f" {n_runs} losses",
            fix="pass one of each for each run",
        )
    return CohortRanks(
        loss=standing(losses, labels),
        grad=standing(grads, list(zip(labels, named, strict=True))),
        is_optimizer_known=np.array([bool(name) for name in named], dtype=np.bool_),
    )
