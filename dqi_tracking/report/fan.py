"""A forecast beside the curve that it follows: axes with room for both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.fan import Fan
from dqi_tracking.report.geometry import limits, positions

if TYPE_CHECKING:
    from dqi_tracking.report.curve import Curve
    from dqi_tracking.types import FloatArray

START = 0.1
"""Share of the run so far whose values do not widen the value axis: beside the first fall of a
loss, what is still to come is a line."""
ROOM = 0.5
"""Share of the rest's range that an interval may take above or below it; wider ones are cut."""


def beside(curve: Curve, fan: Fan, *, margin: float) -> tuple[Curve, Fan]:
    """Lay out a curve and its forecast on common axes.

    Parameters
    ----------
    curve : Curve
        The run so far.
    fan : Fan
        Its forecast.
    margin : float
        Room above and below the values, as a share of their range.

    Returns
    -------
    curve : Curve
        The same points; positions of the first tenth may lie above 1 or below 0.
    fan : Fan
        As positions, the ends of intervals cut at 0 and 1.
    """
    first, now = curve.step_ends
    late = curve.value[(curve.step >= first + START * (now - first)) & np.isfinite(curve.value)]
    seen = np.concatenate((late, fan.loss, curve.value[np.isfinite(curve.value)][-1:]))
    low, high = float(seen.min()), float(seen.max())
    room = ROOM * (high - low)
    ends = np.clip(np.concatenate(fan[2:]), low - room, high + room)
    step_ends = limits(np.array([first, now, fan.step[-1]]))
    value_ends = limits(np.concatenate((seen, ends)), margin=margin)
    if step_ends is None or value_ends is None:  # pragma: no cover - a fan is finite
        return curve, fan

    def placed(values: FloatArray) -> FloatArray:
        return np.clip(positions(values, *value_ends), 0.0, 1.0)

    widened = replace(
        curve,
        x=positions(curve.step, *step_ends),
        y=positions(curve.value, *value_ends),
        step_ends=step_ends,
        value_ends=value_ends,
    )
    return widened, Fan(positions(fan.step, *step_ends), *map(placed, fan[1:]))
