"""What both drawings of a run start from: curve, gradient norm and phases, as positions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dqi_tracking.engine.signal import extract
from dqi_tracking.report.downsampling import thin
from dqi_tracking.report.geometry import Tick, limits, number, positions, ticks
from dqi_tracking.report.log_axis import log_limits, log_ticks
from dqi_tracking.types import Duplicates, FloatArray, History, Score

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The signal of a run laid out on two axes.

    Attributes
    ----------
    step, value : ndarray of shape (n,)
        The signal as the engine reads it, or the points of it that a drawing needs; values may be
        non-finite.
    x, y : ndarray of shape (n,)
        The same as positions in [0, 1]; NaN where not finite.
    step_ends, value_ends : tuple of float
        Ends of the two axes; of a logarithmic one the powers of ten.
    lost : ndarray
        Steps of all points whose value is not finite.
    log : bool
        Whether the value axis is logarithmic.
    """

    step: FloatArray
    value: FloatArray
    x: FloatArray
    y: FloatArray
    step_ends: Ends
    value_ends: Ends
    lost: FloatArray
    log: bool = False

    def value_ticks(self, count: int) -> list[Tick]:
        """Return about `count` ticks of the value axis."""
        if self.log:
            return log_ticks(*self.value_ends, count=count)
        return _ticks(self.value, self.y, self.value_ends, count)

    def step_ticks(self, count: int) -> list[Tick]:
        """Return about `count` ticks of the step axis."""
        return _ticks(self.step, self.x, self.step_ends, count)

    def logarithmic(self, *, margin: float) -> Curve | None:
        """Return the curve on a logarithmic value axis; None unless all is positive and varies."""
        ends = log_limits(self.value, margin=margin)
        if ends is None:
            return None
        decades = np.full_like(self.value, np.nan)
        np.log10(self.value, out=decades, where=np.isfinite(self.value))
        return replace(self, y=positions(decades, *ends), value_ends=ends, log=True)


def signal_curve(
    history: History, *, duplicates: Duplicates, margin: float, columns: int | None = None
) -> Curve | None:
    """Return the curve that was scored; None where no finite value was logged.

    Parameters
    ----------
    history : History
        What was scored; rows in any order.
    duplicates : {"last", "keep"}
        The option that the score was made with.
    margin : float
        Room above and below the values, as a share of their range.
    columns : int, optional
        Pixel columns of the drawing, where only the points that it needs are wanted.
    """
    if history.loss is not None and history.loss.size and _in_order(history.step):
        return _curve(history.step, history.loss, None, margin, columns)
    signal = extract(history, duplicates=duplicates)
    return _curve(signal.x, signal.y, None, margin, columns)


def gradient_curve(
    history: History, on: Curve, *, margin: float, columns: int | None = None
) -> Curve | None:
    """Return the gradient norm beside a loss, on the loss's step axis; None where there is none."""
    if history.grad_norm is None or history.loss is None or not history.loss.size:
        return None
    step = history.step if history.grad_step is None else history.grad_step
    value = history.grad_norm
    if not _in_order(step):
        signal = extract(History(step, value))
        step, value = signal.x, signal.y
    first, last = on.step_ends
    shown = slice(np.searchsorted(step, first), np.searchsorted(step, last, side="right"))
    return _curve(step[shown], value[shown], on.step_ends, margin, columns)


def phase_edges(score: Score, curve: Curve) -> list[float] | None:
    """Return the positions at which early, mid and late start, and at which late ends.

    None where the phases say nothing: no boundaries, or fewer than three points.
    """
    if score.boundary_steps is None or score.status == "too_short":
        return None
    steps = [score.early.start_step, *score.boundary_steps, score.late.stop_step]
    edges = positions(np.array(steps), *curve.step_ends)
    return [float(edge) for edge in np.clip(np.nan_to_num(edges), 0.0, 1.0)]


def _in_order(step: FloatArray) -> bool:
    """Return whether the engine would read the rows as they are; asking is cheaper than that."""
    return bool(np.all(step[1:] > step[:-1]))


def _ticks(values: FloatArray, at: FloatArray, ends: Ends, count: int) -> list[Tick]:
    """Return round numbers; the number itself where there is only one."""
    finite = np.isfinite(values)
    low, high = float(values[finite].min()), float(values[finite].max())
    if low == high:
        return [Tick(float(at[finite][0]), number(low))]
    return ticks(*ends, count=count)


def _curve(
    step: FloatArray,
    value: FloatArray,
    step_ends: Ends | None,
    margin: float,
    columns: int | None,
) -> Curve | None:
    # before the thinning: the first and last step may belong to values that are not finite
    step_ends = step_ends or (limits(step[[0, -1]]) if step.size else None)
    if columns is None:
        lost = step[~np.isfinite(value)]
    else:
        thinned = thin(step, value, columns=columns)
        lost = step[thinned.lost]
        step, value = step[thinned.rows], value[thinned.rows]
    value_ends = limits(value, margin=margin)
    if step_ends is None or value_ends is None:
        return None
    x, y = positions(step, *step_ends), positions(value, *value_ends)
    return Curve(step, value, x, y, step_ends, value_ends, lost)
