"""What both drawings of a run start from: curve, gradient norm and phases, as positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dqi_tracking.engine.signal import extract
from dqi_tracking.report.geometry import Tick, limits, number, positions, ticks
from dqi_tracking.types import Duplicates, FloatArray, History, Score

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The signal of a run laid out on two axes.

    Attributes
    ----------
    step, value : ndarray of shape (n,)
        The signal as the engine reads it; values may be non-finite.
    x, y : ndarray of shape (n,)
        The same as positions in [0, 1]; NaN where not finite.
    step_ends, value_ends : tuple of float
        Ends of the two axes.
    """

    step: FloatArray
    value: FloatArray
    x: FloatArray
    y: FloatArray
    step_ends: Ends
    value_ends: Ends

    def value_ticks(self, count: int) -> list[Tick]:
        """Return about `count` ticks of the value axis."""
        return _ticks(self.value, self.y, self.value_ends, count)

    def step_ticks(self, count: int) -> list[Tick]:
        """Return about `count` ticks of the step axis."""
        return _ticks(self.step, self.x, self.step_ends, count)


def signal_curve(history: History, *, duplicates: Duplicates, margin: float) -> Curve | None:
    """Return the curve that was scored; None where no finite value was logged."""
    signal = extract(history, duplicates=duplicates)
    return _curve(signal.x, signal.y, None, margin)


def gradient_curve(history: History, on: Curve, *, margin: float) -> Curve | None:
    """Return the gradient norm beside a loss, on the loss's step axis; None where there is none."""
    if history.grad_norm is None or history.loss is None or not history.loss.size:
        return None
    steps = history.step if history.grad_step is None else history.grad_step
    signal = extract(History(step=steps, loss=history.grad_norm))
    shown = (signal.x >= on.step_ends[0]) & (signal.x <= on.step_ends[1])
    return _curve(signal.x[shown], signal.y[shown], on.step_ends, margin)


def phase_edges(score: Score, curve: Curve) -> list[float] | None:
    """Return the positions at which early, mid and late start, and at which late ends.

    None where the phases say nothing: no boundaries, or fewer than three points.
    """
    if score.boundary_steps is None or score.status == "too_short":
        return None
    steps = [score.early.start_step, *score.boundary_steps, score.late.stop_step]
    edges = positions(np.array(steps), *curve.step_ends)
    return [float(edge) for edge in np.clip(np.nan_to_num(edges), 0.0, 1.0)]


def _ticks(values: FloatArray, at: FloatArray, ends: Ends, count: int) -> list[Tick]:
    """Return round numbers; the number itself where there is only one."""
    finite = np.isfinite(values)
    low, high = float(values[finite].min()), float(values[finite].max())
    if low == high:
        return [Tick(float(at[finite][0]), number(low))]
    return ticks(*ends, count=count)


def _curve(
    step: FloatArray, value: FloatArray, step_ends: Ends | None, margin: float
) -> Curve | None:
    step_ends = step_ends or limits(step)
    value_ends = limits(value, margin=margin)
    if step_ends is None or value_ends is None:
        return None
    x, y = positions(step, *step_ends), positions(value, *value_ends)
    return Curve(step, value, x, y, step_ends, value_ends)
