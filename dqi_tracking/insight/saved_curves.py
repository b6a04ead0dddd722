"""Curves of a cohort as numbers of a file: what a check reads comes back to the last digit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from dqi_tracking.insight.binning import N_BINS
from dqi_tracking.insight.checks.cohort_curves import MIN_RUNS, CohortCurves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dqi_tracking.types import FloatArray

_BEFORE = 2
"""Numbers before the bins of a run: its logging interval, its noise."""


def curves_content(curves: CohortCurves) -> dict[str, Any]:
    """Return curves as numbers and lists, one list a run; null for what is not finite."""
    table = np.column_stack((curves.interval, curves.noise, curves.levels))
    rows = [[value if math.isfinite(value) else None for value in row] for row in table.tolist()]
    return {"start_step": curves.start_step, "stop_step": curves.stop_step, "runs": rows}


def curves_of(content: Mapping[str, Any]) -> CohortCurves:
    """Read what `curves_content` gave.

    Raises
    ------
    ValueError, TypeError, KeyError, OverflowError
        When it is anything else, such as curves in another number of bins.
    """
    start, stop = _finite([content["start_step"], content["stop_step"]])
    rows = content["runs"]
    if not isinstance(rows, list) or len(rows) < MIN_RUNS:
        raise ValueError("too few curves")
    table = np.array([_numbers(row) for row in rows])
    interval, noise, levels = table[:, 0], table[:, 1], table[:, _BEFORE:]
    if not start <= stop or (interval < 0).any() or (noise < 0).any():
        raise ValueError("not the numbers of curves")
    return CohortCurves(start, stop, levels, noise, interval)


def _numbers(row: Any) -> FloatArray:
    if type(row) is not list or len(row) != _BEFORE + N_BINS:
        raise ValueError(f"not a curve of {N_BINS} bins")
    values = cast("list[Any]", row)
    known = iter(_finite([value for value in values if value is not None]))
    return np.array([math.nan if value is None else next(known) for value in values])


def _finite(values: list[Any]) -> list[float]:
    # numpy would take texts and truth values for numbers
    if not all(type(value) in (int, float) for value in values):
        raise ValueError("not numbers")
    found = [float(value) for value in values]
    if not all(map(math.isfinite, found)):
        raise ValueError("not finite")
    return found
