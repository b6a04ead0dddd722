"""One question, cleaned: the usable runs as ranks within groups, and why the rest are not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.population import MIN_COHORT, column
from dqi_tracking.insight.validating.ranks import members, numbered, within_ranks

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import ArrayLike

    from dqi_tracking.insight.early_part import Features
    from dqi_tracking.insight.validating.ranks import IntArray
    from dqi_tracking.types import FloatArray

MIN_RUNS = MIN_COHORT
"""Runs with an outcome that a group needs, as for a percentile."""

MIN_GROUPS = 3
"""Groups that a validation needs: one to predict, and one to choose by, from one more."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """The n runs that a question can be asked of, in G groups.

    Attributes
    ----------
    names : tuple of str
        Features.
    x : ndarray of shape (n, features)
        Centred ranks within groups, NaN as 0.
    y : ndarray of shape (n,)
        Outcomes as centred ranks within groups.
    outcomes : ndarray of shape (n,)
        As logged.
    codes, configurations : ndarray of shape (n,)
        Group and configuration of each run; runs without one have a number of their own.
    groups : tuple of str
        Names of the groups, by code.
    n_configurations : int
        0 where none was given.
    rows : ndarray of shape (n,)
        Which of the runs asked of these are.
    missing : float
        Share of feature values that were not known.
    left_out : tuple of str
        What was left out and why, one sentence each.
    problem : str
        Why there can be no number; empty where there can.
    """

    names: tuple[str, ...]
    x: FloatArray
    y: FloatArray
    outcomes: FloatArray
    codes: IntArray
    configurations: IntArray
    groups: tuple[str, ...]
    n_configurations: int
    rows: IntArray
    missing: float
    left_out: tuple[str, ...]
    problem: str

    def of(self, names: Sequence[str]) -> FloatArray:
        """Return the ranks of some features, of shape (n, len(names))."""
        return self.x[:, [self.names.index(name) for name in names]]


def ask(
    features: Features,
    outcomes: ArrayLike,
    groups: Sequence[Hashable],
    configurations: Sequence[Hashable] | None = None,
) -> Question:
    """Clean a question: parameters and errors as in `validate`."""
    numbers = column(outcomes, "outcomes")
    _check_lengths(features, numbers, groups, configurations)
    names, codes = numbered(groups)
    has_group = np.array([not _unknown(label) for label in groups], dtype=np.bool_)
    kept, left_out = _usable(numbers, codes, has_group)
    rows = np.flatnonzero(kept)
    old, new = np.unique(codes[rows], return_inverse=True)
    values = features.values[rows]
    own = new.astype(np.int64)
    return Question(
        names=features.names,
        x=within_ranks(values, own),
        y=within_ranks(numbers[rows, None], own)[:, 0],
        outcomes=numbers[rows],
        codes=own,
        configurations=_configuration_codes(configurations, groups, rows),
        groups=tuple(str(names[code]) for code in old.tolist()),
        n_configurations=_count(configurations, groups, rows),
        rows=rows,
        missing=float(np.isnan(values).mean()) if values.size else 0.0,
        left_out=tuple(left_out),
        problem=_problem(old.size, left_out),
    )


def _check_lengths(
    features: Features,
    outcomes: FloatArray,
    groups: Sequence[Hashable],
    configurations: Sequence[Hashable] | None,
) -> None:
    n_runs = len(features.values)
    given = {"outcomes": outcomes.size, "groups": len(groups)}
    if configurations is not None:
        given["configurations"] = len(configurations)
    for name, size in given.items():
        if size != n_runs:
            raise ConfigError(f"{size} {name} for {n_runs} runs", fix="pass one for each run")


def _usable(
    outcomes: FloatArray, codes: IntArray, has_group: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    kept = np.isfinite(outcomes) & has_group
    told: list[str] = []
    if not has_group.all():
        told.append(f"{_runs(int((~has_group).sum()))} without a group")
    n_missing = int((has_group & ~kept).sum())
    if n_missing:
        told.append(
            f"{_runs(n_missing)} without a finite outcome: if they diverged, what is found holds "
            "for runs that do not"
        )
    small, constant = [0, 0], [0, 0]
    for own in members(codes):
        if not has_group[own[0]]:
            continue
        known = own[kept[own]]
        few = known.size < MIN_RUNS
        if few or np.ptp(outcomes[known]) == 0:
            tally = small if few else constant
            tally[0] += 1
            tally[1] += known.size
            kept[own] = False
    for (n_groups, n_runs), why in (
        (small, f"fewer than {MIN_RUNS} runs with an outcome"),
        (constant, "the same outcome in every run"),
    ):
        if n_groups:
            told.append(f"{_groups(n_groups)} with {why} ({_runs(n_runs)})")
    return kept, told


def _problem(n_groups: int, left_out: list[str]) -> str:
    if n_groups >= MIN_GROUPS:
        return ""
    left = "no group is" if not n_groups else f"only {_groups(n_groups)} {_are(n_groups)}"
    why = f"; left out: {'; '.join(left_out)}" if left_out else ""
    return (
        f"{left} left with {MIN_RUNS} runs or more and an outcome that varies, and leaving one "
        f"group out takes {MIN_GROUPS}{why}"
    )


def _configuration_codes(
    configurations: Sequence[Hashable] | None, groups: Sequence[Hashable], rows: IntArray
) -> IntArray:
    if configurations is None:
        return np.arange(rows.size, dtype=np.int64)
    labels = [
        (row,) if _unknown(configurations[row]) else (groups[row], configurations[row])
        for row in rows.tolist()
    ]
    return numbered(labels)[1]


def _count(
    configurations: Sequence[Hashable] | None, groups: Sequence[Hashable], rows: IntArray
) -> int:
    if configurations is None:
        return 0
    return int(_configuration_codes(configurations, groups, rows).max(initial=-1)) + 1


def _unknown(label: Hashable) -> bool:
    return label is None or label == "" or (isinstance(label, float) and math.isnan(label))


def _runs(number: int) -> str:
    return f"{number:,} run{'' if number == 1 else 's'}"


def _groups(number: int) -> str:
    return f"{number:,} group{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
