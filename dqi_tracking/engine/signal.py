"""Stage 1: from what a run logged to one signal (x, y).

Source of the rules: the DQI method, "Signal Extraction"; what it leaves open (duplicates,
non-finite points, units) is fixed here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from dqi_tracking.types import Duplicates, FloatArray, History, NanPolicy

FLAT_RANGE = 1e-12
"""Range, as a share of max abs(y), up to which a signal counts as constant."""


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One run as (x, y), sorted by x, in the units that were logged.

    Attributes
    ----------
    x, y : ndarray of shape (n,), float64
        Step, and loss or gradient norm. `y` holds non-finite values under ``"propagate"`` only.
    source : {"loss", "grad_norm", "none"}
        Which series `y` is.
    key : str
        The tracker's name of that series; empty where there is none.
    n_nonfinite : int
        Points that were not finite, before any policy was applied.
    gaps : ndarray of shape (n - 1,)
        Differences of x.
    n_duplicates : int
        Rows logged at a step that another row has as well.
    warnings : tuple of str
        What came with the history.
    """

    x: FloatArray
    y: FloatArray
    gaps: FloatArray
    source: Literal["loss", "grad_norm", "none"]
    key: str
    n_nonfinite: int
    n_duplicates: int
    warnings: tuple[str, ...] = ()


@np.errstate(over="ignore")  # steps from one end of float64 to the other
def extract(
    history: History, *, nan_policy: NanPolicy = "propagate", duplicates: Duplicates = "last"
) -> Signal:
    """Choose, sort and clean the signal of one run.

    Parameters
    ----------
    history : History
        Rows in any order.
    nan_policy : {"propagate", "omit", "interpolate"}
        What becomes of non-finite points: kept; dropped; or dropped at both ends and filled
        linearly in x inside (SciPy's words for the same idea).
    duplicates : {"last", "keep"}
        Of the rows at one step keep the last in row order, as a resumed run means it, or all.

    Returns
    -------
    Signal
        Sorted by step; the sort is stable. O(n log n), O(n) where the rows are in order.
    """
    source: Literal["loss", "grad_norm", "none"]
    if history.loss is not None and history.loss.size:
        source, key, x, y = "loss", history.loss_key, history.step, history.loss
    elif history.grad_norm is not None and history.grad_norm.size:
        grad_step = history.step if history.grad_step is None else history.grad_step
        source, key, x, y = "grad_norm", history.grad_norm_key, grad_step, history.grad_norm
    else:
        empty = np.empty(0)
        return Signal(empty, empty, empty, "none", "", 0, 0, history.warnings)

    gaps = x[1:] - x[:-1]
    if gaps.size and np.minimum.reduce(gaps) < 0:
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
        gaps = x[1:] - x[:-1]
    n_duplicates = int(gaps.size - np.count_nonzero(gaps))
    if n_duplicates and duplicates == "last":
        last_at_step = np.append(gaps > 0, True)
        x, y = x[last_at_step], y[last_at_step]

    finite = np.isfinite(y)
    n_nonfinite = int(y.size - np.count_nonzero(finite))
    if n_nonfinite and nan_policy == "omit":
        x, y = x[finite], y[finite]
    elif n_nonfinite and nan_policy == "interpolate":
        x, y = _interpolate(x, y, finite)
    if x.size <= gaps.size:
        gaps = x[1:] - x[:-1]
    return Signal(x, y, gaps, source, key, n_nonfinite, n_duplicates, history.warnings)


def _interpolate(
    x: FloatArray, y: FloatArray, finite: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[FloatArray, FloatArray]:
    inside = np.flatnonzero(finite)
    if not inside.size:
        return x[:0], y[:0]
    kept = slice(inside[0], inside[-1] + 1)
    return x[kept], np.interp(x[kept], x[finite], y[finite])


def relative_x(x: FloatArray, gaps: FloatArray) -> FloatArray:
    """Measure x in the run's own logging interval: (x − x₀) / median(positive gaps).

    Parameters
    ----------
    x : ndarray of shape (n,), n ≥ 2, sorted
    gaps : ndarray of shape (n - 1,)
        Differences of x.

    Returns
    -------
    ndarray of shape (n,)
        Starts at 0; all zeros where no gap is positive.
    """
    shifted = x - x[0]
    smallest, largest = np.minimum.reduce(gaps), np.maximum.reduce(gaps)
    if largest <= 0:
        return shifted
    if smallest == largest:
        return shifted / smallest
    return shifted / np.median(gaps[gaps > 0])


class RelativeY(NamedTuple):
    """y in the run's own range, with what leads back to the units that were logged.

    Attributes
    ----------
    relative : ndarray of shape (n,)
        (y − min y) / (max y − min y), in [0, 1]; all zeros for a flat run.
    reduced : ndarray of shape (n,)
        y / scale; all zeros for a flat run.
    scale : float
        The power of two at or below max abs(y), 1 where that is 0. Dividing by it changes no digit
        and keeps every later square inside float64.
    extent : float
        Range of y / scale; 0 for a flat run.
    """

    relative: FloatArray
    reduced: FloatArray
    scale: float
    extent: float


def relative_y(y: FloatArray) -> RelativeY:
    """Measure y in the run's own range.

    A run is flat where max y − min y ≤ 1e-12 · max abs(y).

    Parameters
    ----------
    y : ndarray of shape (n,), n ≥ 1, finite

    Returns
    -------
    RelativeY
        O(n).
    """
    lowest, highest = float(np.minimum.reduce(y)), float(np.maximum.reduce(y))
    largest = max(-lowest, highest)
    scale = math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest > 0 else 1.0
    extent = highest / scale - lowest / scale
    if extent <= FLAT_RANGE * (largest / scale):
        flat = np.zeros_like(y)
        return RelativeY(flat, flat, scale, 0.0)
    reduced = y / scale
    return RelativeY((reduced - lowest / scale) / extent, reduced, scale, extent)
