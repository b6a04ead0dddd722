"""The curve of a run as lines of text: its phases and, where there is one, its gradient norm."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from dqi_tracking.insight.fan import Fan
from dqi_tracking.report.curve import Curve, gradient_curve, phase_edges, signal_curve
from dqi_tracking.report.fan import beside
from dqi_tracking.report.geometry import Tick, Trace, number, trace
from dqi_tracking.report.glyphs import ALERT, COLOURS, SECOND, UNICODE, Glyphs, dotted
from dqi_tracking.report.printable import printable
from dqi_tracking.types import Duplicates, History, PhaseName, Score

MIN_WIDTH = 40
MIN_HEIGHT = 3
MIN_PLOT = 16
NAME = 30
"""Characters of a metric's name; longer ones are cut."""


class Span(NamedTuple):
    """The columns of a phase, half-open: ``[start, stop)``."""

    phase: PhaseName
    start: int
    stop: int


class Panel(NamedTuple):
    """One curve over the common step axis."""

    curve: Curve
    name: str
    style: str
    height: int
    fan: Fan | None = None

    @property
    def ticks(self) -> list[Tick]:
        """Ticks of the value axis: about one for three lines."""
        return self.curve.value_ticks(max(2, self.height // 3))


def draw(
    history: History,
    score: Score,
    *,
    width: int,
    height: int = 12,
    duplicates: Duplicates = "last",
    glyphs: Glyphs = UNICODE,
    fan: Fan | None = None,
) -> list[Text]:
    """Draw the signal of a run, and below it the gradient norm, with axes and phases.

    Each column of dots shows the lowest and the highest value in it, so that no spike is lost.

    Parameters
    ----------
    history : History
        What was scored; rows in any order.
    score : Score
        As the engine returns it for `history`.
    width : int
        Longest line in characters; taken as 40 where it is less.
    height : int
        Lines of the signal's curve, at least 3; the gradient norm has a third of them.
    duplicates : {"last", "keep"}
        The option that the score was made with, so that the same rows are drawn.
    glyphs : Glyphs
        The characters to draw with.
    fan : Fan, optional
        Forecast of the signal: a line for what is expected, dots for the ends of the intervals,
        those of 90 % further apart. Values of the first tenth may then lie above the picture.

    Returns
    -------
    list of rich.text.Text
        Lines that say the same without their colours. Empty where there is nothing to draw: no
        finite value was logged.
    """
    curve = signal_curve(history, duplicates=duplicates, margin=0.0)
    if curve is None:
        return []
    if fan is not None:
        curve, fan = beside(curve, fan, margin=0.0)
        outside = (curve.y > 1.0) | (curve.y < 0.0)
        curve = replace(curve, y=np.where(outside, np.nan, curve.y))
    panels = [Panel(curve, score.signal, "bold", max(height, MIN_HEIGHT), fan)]
    gradient = gradient_curve(history, curve, margin=0.0)
    if gradient is not None:
        lower = max(height // 3, MIN_HEIGHT)
        panels.append(Panel(gradient, history.grad_norm_key, f"bold {SECOND}", lower))
    labels = [tick.label for panel in panels for tick in panel.ticks]
    gutter, width = max(map(len, labels), default=0), max(width, MIN_WIDTH)
    columns = max(width - gutter - 2, MIN_PLOT)
    spans = _spans(score, curve, columns)

    lines = [line for panel in panels for line in _panel(panel, columns, gutter, spans, glyphs)]
    below = [*_axis(curve, columns, glyphs), *_phases(score, spans, columns, glyphs)]
    # a line that is longer than the plot begins further left
    lines += [Text(" " * min(gutter + 1, width - len(line))) + line for line in below]
    for line in lines:
        line.rstrip()
    return lines


def _cell(position: float, cells: int) -> int:
    return min(int(position * cells), cells - 1)


def _spans(score: Score, curve: Curve, columns: int) -> list[Span]:
    """Return the columns of each phase; one that holds points has at least one."""
    edges = phase_edges(score, curve)
    if edges is None:
        return []
    mid, late = _cell(edges[1], columns), _cell(edges[2], columns)
    mid = max(mid, min(score.early.n_points, 1))
    late = max(late, mid + min(score.mid.n_points, 1))
    late = min(late, columns - 1)
    mid = min(mid, late - min(score.mid.n_points, 1))
    end = max(_cell(edges[3], columns), late) + 1
    return [Span("early", 0, mid), Span("mid", mid, late), Span("late", late, end)]


def _panel(
    panel: Panel, columns: int, gutter: int, spans: list[Span], glyphs: Glyphs
) -> list[Text]:
    height = panel.height
    labels = {height - 1 - _cell(tick.at, height): tick.label for tick in panel.ticks}
    bounds = {span.start for span in spans[1:]}
    title = Text(f"{'':{gutter + 1}}{printable(panel.name, limit=NAME)}", panel.style)
    lines = [title]
    for i, row in enumerate(_cells(panel, columns, glyphs)):
        drawn = "".join(
            glyphs.boundary if cell == " " and column in bounds else cell
            for column, cell in enumerate(row)
        )
        side = glyphs.side_tick if i in labels else glyphs.side
        lines.append(Text(f"{labels.get(i, ''):>{gutter}} {side}") + _coloured(drawn, spans))
    return lines


def _coloured(drawn: str, spans: list[Span]) -> Text:
    text = Text(drawn)
    for span in spans:
        text.stylize(COLOURS[span.phase], span.start, span.stop)
    return text


def _cells(panel: Panel, columns: int, glyphs: Glyphs) -> list[list[str]]:
    down, across = glyphs.dots
    curve, height = panel.curve, panel.height
    lines = [trace(curve.x, curve.y, columns=across * columns + 1)]
    if panel.fan is not None:
        lines += _fan_lines(panel.fan, across * columns)
    dots = [_lit(line, across * columns, down * height) for line in lines]
    lit = np.bitwise_or.reduce(dots)
    cells = lit.reshape(height, down, columns, across).transpose(0, 2, 1, 3).tolist()
    return [[dotted(cell, glyphs) for cell in row] for row in cells]


def _fan_lines(fan: Fan, dots: int) -> list[Trace]:
    """Return what is expected as a line, and the ends of the intervals as dots apart."""
    first = np.arange(fan.loss.size) == 0
    lines = [Trace(fan.step, fan.loss, first)]
    for apart, ends in ((2, (fan.low80, fan.high80)), (4, (fan.low90, fan.high90))):
        at = (np.arange(int(fan.step[0] * dots), dots, apart) + 0.5) / dots
        alone = np.ones(at.size, np.bool_)
        lines += [Trace(at, np.interp(at, fan.step, end), alone) for end in ends]
    return lines


def _lit(line: Trace, columns: int, rows: int) -> NDArray[np.int64]:
    """Return the dots that a line covers, the highest row first."""
    lit = np.zeros((rows, columns), dtype=np.int64)
    x = np.minimum((line.x * columns).astype(np.int64), columns - 1)
    y = rows - 1 - np.minimum((line.y * rows).astype(np.int64), rows - 1)
    lit[y, x] = 1
    for i in np.flatnonzero(~line.starts).tolist():
        count = 1 + max(abs(int(x[i] - x[i - 1])), abs(int(y[i] - y[i - 1])))
        across = np.rint(np.linspace(x[i - 1], x[i], count)).astype(np.int64)
        lit[np.rint(np.linspace(y[i - 1], y[i], count)).astype(np.int64), across] = 1
    return lit


def _axis(curve: Curve, columns: int, glyphs: Glyphs) -> list[Text]:
    """Return the step axis, the marks of values that are not finite on it, and its labels."""
    axis, labels = [glyphs.base] * columns, [" "] * (columns + 1)
    free = 0
    for tick in curve.step_ticks(max(2, columns // 14)):
        column = _cell(tick.at, columns)
        start = min(max(0, column + 1 - len(tick.label) // 2), columns + 1 - len(tick.label))
        if start < free:
            continue
        axis[column] = glyphs.base_tick
        labels[start : start + len(tick.label)] = tick.label
        free = start + len(tick.label) + 1
    lost = np.flatnonzero(~np.isfinite(curve.value))
    marks = np.unique(np.minimum(curve.x[lost] * columns, columns - 1).astype(np.int64)).tolist()
    for column in marks:
        axis[column] = glyphs.lost
    line = Text(glyphs.corner + "".join(axis))
    for column in marks:
        line.stylize(ALERT, column + 1, column + 2)
    lines = [line, Text("".join(labels))]
    if marks:
        what = f" {glyphs.lost} not finite"
        where = f"{what}, first at step {number(float(curve.step[lost[0]]))}"
        lines.append(Text(where if len(where) <= columns else what, ALERT))
    return lines


def _phases(score: Score, spans: list[Span], columns: int, glyphs: Glyphs) -> list[Text]:
    """Return a strip of the phases, and below it their names with the steps they start at."""
    if not spans or score.boundary_steps is None:
        return []
    pairs = list(zip(glyphs.shades, spans, strict=True))
    strip = "".join(shade * (span.stop - span.start) for shade, span in pairs)
    mid, late = map(number, score.boundary_steps)
    told = ("early", f"mid from {mid}", f"late from {late}")
    names = [f"{shade} {text}" for shade, text in zip(glyphs.shades, told, strict=True)]
    places = _side_by_side([span.start for span in spans], [len(name) for name in names], columns)
    rows = [Text(" ") + _coloured(strip, spans)]
    labels = [Text(name, COLOURS[span.phase]) for name, span in zip(names, spans, strict=True)]
    if places is None:
        return [*rows, *(Text(" ") + label for label in labels)]
    row = Text(" ")
    for place, label in zip(places, labels, strict=True):
        row = row + Text(" " * (place + 1 - len(row))) + label
    return [*rows, row]


def _side_by_side(starts: list[int], lengths: list[int], columns: int) -> list[int] | None:
    """Return where words begin, each as near its start as the others let it; None without room."""
    places: list[int] = []
    room = columns
    for start, length in zip(reversed(starts), reversed(lengths), strict=True):
        places.insert(0, max(min(start, room - length), 0))
        room = places[0] - 2
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + lengths[i - 1] + 2)
    return places if places[-1] + lengths[-1] <= columns else None
