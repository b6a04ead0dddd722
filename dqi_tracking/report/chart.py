"""The drawing of a run on its page: lines as SVG paths, ticks, marks, and a text of the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dqi_tracking.insight.checks import Finding
from dqi_tracking.report.curve import Curve, gradient_curve, phase_edges, signal_curve
from dqi_tracking.report.geometry import Tick, number, positions, svg_path, trace
from dqi_tracking.types import Duplicates, History, Score

WIDTH, HEIGHT = 2000, 1000
"""Units of the drawing; it is stretched to the page."""
COLUMNS = 500
"""The widest page shows the curve on about 850 pixels: a column is less than two of them."""
SIDE_COLUMNS = 350
"""Of what is drawn beside the curve: the gradient norm, marks of values that are not finite."""
FEW_POINTS = 60
"""Points up to which each one is marked by a dot."""
WIDEST_MARK = 0.5
"""Share of the steps up to which a finding is marked: what is everywhere needs no mark."""
MARGIN = 0.05
TICKS = 5


class Drawing(NamedTuple):
    """One line with its axis.

    Attributes
    ----------
    scale : {"linear", "log", "only"}
        On which value axis it is; only: there is no other drawing of this line.
    line, dots : str
        `d` of SVG paths; dots is empty for a line of many points.
    ticks : list of Tick
        Of the value axis.
    """

    scale: str
    line: str
    dots: str
    ticks: list[Tick]


class Chart(NamedTuple):
    """What the template draws.

    Attributes
    ----------
    curves, gradients : list of Drawing
        The signal and the gradient norm beside it: on a linear axis, and on a logarithmic one
        where that exists. Gradients are empty where none was logged.
    left, right : int
        Characters of the longest label of each value axis.
    steps : list of Tick
        Of the step axis.
    edges : list of float or None
        Positions at which the phases start and end.
    lost, first_lost : str
        Marks of values that are not finite as the `d` of an SVG path, and the first one's step;
        empty without.
    found : str
        Where findings lie, along the step axis, as the `d` of an SVG path; empty without.
    description : str
        The curve in a sentence.
    """

    curves: list[Drawing]
    gradients: list[Drawing]
    left: int
    right: int
    steps: list[Tick]
    edges: list[float] | None
    lost: str
    first_lost: str
    found: str
    description: str


def chart_of(
    score: Score, history: History, findings: Sequence[Finding], duplicates: Duplicates
) -> Chart | None:
    """Return the drawing of a scored run; None where no finite value was logged. O(n)."""
    curve = signal_curve(history, duplicates=duplicates, margin=MARGIN, columns=COLUMNS)
    if curve is None:
        return None
    curves = _drawings(curve, COLUMNS, log=True)
    gradient = gradient_curve(history, curve, margin=MARGIN, columns=SIDE_COLUMNS)
    # one switch for both axes: it is there where the curve has a logarithmic one
    gradients = [] if gradient is None else _drawings(gradient, SIDE_COLUMNS, log=len(curves) > 1)
    return Chart(
        curves=curves,
        gradients=gradients,
        left=_longest(curves),
        right=_longest(gradients),
        steps=_step_ticks(curve),
        edges=phase_edges(score, curve),
        lost=_lost(curve),
        first_lost=number(float(curve.lost[0])) if curve.lost.size else "",
        found=_found(curve, findings),
        description=_description(score, curve),
    )


def _drawings(curve: Curve, columns: int, *, log: bool) -> list[Drawing]:
    other = curve.logarithmic(margin=MARGIN) if log else None
    if other is None:
        return [_drawing("only", curve, columns)]
    return [_drawing("linear", curve, columns), _drawing("log", other, columns)]


def _drawing(scale: str, curve: Curve, columns: int) -> Drawing:
    line = trace(curve.x, curve.y, columns=columns)
    few = curve.x.size <= FEW_POINTS
    return Drawing(
        scale=scale,
        line=svg_path(line, WIDTH, HEIGHT),
        dots=svg_path(line._replace(starts=np.ones_like(line.starts)), WIDTH, HEIGHT)
        if few
        else "",
        ticks=curve.value_ticks(TICKS),
    )


def _longest(drawings: list[Drawing]) -> int:
    return max((len(tick.label) for drawing in drawings for tick in drawing.ticks), default=0)


def _step_ticks(curve: Curve) -> list[Tick]:
    found = curve.step_ticks(TICKS)
    # on a telephone long labels would run into each other
    return (
        found if max((len(tick.label) for tick in found), default=0) <= 6 else curve.step_ticks(2)
    )


def _lost(curve: Curve) -> str:
    columns = np.unique(np.floor(positions(curve.lost, *curve.step_ends) * SIDE_COLUMNS))
    return "".join(f"M{x:.0f} {HEIGHT}v-40" for x in (columns / SIDE_COLUMNS * WIDTH).tolist())


def _found(curve: Curve, findings: Sequence[Finding]) -> str:
    ends = np.array([(found.start_step, found.stop_step) for found in findings]).reshape(-1, 2)
    places = np.clip(np.nan_to_num(positions(ends, *curve.step_ends)), 0.0, 1.0)
    local = places[places[:, 1] - places[:, 0] <= WIDEST_MARK] * WIDTH
    return "".join(f"M{start:.0f} {HEIGHT}H{stop:.0f}" for start, stop in local.tolist())


def _description(score: Score, curve: Curve) -> str:
    finite = curve.value[np.isfinite(curve.value)]
    steps = np.append(curve.step, curve.lost)
    text = (
        f"Values from {number(float(finite[0]))} to {number(float(finite[-1]))}, between "
        f"{number(float(finite.min()))} and {number(float(finite.max()))}, over steps "
        f"{number(float(steps.min()))} to {number(float(steps.max()))}."
    )
    if score.boundary_steps is None or score.status == "too_short":
        return text
    mid, late = map(number, score.boundary_steps)
    return f"{text} The mid phase starts at step {mid}, the late phase at step {late}."
