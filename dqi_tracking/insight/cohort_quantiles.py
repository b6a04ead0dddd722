"""A cohort reduced to quantiles: small enough to keep, exact enough for a percentile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.population import MEASURES, MIN_COHORT, Standing, column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from dqi_tracking.types import FloatArray

N_QUANTILES = 101
"""Quantiles kept of a larger cohort: one a point, so a percentile is off by a point at most."""

MAX_RUNS = 10**12
"""Runs beyond which a cohort's size cannot be meant."""


@dataclass(frozen=True, slots=True, eq=False)
class CohortQuantiles:
    """One cohort, reduced to what a percentile needs.

    Attributes
    ----------
    size : int
        Runs with finite scores.
    quantiles : mapping of str to ndarray of shape (min(size, 101),)
        For each of `MEASURES` rising values in [0, 1], at evenly spaced levels from 50 / size to
        100 − 50 / size percent: up to 101 runs, the runs themselves at their mid-ranks. Empty
        below `MIN_COHORT` runs.
    """

    size: int
    quantiles: Mapping[str, FloatArray]

    @classmethod
    def of(cls, table: FloatArray) -> CohortQuantiles:
        """Reduce the runs of one cohort.

        Parameters
        ----------
        table : ndarray of shape (measures, runs)
            `MEASURES` of each run, finite, in [0, 1].

        Returns
        -------
        CohortQuantiles
            O(n log n).

        References
        ----------
        Hyndman and Fan 1996, doi:10.2307/2684934: type 5, Hazen's quantiles.
        """
        n_runs = table.shape[1]
        if n_runs < MIN_COHORT:
            return cls(n_runs, {})
        if n_runs <= N_QUANTILES:
            kept = np.sort(table, axis=1)
        else:
            at = _levels(n_runs, N_QUANTILES) / 100
            kept = np.sort(np.quantile(table, at, axis=1, method="hazen").T, axis=1)
        return cls(n_runs, dict(zip(MEASURES, kept, strict=True)))

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> CohortQuantiles:
        """Read what `content` gave; ValueError, TypeError or KeyError where it is anything else."""
        size, given = content["runs"], content["quantiles"]
        if type(size) is not int or not 0 <= size <= MAX_RUNS:
            raise ValueError("no number of runs")
        if set(given) != (set(MEASURES) if size >= MIN_COHORT else set()):
            raise ValueError("not the measures of a population")
        found = {name: _rising(given[name], size) for name in MEASURES if name in given}
        return cls(size, found)

    def content(self) -> dict[str, Any]:
        """Return the cohort as lists and numbers."""
        return {
            "runs": self.size,
            "quantiles": {name: each.tolist() for name, each in self.quantiles.items()},
        }

    def standing(self, measure: str, values: ArrayLike) -> Standing:
        """Say where runs stand among those of the cohort.

        Parameters
        ----------
        measure : str
            One of `MEASURES`.
        values : array_like of shape (n,)
            In [0, 1]; a value that is not finite gets no percentile.

        Returns
        -------
        Standing
            By interpolation between quantiles, off by at most a point and half a run (50 / size);
            0 below all runs, 100 above all. O(n log 101).

        Raises
        ------
        ConfigError
            When there is no such measure, or `values` is no array of numbers.
        """
        if measure not in MEASURES:
            raise ConfigError(
                f"a population has no `{measure}`", fix=f"use one of {', '.join(MEASURES)}"
            )
        numbers = column(values, measure)
        has_number = np.isfinite(numbers)
        percentile = np.full(numbers.size, np.nan)
        if self.size >= MIN_COHORT:
            kept = self.quantiles[measure]
            percentile[has_number] = _levels_of(numbers[has_number], kept, self.size)
        return Standing(percentile, np.full(numbers.size, self.size, np.int64), has_number)


def _levels(size: int, n_kept: int) -> FloatArray:
    """Return the percentiles at which the quantiles of a cohort lie: mid-ranks at both ends."""
    return np.linspace(50 / size, 100 - 50 / size, n_kept)


def _levels_of(numbers: FloatArray, kept: FloatArray, size: int) -> FloatArray:
    levels = _levels(size, kept.size)
    left = np.searchsorted(kept, numbers, side="left")
    right = np.searchsorted(kept, numbers, side="right")
    below, above = np.maximum(left - 1, 0), np.minimum(left, kept.size - 1)
    gap = kept[above] - kept[below]
    share = np.divide(numbers - kept[below], gap, out=np.zeros_like(numbers), where=gap > 0)
    between = levels[below] + share * (levels[above] - levels[below])
    between = np.where(left == 0, 0.0, np.where(left == kept.size, 100.0, between))
    # of equal quantiles the middle one, as of equal runs
    middle = (levels[above] + levels[np.maximum(right - 1, 0)]) / 2
    return np.where(right > left, middle, between)


def _rising(values: Any, size: int) -> FloatArray:
    # numpy would take texts and truth values for numbers
    if not all(type(value) in (int, float) for value in values):
        raise ValueError("not numbers")
    array = np.asarray(values, dtype=np.float64)
    in_range = bool(((array >= 0) & (array <= 1)).all())
    if array.shape != (min(size, N_QUANTILES),) or not in_range or (np.diff(array) < 0).any():
        raise ValueError("not rising quantiles in [0, 1]")
    return array
