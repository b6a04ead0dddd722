"""What of one run is ranked within its cohort: its lowest loss, and its late gradient norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.engine.signal import extract
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.binning import N_BINS, bin_medians
from dqi_tracking.insight.loss_alone import loss_alone
from dqi_tracking.insight.order_statistics import median
from dqi_tracking.types import History

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

LATE = 0.2
"""Share of what was seen, at its end, over which the gradient norm is read. Source: the reading
that was measured."""
MIN_LATE = 3
"""Gradient norms in that share below which there is no reading. Ours: a median of fewer is one
row's noise."""


@dataclass(frozen=True, slots=True)
class CohortReading:
    """What of one run is ranked within its cohort.

    Attributes
    ----------
    lowest_loss : float
        Lowest of the medians of 40 bins of equal width in the step, in units of the loss; NaN
        without a finite loss.
    late_grad_norm : float
        Median natural logarithm of the gradient norm over the last 20 % seen; NaN for fewer than
        three positive finite values there.
    until : float
        Step up to which the run was read; NaN for a run without rows.
    n_points, n_late : int
        Finite losses and positive finite gradient norms that were read.
    reason : str
        Why a reading is missing; empty where both are there.
    """

    lowest_loss: float
    late_grad_norm: float
    until: float
    n_points: int
    n_late: int
    reason: str


class _Curve(NamedTuple):
    """Finite rows of one series, sorted by step."""

    step: FloatArray
    value: FloatArray


def reading(
    history: History, *, share: float = 1.0, end_step: float | None = None
) -> CohortReading:
    """Read from one run what is ranked within its cohort.

    Parameters
    ----------
    history : History
        Rows in any order; of duplicated steps the last row counts. Non-finite losses and gradient
        norms that are not positive and finite are left out, whatever the score's policy.
    share : float
        In (0, 1]: how much of the run is read. Runs are compared at the same share.
    end_step : float, optional
        Step at which the run ends, or a run of its cohort usually does; its own last row where
        left out. A run that has not come within a fortieth of the share asked for is not read.

    Returns
    -------
    CohortReading
        What cannot be read is NaN with its reason, not an error. O(n log n).

    Raises
    ------
    ConfigError
        When `share` is not in (0, 1] or `end_step` is not finite.

    Examples
    --------
    >>> from dqi_tracking import History
    >>> from dqi_tracking.insight.cohort_reading import reading
    >>> loss = [1 + 2.0**-row for row in range(41)]
    >>> found = reading(History(step=range(41), loss=loss, grad_norm=[1.0] * 41))
    >>> round(found.lowest_loss, 6), found.late_grad_norm, found.n_late
    (1.0, 0.0, 9)
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share {share!r} is not in (0, 1]", fix="pass a share such as 0.4")
    if end_step is not None and not np.isfinite(end_step):
        raise ConfigError(
            f"end_step {end_step!r} is not finite", fix="pass a step, or leave it out"
        )
    steps = [each for each in _steps(history) if each.size]
    if not steps:
        return CohortReading(np.nan, np.nan, np.nan, 0, 0, "the run has no rows")
    first, last = (
        float(min(map(np.minimum.reduce, steps))),
        float(max(map(np.maximum.reduce, steps))),
    )
    end = last if end_step is None else end_step
    # shares before differences: steps from both ends of float64 would overflow
    until = end if share == 1 else first + (share * end - share * first)
    if last < until - (until / N_BINS - first / N_BINS) or until < first:
        reason = f"the run was logged up to step {last:g}, and is to be read at step {until:g}"
        return CohortReading(np.nan, np.nan, until, 0, 0, reason)
    loss = _finite(loss_alone(history), until)
    grad_norm = _late_gradient(history, until - (LATE * until - LATE * first), until)
    return _read(loss, grad_norm, first, until)


def _read(loss: _Curve, grad_norm: _Curve, first: float, until: float) -> CohortReading:
    missing: list[str] = []
    lowest = late = np.nan
    if loss.value.size:
        lowest = float(np.fmin.reduce(bin_medians(*loss, first, until)))
    else:
        missing.append("no finite loss was logged")
    if grad_norm.value.size >= MIN_LATE:
        late = median(np.log(grad_norm.value))
    else:
        found = f"{grad_norm.value.size} of the {MIN_LATE} positive gradient norms needed"
        missing.append(f"the last {100 * LATE:.0f} % has {found}")
    return CohortReading(
        lowest, late, until, loss.value.size, grad_norm.value.size, "; ".join(missing)
    )


def _steps(history: History) -> tuple[FloatArray, ...]:
    loss_step = history.step if history.loss is not None else history.step[:0]
    if history.grad_norm is None:
        return (loss_step,)
    if history.grad_step is None:
        return (history.step,)
    return loss_step, history.grad_step


def _finite(series: History, until: float) -> _Curve:
    signal = extract(series, nan_policy="omit")
    stop = int(signal.x.searchsorted(until, side="right"))
    return _Curve(signal.x[:stop], signal.y[:stop])


def _late_gradient(history: History, begin: float, until: float) -> _Curve:
    if history.grad_norm is None:
        return _Curve(history.step[:0], history.step[:0])
    step = history.step if history.grad_step is None else history.grad_step
    seen = _finite(History(step, history.grad_norm), until)
    first = int(seen.step.searchsorted(begin))
    step, value = seen.step[first:], seen.value[first:]
    return _Curve(step[value > 0], value[value > 0])
