"""What a run's state is judged by: loss, gradient norm and validation loss, reduced to numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.engine.signal import FLAT_RANGE, extract
from dqi_tracking.insight.binning import N_BINS, bin_medians
from dqi_tracking.insight.loss_alone import loss_alone
from dqi_tracking.insight.trend import last_quarter
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.types import FloatArray

LATE = 0.2
"""Share of the run at its start and at its end over which gradient norms are compared.
Source: the late gradient-norm level that was found to tell of improvement to come."""

BOUND_ERRORS = 2.0
"""Standard errors above the size of the last quarter's change that bound the next change."""

START_ROWS = 3
"""Rows whose median is the level that the run started from."""


class _Reduced(NamedTuple):
    """One run: its binned curves, and what bins do not show."""

    loss: FloatArray
    validation: FloatArray
    row: tuple[float, ...]


_ROW = ("start", "grad_early", "grad_late", "grad_spread", "n_points", "n_nonfinite", "is_broken")


@np.errstate(all="ignore")  # 1e300 saturates, and what cannot be told is NaN
def measure(
    histories: Sequence[History],
    validations: Sequence[History | None],
    gain_bounds: Sequence[float | None],
) -> dict[str, FloatArray]:
    """Reduce runs to the numbers that their states follow from.

    Parameters
    ----------
    histories : sequence of History
        Rows in any order; of duplicated steps the last row counts.
    validations : sequence of History or None
        The validation loss as the `loss` of a history, one for each run.
    gain_bounds : sequence of float or None
        How far the loss may still fall, in its own units, ≥ 0; None for the bound of the rule.

    Returns
    -------
    dict of str to ndarray of shape (runs,)
        NaN for what was not logged or cannot be told. Shares are of `observed_range`.

        - `drop`, `drop_error`: fall of the loss over the last quarter, and its standard error.
        - `gain_bound`: upper bound of a further fall; where none is given
          abs(`drop`) + 2 `drop_error` over the next quarter, as a loss seldom falls faster than
          it did.
        - `above_lowest`: level of the last quarter above the lowest bin.
        - `noise`: standard deviation of one bin.
        - `fall`: from the start to the last quarter, as a share of the start's magnitude.
        - `grad_ratio`, `grad_late`: median gradient norm of the last fifth of the steps over that
          of the first fifth, and alone. `grad_spread`: its scatter (scaled median absolute
          deviation over median) within the last fifth.
        - `grad_to_loss`: `grad_late` over the largest magnitude of a binned loss.
        - `validation_drop`, `validation_error`: as `drop`, in the validation loss's own range.
        - `observed_range`: highest minus lowest of the binned loss and its start, in loss units.
        - `n_points`, `n_nonfinite`: rows of the loss; `is_broken`: 1 where it ends non-finite.
    """
    reduced = [_reduce(*pair) for pair in zip(histories, validations, strict=True)]
    rows = dict(zip(_ROW, np.array([r.row for r in reduced]).reshape(-1, len(_ROW)).T, strict=True))
    loss = np.array([r.loss for r in reduced]).reshape(-1, N_BINS)
    levels, scale, extent, start = _relative(loss, rows["start"])
    trend = last_quarter(levels)
    validation_drop = validation_error = np.full(len(reduced), np.nan)
    if any(validation is not None for validation in validations):
        validation = np.array([r.validation for r in reduced])
        validation_drop, validation_error, *_ = last_quarter(_relative(validation)[0])
    late = _median(levels[:, -(N_BINS // 4) :])
    given = np.array([math.nan if bound is None else bound for bound in gain_bounds], dtype=float)
    # what rose by noise may fall as far again
    own_bound = np.abs(trend.drop) + BOUND_ERRORS * trend.error
    observed = extent * scale
    given_share = np.where(given > 0, given / observed, given)
    fall = (start - late) * extent / np.abs(rows["start"] / scale)
    return {
        "drop": trend.drop,
        "drop_error": trend.error,
        "gain_bound": np.where(np.isnan(given), own_bound, given_share),
        "above_lowest": late - np.fmin.reduce(levels, axis=1),
        "noise": trend.noise,
        "fall": np.where(start == late, 0.0, fall),
        "grad_ratio": rows["grad_late"] / rows["grad_early"],
        "grad_late": rows["grad_late"],
        "grad_spread": rows["grad_spread"],
        "grad_to_loss": rows["grad_late"] / np.fmax.reduce(np.abs(loss), axis=1),
        "validation_drop": validation_drop,
        "validation_error": validation_error,
        "observed_range": observed,
        **{name: rows[name] for name in ("n_points", "n_nonfinite", "is_broken")},
    }


def _reduce(history: History, validation: History | None) -> _Reduced:
    loss = loss_alone(history)
    signal = extract(loss)
    nothing = np.full(N_BINS, np.nan)
    n_rows = signal.y.size
    n_nonfinite, is_broken = signal.n_nonfinite, False
    if n_nonfinite:
        # the run is broken where most of its last twentieth, three rows at least, is not finite
        tail = signal.y[-max(START_ROWS, math.ceil(n_rows / 20)) :]
        is_broken = bool(np.isfinite(tail).sum() * 2 < tail.size)
        signal = extract(loss, nan_policy="omit")
    x, y = signal.x, signal.y
    if not y.size:
        return _Reduced(nothing, nothing, (math.nan,) * 4 + (n_rows, n_nonfinite, float(is_broken)))
    span = float(x[0]), float(x[-1])
    start = sorted(y[:START_ROWS].tolist())[(min(START_ROWS, y.size) - 1) // 2]
    return _Reduced(
        bin_medians(x, y, *span),
        nothing if validation is None else _binned(validation, span),
        (start, *_gradient(history, span), n_rows, n_nonfinite, float(is_broken)),
    )


def _binned(history: History, span: tuple[float, float]) -> FloatArray:
    signal = extract(loss_alone(history), nan_policy="omit")
    return bin_medians(signal.x, signal.y, *span)


def _gradient(history: History, span: tuple[float, float]) -> tuple[float, float, float]:
    if history.grad_norm is None or not history.grad_norm.size:
        return math.nan, math.nan, math.nan
    step = history.step if history.grad_step is None else history.grad_step
    signal = extract(History(step, history.grad_norm), nan_policy="omit")
    n_late = round(N_BINS * LATE)
    levels = bin_medians(signal.x, np.abs(signal.y), *span)
    first, last = np.sort(levels[:n_late]), np.sort(levels[-n_late:])
    early, late = _middle(first), _middle(last)
    begin = span[1] - LATE * (span[1] - span[0])
    rows = np.abs(signal.y[signal.x.searchsorted(begin) :])
    spread = 1.4826 * _middle(np.sort(np.abs(rows - late))) / late if late > 0 else math.nan
    return early, late, spread


def _middle(ordered: FloatArray) -> float:
    """Return the lower median of sorted values, NaN last; NaN where there is none."""
    n_finite = int(ordered.searchsorted(math.inf, side="right"))
    return float(ordered[(n_finite - 1) // 2]) if n_finite else math.nan


def _median(levels: FloatArray) -> FloatArray:
    return np.array([_middle(row) for row in np.sort(levels, axis=1)])


def _relative(
    levels: FloatArray, start: FloatArray | None = None
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return levels and start in the observed range, with the scale and the range over it."""
    seen = levels if start is None else np.column_stack((levels, start))
    largest = np.fmax.reduce(np.abs(seen), axis=1)
    scale = np.where(largest > 0, 2.0 ** np.floor(np.log2(np.where(largest > 0, largest, 1))), 1)
    seen = seen / scale[:, None]
    lowest = np.fmin.reduce(seen, axis=1)
    extent = np.fmax.reduce(seen, axis=1) - lowest
    extent = np.where(extent <= FLAT_RANGE * largest / scale, 0.0, extent)
    divisor = np.where(extent == 0, np.inf, extent)
    relative = (seen - lowest[:, None]) / divisor[:, None]
    return relative[:, :N_BINS], scale, extent, relative[:, -1]
