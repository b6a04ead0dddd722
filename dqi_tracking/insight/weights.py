"""Weights of the phases learned from outcomes, and whether the data support others than default.

Outcomes are ranked within groups (data set, workload), since outcomes of different ones cannot be
compared and differ far more than those within. See `weighing.fitting` for the fit and
`weighing.validation` for what it is held against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from dqi_tracking.engine.fusion import PHASE_WEIGHTS
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.weighing import validation as validation
from dqi_tracking.insight.weighing.fitting import Fitted, fit, moments
from dqi_tracking.insight.weighing.groups import Grouped, LeftOut, grouped, order_within
from dqi_tracking.insight.weighing.result import NO_INTERVAL, Interval, Rule, Skill, WeightFit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dqi_tracking.types import FloatArray

MIN_RUNS = 8
"""Runs below which nothing is fitted, as for percentiles of a population."""
MIN_GROUPS = 5
"""Groups below which nothing is supported: four can be drawn anew in 35 ways only."""
LEVEL = 0.05
"""Largest p of the permutation test at which weights count as supported."""
N_PERMUTATIONS = 199
N_BOOTSTRAP = 1_000
SEED = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """What came of holding a fit against other groups; NaN where there are none."""

    scores: FloatArray
    intervals: tuple[Interval, Interval, Interval] = (NO_INTERVAL, NO_INTERVAL, NO_INTERVAL)
    optimism: float = float("nan")
    p: float = float("nan")


def fit_weights(
    scores: ArrayLike,
    outcomes: ArrayLike,
    groups: ArrayLike,
    *,
    lower_is_better: bool = True,
    n_permutations: int = N_PERMUTATIONS,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int = SEED,
) -> WeightFit:
    """Learn phase weights from outcomes, and hold them against the default on unseen groups.

    Parameters
    ----------
    scores : array_like of shape (n, 3)
        Phase scores early, mid, late of each run, in [0, 1]. A run with a NaN is left out.
    outcomes : array_like of shape (n,)
        In any unit; ranked within groups. NaN is left out, ±inf has a rank like any other.
    groups : array_like of shape (n,)
        Runs whose outcomes can be compared have the same label.
    lower_is_better : bool
        Whether a lower outcome is a better one, as of a loss.
    n_permutations, n_bootstrap, seed : int
        Of the permutation test and the intervals.

    Returns
    -------
    WeightFit
        Weights by non-negative least squares of outcome ranks on phase scores, both centred within
        groups, every group counting the same; mixed with the default in the share that does best
        on inner left-out groups. O(n · groups · permutations).

    Raises
    ------
    ConfigError
        When the arrays do not go together.
    """
    table, values, labels = _checked(scores, outcomes, groups)
    runs, left_out = grouped(table, -values if lower_is_better else values, labels)
    obstacle = _obstacle(runs, left_out, values)
    if obstacle:
        return _nothing(runs, left_out, obstacle)
    fitted = fit(moments(runs.scores, runs.ranks, runs.codes))
    held = _held(runs, fitted, n_permutations, n_bootstrap, seed)
    learned, default = (
        order_within(score, runs.ranks, runs.codes)
        for score in (held.scores, runs.scores @ np.array(PHASE_WEIGHTS))
    )
    gains = learned - default
    gain_interval = _interval(gains, n_bootstrap, seed)
    reasons = _reasons(runs, fitted, held.p, gain_interval)
    early, mid, late = fitted.weights.tolist()
    return WeightFit(
        weights=(early, mid, late),
        share=fitted.share,
        intervals=held.intervals,
        skills=_skills(runs, held.scores, n_bootstrap, seed),
        gain=float(gains.mean()),
        gain_interval=gain_interval,
        optimism=held.optimism,
        p=held.p,
        groups=runs.names,
        sizes=tuple(np.bincount(runs.codes).tolist()),
        by_group=tuple(zip(learned.tolist(), default.tolist(), strict=True)),
        n_runs=runs.ranks.size,
        left_out=left_out,
        is_fitted=True,
        is_supported=not reasons,
        reasons=reasons,
    )


def _checked(
    scores: ArrayLike, outcomes: ArrayLike, groups: ArrayLike
) -> tuple[FloatArray, FloatArray, np.ndarray[tuple[int], np.dtype[np.str_]]]:
    table = np.asarray(scores, dtype=np.float64).reshape(-1, 3)
    values = np.asarray(outcomes, dtype=np.float64)
    labels = np.asarray(groups).astype(str)
    if not len(table) == values.size == labels.size or values.ndim != 1 or labels.ndim != 1:
        raise ConfigError(
            f"{len(table)} rows of phase scores, {values.size} outcomes, {labels.size} groups",
            fix="pass one of each for every run",
        )
    return table, values, labels


def _obstacle(runs: Grouped, left_out: LeftOut, values: FloatArray) -> str:
    """Say why nothing can be fitted; empty where something can."""
    known = values[~np.isnan(values)]
    if known.size and (known == known[0]).all():
        return "the outcome is the same on all runs: there is nothing to order"
    if runs.ranks.size < MIN_RUNS:
        n_apart = left_out.small_group + left_out.constant_group
        more = f", {n_apart} in groups too small or all equal" if n_apart else ""
        return f"{runs.ranks.size} runs can be compared{more}; it takes {MIN_RUNS}"
    if not np.ptp(runs.scores, axis=0).any():
        return "the phase scores are the same on all runs"
    return ""


def _held(runs: Grouped, fitted: Fitted, n_permutations: int, n_bootstrap: int, seed: int) -> _Held:
    if runs.n_groups < 2:
        return _Held(np.full(runs.ranks.size, np.nan))
    scores = validation.leave_one_group_out(runs)
    within = float(order_within(scores, runs.ranks, runs.codes).mean())
    early, mid, late = validation.weight_intervals(runs, fitted, n_bootstrap, seed).tolist()
    return _Held(
        scores,
        (tuple(early), tuple(mid), tuple(late)),
        validation.folds_over_runs(runs, seed) - within,
        validation.permutation_p(runs, n_permutations, seed),
    )


def _skills(runs: Grouped, learned: FloatArray, n_bootstrap: int, seed: int) -> tuple[Skill, ...]:
    """Hold the rules side by side."""
    sizes = np.bincount(runs.codes)
    finite = np.where(np.isfinite(runs.outcomes), runs.outcomes, 0.0)
    of_group = (np.bincount(runs.codes, finite) / sizes)[runs.codes]
    rules: dict[Rule, FloatArray] = {
        "learned": learned,
        "default": runs.scores @ np.array(PHASE_WEIGHTS),
        "equal": runs.scores.mean(axis=1),
        "group only": of_group,
    }
    skills: list[Skill] = []
    for rule, score in rules.items():
        within = order_within(score, runs.ranks, runs.codes)
        interval = _interval(within, n_bootstrap, seed)
        skills.append(Skill(rule, float(within.mean()), interval, _pooled(score, runs.outcomes)))
    return tuple(skills)


def _interval(values: FloatArray, n_bootstrap: int, seed: int) -> Interval:
    if values.size < 2:
        return NO_INTERVAL
    return validation.mean_interval(values, n_bootstrap, seed)


def _pooled(score: FloatArray, outcomes: FloatArray) -> float:
    one, other = rankdata(score), rankdata(outcomes)
    if not np.ptp(one) or not np.ptp(other):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _reasons(runs: Grouped, fitted: Fitted, p: float, gain_interval: Interval) -> tuple[str, ...]:
    """Say why the data do not support the weights; nothing where they do."""
    reasons: list[str] = []
    if runs.n_groups < 2:
        reasons.append("there is one group only, so nothing can be tried on a group left out")
    elif runs.n_groups < MIN_GROUPS:
        reasons.append(f"there are {runs.n_groups} groups; it takes {MIN_GROUPS}")
    if fitted.share == 0:
        reasons.append("no other weights than the default do better on groups left out")
    if runs.n_groups >= 2 and not gain_interval[0] > 0:
        low, high = gain_interval
        reasons.append(
            f"the gain over the default on groups left out is {low:+.2f} to {high:+.2f}: not clear "
            "of 0"
        )
    if p > LEVEL:
        reasons.append(f"outcomes shuffled within groups are ordered as well: p = {p:.3f}")
    return tuple(reasons)


def _nothing(runs: Grouped, left_out: LeftOut, obstacle: str) -> WeightFit:
    nan = float("nan")
    return WeightFit(
        weights=PHASE_WEIGHTS,
        share=0.0,
        intervals=(NO_INTERVAL, NO_INTERVAL, NO_INTERVAL),
        skills=(),
        gain=nan,
        gain_interval=NO_INTERVAL,
        optimism=nan,
        p=nan,
        groups=runs.names,
        sizes=tuple(np.bincount(runs.codes).tolist()),
        by_group=(),
        n_runs=runs.ranks.size,
        left_out=left_out,
        is_fitted=False,
        is_supported=False,
        reasons=(obstacle,),
    )
