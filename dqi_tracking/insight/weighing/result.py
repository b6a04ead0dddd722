"""What is to be said of learned phase weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dqi_tracking.insight.weighing.groups import LeftOut

Rule = Literal["learned", "default", "equal", "group only"]
Interval = tuple[float, float]
NO_INTERVAL: Interval = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Skill:
    """How well one rule orders runs by their outcome.

    Attributes
    ----------
    rule : {"learned", "default", "equal", "group only"}
        `learned` is learned on the other groups, for each group; `group only` knows the mean
        outcome of a run's group and nothing of the run.
    within : float
        Spearman's rank correlation within a group, mean over groups, in [−1, 1]; positive where a
        higher score means a better outcome. NaN where it cannot be told.
    interval : tuple of float
        95 % of it, groups drawn anew.
    pooled : float
        Spearman's rank correlation over all runs at once, groups mixed.
    """

    rule: Rule
    within: float
    interval: Interval
    pooled: float


@dataclass(frozen=True, slots=True)
class WeightFit:
    """Learned weights, and what is to be said of them.

    Attributes
    ----------
    weights : tuple of float
        Early, mid, late; non-negative, sum 1. The default where nothing could be fitted.
    share : float
        Share of the least-squares weights in them, in [0, 1]; the rest is the default.
    intervals : tuple of tuple of float
        95 % of each weight, groups drawn anew; NaN with fewer than two groups.
    skills : tuple of Skill
        Learned, default, equal, group only.
    gain : float
        `within` of the learned weights minus that of the default; NaN with fewer than two groups.
    gain_interval : tuple of float
        95 % of it, groups drawn anew.
    optimism : float
        What a validation that ignores groups (five folds over runs) would promise above
        `within`.
    p : float
        Of the permutation test: how often outcomes shuffled within groups are ordered as well.
    groups : tuple of str
        Those that took part.
    sizes : tuple of int
        Runs of each.
    by_group : tuple of tuple of float
        Rank correlation of learned and default in each.
    n_runs : int
        Runs that took part.
    left_out : LeftOut
        Those that did not.
    is_fitted : bool
        Whether `weights` were learned at all.
    is_supported : bool
        Whether the data support them against the default.
    reasons : tuple of str
        Why not, one sentence each; empty where they do.
    """

    weights: tuple[float, float, float]
    share: float
    intervals: tuple[Interval, Interval, Interval]
    skills: tuple[Skill, ...]
    gain: float
    gain_interval: Interval
    optimism: float
    p: float
    groups: tuple[str, ...]
    sizes: tuple[int, ...]
    by_group: tuple[Interval, ...]
    n_runs: int
    left_out: LeftOut
    is_fitted: bool
    is_supported: bool
    reasons: tuple[str, ...]
