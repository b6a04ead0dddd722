"""Where a run stands among similar ones: mid-rank percentiles within a cohort.

A score differs far more between workloads than within one, so a run is compared with runs of its
own cohort and equal logging only. A percentile says where a curve's shape lies among them, not how
good the run is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.engine.fusion import PHASE_WEIGHTS, checked_weights
from dqi_tracking.errors import ConfigError
from dqi_tracking.types import COMPONENTS, PHASES

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from dqi_tracking.types import Component, FloatArray

    BoolArray = np.ndarray[tuple[int], np.dtype[np.bool_]]
    IntArray = np.ndarray[tuple[int], np.dtype[np.int64]]

MIN_COHORT = 8
"""Runs with a number that a cohort needs. Source: the groups in which the readings were measured
had 8 runs or more; among fewer, one run more moves a percentile by over 12 points."""

MOVED = 1.0
"""Points by which a percentile must move to be worth writing again. Ours: the accuracy of a saved
population."""

SCORES: tuple[str, ...] = ("dqi", *(f"dqi_{phase}" for phase in PHASES))
"""Scores that get a percentile, by the names under which they stand on a run."""

MEASURES: tuple[str, ...] = (*SCORES, *COMPONENTS)
"""What a population holds of each run: its scores, and each component's weighted mean over the
phases. All lie in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Where each of n runs stands by one number.

    Attributes
    ----------
    percentile : ndarray of shape (n,), float64
        In [0, 100]; NaN where there is none, for the reason that `reason` gives.
    cohort_size : ndarray of shape (n,), int64
        Runs of the cohort that have the number, the run itself included where it is one of them.
    has_number : ndarray of shape (n,), bool
        Whether the run's own number is finite.
    """

    percentile: FloatArray
    cohort_size: IntArray
    has_number: BoolArray

    def reason(self, run: int) -> str:
        """Return why a run has no percentile; empty where it has one."""
        if not self.has_number[run]:
            return "the run has no finite number to compare"
        size = int(self.cohort_size[run])
        if size >= MIN_COHORT:
            return ""
        runs = "1 run" if size == 1 else f"{size} runs"
        return f"the cohort has only {runs} to compare with, {MIN_COHORT} are needed"


def standing(values: ArrayLike, cohort: Sequence[Hashable] | None = None) -> Standing:
    """Rank runs by one number, each within its own cohort.

    The percentile is 100 · (runs below + half of the equal ones, the run itself among them) / size.

    Parameters
    ----------
    values : array_like of shape (n,)
        One number a run, in any unit. A run whose number is not finite is left out of its cohort.
    cohort : sequence of n labels, optional
        Which cohort each run belongs to; all to one where left out.

    Returns
    -------
    Standing
        Equal runs stand alike; where all are equal, all stand at 50. Rises with the number; its
        mean over a cohort is 50. Cohorts below `MIN_COHORT` get no percentile. O(n log n).

    Raises
    ------
    ConfigError
        When there is not one label a run, or `values` is no array of numbers.

    References
    ----------
    Roscoe 1975, Fundamental Research Statistics: percentile rank. The same as
    ``scipy.stats.percentileofscore(kind="mean")``.

    Examples
    --------
    >>> from dqi_tracking.insight.population import standing
    >>> standing([1, 2, 2, 3, 4, 5, 6, 7]).percentile.tolist()
    [6.25, 25.0, 25.0, 43.75, 56.25, 68.75, 81.25, 93.75]
    >>> standing([0.3, 0.1]).reason(0)
    'the cohort has only 2 runs to compare with, 8 are needed'
    """
    numbers = column(values, "values")
    codes, n_cohorts = _codes(cohort, numbers.size)
    has_number = np.isfinite(numbers)
    sizes = np.bincount(codes[has_number], minlength=n_cohorts)
    percentile = np.full(numbers.size, np.nan)
    ranked = np.flatnonzero(has_number & (sizes[codes] >= MIN_COHORT))
    if ranked.size:
        order = ranked[np.lexsort((numbers[ranked], codes[ranked]))]
        percentile[order] = _mid_ranks(numbers[order], codes[order])
    return Standing(percentile, sizes[codes], has_number)


def _mid_ranks(numbers: FloatArray, codes: IntArray) -> FloatArray:
    """Return percentiles of numbers that are sorted within sorted cohorts."""
    new_cohort = np.append(True, codes[1:] != codes[:-1])
    new_value = new_cohort | np.append(True, numbers[1:] != numbers[:-1])
    cohort_edges = np.append(np.flatnonzero(new_cohort), codes.size)
    value_edges = np.append(np.flatnonzero(new_value), codes.size)
    which_cohort = np.cumsum(new_cohort) - 1
    which_value = np.cumsum(new_value) - 1
    start = cohort_edges[which_cohort]
    below = value_edges[which_value] - start
    not_above = value_edges[which_value + 1] - start
    return 50.0 * (below + not_above) / np.diff(cohort_edges)[which_cohort]


def _codes(cohort: Sequence[Hashable] | None, n_runs: int) -> tuple[IntArray, int]:
    if cohort is None:
        return np.zeros(n_runs, np.int64), 1
    if len(cohort) != n_runs:
        raise ConfigError(
            f"{len(cohort)} cohort labels for {n_runs} runs", fix="pass one label for each run"
        )
    found: dict[Hashable, int] = {}
    codes = np.fromiter((found.setdefault(name, len(found)) for name in cohort), np.int64, n_runs)
    return codes, len(found)


def measures(
    columns: Mapping[str, ArrayLike], *, weights: Sequence[float] = PHASE_WEIGHTS
) -> dict[str, FloatArray]:
    """Reduce the written scores of many runs to what a population holds.

    Parameters
    ----------
    columns : mapping of str to array_like of shape (n,)
        `dqi`, `dqi_early` … and the 12 components `dqi_early_coverage` …, one value a run; NaN
        where a run has none. Others are not looked at.
    weights : sequence of three floats
        Those of the phases, as the runs were scored with.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        `MEASURES`; a component is its weighted mean over the phases, NaN where a phase is NaN.

    Raises
    ------
    ConfigError
        When a column is missing or no array of numbers, lengths differ, or the weights cannot be
        meant.
    """
    shares = checked_weights(weights)
    parts = [[f"dqi_{phase}_{name}" for phase in PHASES] for name in COMPONENTS]
    wanted = [*SCORES, *(key for keys in parts for key in keys)]
    missing = [key for key in wanted if key not in columns]
    if missing:
        raise ConfigError(
            f"the scores have no `{missing[0]}`", fix="pass every score and component of the runs"
        )
    found = {key: column(columns[key], key) for key in wanted}
    if len({values.size for values in found.values()}) > 1:
        raise ConfigError("the columns differ in length", fix="pass one value a run in each column")
    means = {
        name: np.clip(sum(shares[i] * found[key] for i, key in enumerate(keys)), 0.0, 1.0)
        for name, keys in zip(COMPONENTS, parts, strict=True)
    }
    return {name: found[name] for name in SCORES} | means


def weakest(standings: Mapping[str, Standing]) -> list[Component | None]:
    """Return the component that stands lowest among similar runs, for each run.

    Parameters
    ----------
    standings : mapping of str to Standing
        Of the four components' weighted means, from one cohort or population.

    Returns
    -------
    list of str or None
        The lowest percentile; the first of equals, in the order coverage, variation, structure,
        density. None for a run without percentiles. Unlike `Score.weakest` it does not depend on
        how large the components commonly are.
    """
    table = np.array([standings[name].percentile for name in COMPONENTS])
    known = np.logical_and.reduce(np.isfinite(table), axis=0)
    lowest = np.where(known, table, 0.0).argmin(axis=0)
    return [
        COMPONENTS[row] if is_known else None
        for row, is_known in zip(lowest.tolist(), known.tolist(), strict=True)
    ]


def moved(written: ArrayLike, now: ArrayLike) -> BoolArray:
    """Tell which percentiles are worth writing again.

    Parameters
    ----------
    written, now : array_like of shape (n,)
        Percentiles in [0, 100], NaN for none.

    Returns
    -------
    ndarray of shape (n,), bool
        True where it moved by `MOVED` points or more, appeared or went.
    """
    before, after = column(written, "written"), column(now, "now")
    is_new = np.isnan(before) != np.isnan(after)
    return is_new | (np.abs(after - before) >= MOVED)


def column(values: ArrayLike, name: str) -> FloatArray:
    """Return one number a run as float64 of shape (n,); `ConfigError` where it is none."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"`{name}` holds something that is not a number", fix="pass one number a run"
        ) from error
    if array.ndim != 1:
        raise ConfigError(f"`{name}` has {array.ndim} dimensions", fix="pass one number a run")
    return array
