"""A curve and its components as lines of plain text, for any terminal with a Unicode font."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dqi_tracking.report.curve import Curve, phase_edges, signal_curve
from dqi_tracking.report.geometry import Tick, Trace, number, trace
from dqi_tracking.types import Duplicates, History, Score

MIN_WIDTH = 40
MIN_HEIGHT = 3
MIN_PLOT = 16
EIGHTHS = " ▏▎▍▌▋▊▉"
BRAILLE = 0x2800
# dots of one braille character: four rows, two columns
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def draw(
    history: History,
    score: Score,
    *,
    width: int,
    height: int = 12,
    duplicates: Duplicates = "last",
) -> list[str]:
    """Draw the signal of a run in braille dots, with axes and phase boundaries.

    Parameters
    ----------
    history : History
        What was scored; rows in any order.
    score : Score
        As the engine returns it for `history`.
    width : int
        Longest line in characters; taken as 40 where it is less.
    height : int
        Lines of the curve itself, axis and labels not counted; at least 3.
    duplicates : {"last", "keep"}
        The option that the score was made with, so that the same rows are drawn.

    Returns
    -------
    list of str
        Lines without colour codes and without names from the tracker. Empty where there is
        nothing to draw: no finite value was logged.
    """
    curve = signal_curve(history, duplicates=duplicates, margin=0.0)
    if curve is None:
        return []
    width, height = max(width, MIN_WIDTH), max(height, MIN_HEIGHT)
    value_ticks = curve.value_ticks(max(1, height // 3))
    gutter = max((len(tick.label) for tick in value_ticks), default=0)
    columns = max(width - gutter - 2, MIN_PLOT)
    edges = phase_edges(score, curve)
    bounds = [] if edges is None else [_cell(edge, columns) for edge in edges[1:3]]

    rows = _plot(curve, columns, height, bounds)
    labels = {height - 1 - _cell(tick.at, height): tick.label for tick in value_ticks}
    lines = [
        f"{labels.get(i, ''):>{gutter}} {'┤' if i in labels else '│'}{row}"
        for i, row in enumerate(rows)
    ]
    margin = " " * (gutter + 1)
    step_ticks = curve.step_ticks(max(2, columns // 14))
    lines += [margin + line for line in _step_axis(step_ticks, columns)]
    if bounds and score.boundary_steps is not None:
        lines.append(margin + " " + _phase_names(bounds, score.boundary_steps, columns))
    return [line.rstrip() for line in lines]


def bar(value: float, width: int = 10) -> str:
    """Return a component in [0, 1] as a bar of blocks, `width` characters long; NaN as dots."""
    if math.isnan(value):
        return "·" * width
    full, rest = divmod(round(min(max(value, 0.0), 1.0) * width * 8), 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def _cell(position: float, cells: int) -> int:
    return min(int(position * cells), cells - 1)


def _plot(curve: Curve, columns: int, height: int, bounds: list[int]) -> list[str]:
    lit = _lit(trace(curve.x, curve.y, columns=2 * columns), 2 * columns, 4 * height)
    codes = np.einsum("rdce,de->rc", lit.reshape(height, 4, columns, 2), DOTS)
    return [
        "".join(
            chr(BRAILLE + code) if code else "┊" if column in bounds else " "
            for column, code in enumerate(row)
        )
        for row in codes.tolist()
    ]


def _lit(line: Trace, columns: int, rows: int) -> NDArray[np.int64]:
    """Return the dots that a line covers, the highest row first."""
    lit = np.zeros((rows, columns), dtype=np.int64)
    x = np.rint(line.x * (columns - 1)).astype(np.int64)
    y = np.rint((1.0 - line.y) * (rows - 1)).astype(np.int64)
    lit[y, x] = 1
    for i in np.flatnonzero(~line.starts).tolist():
        count = 1 + max(abs(int(x[i] - x[i - 1])), abs(int(y[i] - y[i - 1])))
        across = np.rint(np.linspace(x[i - 1], x[i], count)).astype(np.int64)
        lit[np.rint(np.linspace(y[i - 1], y[i], count)).astype(np.int64), across] = 1
    return lit


def _step_axis(step_ticks: list[Tick], columns: int) -> list[str]:
    axis, labels = ["─"] * columns, [" "] * (columns + 1)
    free = 0
    for tick in step_ticks:
        column = _cell(tick.at, columns)
        start = min(max(0, column + 1 - len(tick.label) // 2), columns + 1 - len(tick.label))
        if start < free:
            continue
        axis[column] = "┴"
        labels[start : start + len(tick.label)] = tick.label
        free = start + len(tick.label) + 1
    return ["└" + "".join(axis), "".join(labels)]


def _phase_names(bounds: list[int], steps: tuple[float, float], columns: int) -> str:
    """Return `early │mid from 400 │late from 900`, each at its boundary where there is room."""
    for mid, late in (
        (f"mid from {number(steps[0])}", f"late from {number(steps[1])}"),
        ("mid", "late"),
    ):
        # the later names push the earlier ones left, never further than these need
        last = columns - len(late) - 1
        second = min(max(bounds[0], len("early ")), last - len(mid) - 2)
        third = min(max(bounds[1], second + len(mid) + 2), last)
        if second >= len("early "):
            break
    return f"{'early':<{second}}│{mid:<{third - second - 1}}│{late}"
