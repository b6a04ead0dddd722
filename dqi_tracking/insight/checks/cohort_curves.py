"""Curves of similar runs, reduced to what one of them can be compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.engine.signal import extract
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.binning import bin_medians
from dqi_tracking.insight.checks.rows import DENSE_START
from dqi_tracking.insight.order_statistics import median, quantile, running_median

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dqi_tracking.types import FloatArray, History

MIN_RUNS = 8
"""Runs that a cohort needs, as for a percentile."""

_TAIL = 3.0  # times the upper quartile: beyond it is a spike, which is another check's


class Portrait(NamedTuple):
    """One run on the axis of a cohort.

    Attributes
    ----------
    levels : ndarray of shape (bins,)
        Median of each bin, NaN where empty.
    noise : float
        Mean distance from a running median of five rows, spikes cut off, after the dense start;
        NaN for fewer than ten rows.
    interval : float
        Median gap between rows after the dense start, in steps; NaN where there is none.
    """

    levels: FloatArray
    noise: float
    interval: float


@dataclass(frozen=True, slots=True, eq=False)
class CohortCurves:
    """Loss curves of one cohort on a common axis of steps.

    Attributes
    ----------
    start_step, stop_step : float
        Span of the axis: the medians of the runs' first and last steps.
    levels : ndarray of shape (runs, bins)
        Median loss of each run in bins of equal width, NaN where it has no row.
    noise, interval : ndarray of shape (runs,)
        As in `Portrait`.
    """

    start_step: float
    stop_step: float
    levels: FloatArray
    noise: FloatArray
    interval: FloatArray

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")  # 1e300 saturates
    def of(cls, histories: Iterable[History]) -> CohortCurves:
        """Reduce the runs of a cohort.

        Parameters
        ----------
        histories : iterable of History
            At least `MIN_RUNS` that hold a finite value; the run to be checked may be one.

        Returns
        -------
        CohortCurves
            O(n log n) of all rows.

        Raises
        ------
        ConfigError
            When there are fewer than `MIN_RUNS` runs to compare with.
        """
        signals = [extract(history, nan_policy="omit") for history in histories]
        curves = [(signal.x, signal.y) for signal in signals if signal.y.size]
        if len(curves) < MIN_RUNS:
            raise ConfigError(
                f"a cohort of {len(curves)} runs with a loss is too small to compare with",
                fix=f"use a cohort of {MIN_RUNS} runs or more, or none",
            )
        start = float(np.median([x[0] for x, _ in curves]))
        stop = float(np.median([x[-1] for x, _ in curves]))
        portraits = [portrait(x, y, start, stop) for x, y in curves]
        return cls(
            start,
            stop,
            levels=np.array([each.levels for each in portraits]),
            noise=np.array([each.noise for each in portraits]),
            interval=np.array([each.interval for each in portraits]),
        )


def portrait(x: FloatArray, y: FloatArray, start: float, stop: float) -> Portrait:
    """Reduce one run to what is compared.

    Parameters
    ----------
    x, y : ndarray of shape (n,), n ≥ 1
        Sorted by x, finite.
    start, stop : float
        Span of the cohort's axis.

    Returns
    -------
    Portrait
        O(n log n).
    """
    begin = int(np.searchsorted(x, x[0] + DENSE_START * (x[-1] - x[0])))
    rows = y[begin:]
    noise = math.nan
    if rows.size >= 10:
        residual = np.abs(rows - running_median(rows, 5))
        # the median itself has no residual, so a median of residuals is 0 for a steep smooth curve
        noise = float(np.mean(np.minimum(residual, _TAIL * quantile(residual, 0.75))))
    gaps = np.diff(x[begin:])
    return Portrait(bin_medians(x, y, start, stop), noise, median(gaps) if gaps.size else math.nan)
