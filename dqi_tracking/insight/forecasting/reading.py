"""From what a run logged to a curve that can be forecast, or the reason why it cannot be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dqi_tracking.engine.signal import extract
from dqi_tracking.insight.forecasting.window import Standard, standardise

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray, History

Status = Literal["ok", "too_short", "nan", "flat", "no_signal", "past"]

MIN_POINTS = 8
"""Points under which nothing is foretold."""

_BROKEN_TAIL = 3
"""Last points in a row that must be non-finite before the run counts as lost."""

_GAP = 0.25
"""Share of the seen part without a point that is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One run as the forecaster reads it; a metric that should rise is turned upside down.

    Attributes
    ----------
    status : {"ok", "too_short", "nan", "flat", "no_signal"}
        Why there is, or is not, anything to forecast.
    x, y : ndarray of shape (n,)
        Steps, strictly rising, and finite losses.
    standard : Standard or None
        The same in units of its own; None unless the status is `ok`.
    start : float
        Median of the first three losses; NaN where there are fewer.
    positive : bool
        Whether no value that was logged is negative.
    warnings : tuple of str
        What to bear in mind.
    """

    status: Status
    x: FloatArray
    y: FloatArray
    standard: Standard | None
    start: float
    positive: bool
    warnings: tuple[str, ...]


def read(history: History, *, higher_is_better: bool = False) -> Curve:
    """Sort and clean the loss of one run.

    Of rows at one step the last counts; non-finite points are left out.

    Parameters
    ----------
    history : History
        Rows in any order. Only the loss is read.
    higher_is_better : bool
        Whether the metric should rise.

    Returns
    -------
    Curve
        Status `no_signal` without a loss; `nan` where the last three points are not finite or
        fewer than eight are; `too_short` under eight points; `flat` for a constant. O(n log n).
    """
    signal = extract(history, nan_policy="propagate")
    if signal.source != "loss":
        empty = np.empty(0)
        return Curve("no_signal", empty, empty, None, math.nan, False, history.warnings)
    finite = np.isfinite(signal.y)
    x, y = signal.x[finite], signal.y[finite]
    positive = bool(y.size and np.minimum.reduce(y) >= 0)
    if higher_is_better:
        y = -y
    status, standard = _status(x, y, finite)
    notes = list(history.warnings)
    if signal.n_nonfinite:
        notes.append(f"{signal.n_nonfinite} of {finite.size} points are not finite: left out")
    if signal.n_duplicates:
        notes.append(f"{signal.n_duplicates} rows share their step with another: the last counts")
    if standard is not None:
        gaps = standard.u[1:] - standard.u[:-1]
        widest = int(gaps.argmax())
        if gaps[widest] > _GAP:
            notes.append(
                f"nothing was logged between steps {x[widest]:.10g} and {x[widest + 1]:.10g}"
            )
    start = sorted(y[:3].tolist())[1] if y.size >= 3 else math.nan
    return Curve(status, x, y, standard, start, positive, tuple(notes))


def _status(
    x: FloatArray, y: FloatArray, finite: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> tuple[Status, Standard | None]:
    if finite.size >= MIN_POINTS and (y.size < MIN_POINTS or not finite[-_BROKEN_TAIL:].any()):
        return "nan", None
    if y.size < MIN_POINTS:
        return "too_short", None
    standard = standardise(x, y)
    return ("flat", None) if standard is None else ("ok", standard)
