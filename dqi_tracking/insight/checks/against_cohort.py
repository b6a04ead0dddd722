"""Checks of a run against its cohort: noise level, scale, distance, logging interval."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.checks.cohort_curves import MIN_RUNS, CohortCurves, portrait
from dqi_tracking.insight.checks.finding import CheckName, Measure
from dqi_tracking.insight.checks.rows import INTERVAL_RATIO

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

NOISE = 5.0
"""Robust standard deviations of log noise from the cohort's median."""
SCALE = 3.0
"""Robust standard deviations of the log ratio to the cohort's median curve."""
DISTANCE = 4.0
"""Robust standard deviations of log distance above the cohort's median."""
SCALE_RATIO = 1.2
"""Ratio of two levels, noises or distances below which they count as the same."""
SHARED = 1 / MIN_RUNS
"""Share of the cohort beyond which what it has in common is usual: one more configuration, not one
odd run."""
MIN_COMMON = 5
"""Bins that a run and enough of its cohort must share."""

_SIGMA_OF_MAD = 1.4826
_NOISE_FLOOR, _SCALE_FLOOR, _DISTANCE_FLOOR = 0.1, 0.02, 0.15  # of the spreads of logarithms


def against_cohort(x: FloatArray, y: FloatArray, cohort: CohortCurves) -> dict[CheckName, Measure]:
    """Compare a run with its cohort at the same steps.

    Parameters
    ----------
    x, y : ndarray of shape (n,), n ≥ 1
        Sorted by x, finite.
    cohort : CohortCurves
        May hold the run itself: all statistics are medians.

    Returns
    -------
    dict of str to Measure
        `noise_level`, `rescaled` and `far_from_cohort` in robust standard deviations of the
        cohort; `other_interval` as a ratio, ≥ 1. What cannot be compared is left out.
        O(n log n + runs · bins).
    """
    run = portrait(x, y, cohort.start_step, cohort.stop_step)
    span = float(x[0]), float(x[-1])
    found: dict[CheckName, Measure] = {}
    ratio = run.interval / _median(cohort.interval)
    if ratio > 0:
        alike = np.abs(np.log(cohort.interval / run.interval)) < math.log(INTERVAL_RATIO)
        is_usual = alike.mean() > SHARED
        size = 1.0 if is_usual else max(ratio, 1 / ratio)
        words = f"logged every {run.interval:g} steps, {ratio:.3g} times the cohort's interval"
        found["other_interval"] = Measure(size, INTERVAL_RATIO, *span, words)
    if run.noise > 0:
        strength, times = _unusual(run.noise, cohort.noise, _NOISE_FLOOR, NOISE)
        words = f"the noise is {times:.3g} times the cohort's"
        if not math.isnan(strength):
            found["noise_level"] = Measure(abs(strength), NOISE, *span, words)
    found.update(_curves(run.levels, cohort.levels, span))
    return found


def _curves(
    levels: FloatArray, cohort: FloatArray, span: tuple[float, float]
) -> dict[CheckName, Measure]:
    common = np.isfinite(levels) & (np.isfinite(cohort).sum(axis=0) >= MIN_RUNS // 2 + 1)
    if common.sum() < MIN_COMMON:
        return {}
    run, cohort = levels[common], cohort[:, common]
    largest = float(np.nanmax(np.abs(cohort))) or 1.0
    run, cohort = run / largest, cohort / largest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a member may share no bin
        centre = np.nanmedian(cohort, axis=0)
        spread = _SIGMA_OF_MAD * np.nanmedian(np.abs(cohort - centre), axis=0)
        spread = np.maximum(spread, max(float(np.median(spread)), 1e-12))
        distances = np.nanmean(np.minimum(np.abs(cohort - centre) / spread, _CAP), axis=1)
    found: dict[CheckName, Measure] = {}
    distance = float(np.mean(np.minimum(np.abs(run - centre) / spread, _CAP)))
    strength, times = _unusual(distance, distances, _DISTANCE_FLOOR, DISTANCE)
    if not math.isnan(strength):
        words = f"{times:.3g} times as far from the cohort's median curve as its other runs"
        found["far_from_cohort"] = Measure(max(strength, 0.0), DISTANCE, *span, words)
    rescaled = _rescaled(run, cohort, centre, span)
    if rescaled is not None:
        found["rescaled"] = rescaled
    return found


_CAP = 20.0  # a bin that blew up must not hide all the others


def _rescaled(
    run: FloatArray, cohort: FloatArray, centre: FloatArray, span: tuple[float, float]
) -> Measure | None:
    """Measure how far the run is one multiple of the median curve, all along."""
    large = np.abs(centre) > 0.01 * np.max(np.abs(centre))
    if not large.any():
        return None
    ratios = run[large] / centre[large]
    factor = float(np.median(ratios))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a member may share no bin
        members = np.nanmedian(cohort[:, large] / centre[large], axis=1)
    if not factor > 0:
        return None
    strength, times = _unusual(factor, members, _SCALE_FLOOR, SCALE)
    if math.isnan(strength):
        return None
    # one factor all along: the ratios vary much less than they differ from 1
    is_one_factor = np.median(np.abs(ratios - factor)) < 0.25 * abs(factor - 1)
    differs = max(factor, 1 / factor) >= SCALE_RATIO
    words = f"the loss is {times:.3g} times the cohort's median curve, all along"
    size = abs(strength) if is_one_factor and differs else 0.0
    return Measure(size, SCALE, *span, words)


def _unusual(value: float, members: FloatArray, floor: float, limit: float) -> tuple[float, float]:
    """Return how unusual a positive value is among those of a cohort, and its ratio to theirs.

    The first is in robust standard deviations of logarithms, and stays below the limit where
    others of the cohort have such a value as well; the second a ratio of medians. NaN where fewer
    than `MIN_RUNS` members have a positive one.
    """
    logs = np.log(members[np.isfinite(members) & (members > 0)])
    if logs.size < MIN_RUNS or not value > 0:
        return math.nan, math.nan
    middle = float(np.median(logs))
    spread = max(_SIGMA_OF_MAD * float(np.median(np.abs(logs - middle))), floor)
    away = math.log(value) - middle
    strength = away / spread
    if np.mean(np.abs(logs - math.log(value)) < math.log(SCALE_RATIO)) > SHARED:
        below = math.nextafter(limit, 0.0)
        strength = min(max(strength, -below), below)
    return strength, math.exp(min(away, 700.0))


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else math.nan
