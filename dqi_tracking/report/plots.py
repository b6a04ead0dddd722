"""A run as a figure for papers: loss, gradient norm and phases, as PNG, SVG or PDF."""

from __future__ import annotations

import io
import math
from bisect import bisect
from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.insight.fan import Fan
from dqi_tracking.report.curve import Curve, gradient_curve, phase_edges, signal_curve
from dqi_tracking.report.fan import beside
from dqi_tracking.report.figure_style import (
    AHEAD,
    ALERT,
    COLOURS,
    DPI,
    INK,
    METADATA,
    SECOND,
    PictureFormat,
    figure_style,
)
from dqi_tracking.report.geometry import number, trace
from dqi_tracking.report.printable import printable
from dqi_tracking.types import PHASES, Duplicates, History, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

SIZE = (3.5, 2.6)
"""Inches: one column of a paper."""
COLUMNS_PER_INCH = 200
"""Columns in each of which the lowest and the highest value are drawn."""
FEW_POINTS = 60
"""Points up to which each one is marked by a dot."""
MARGIN = 0.05
LIMIT = 100
"""Characters of a name; longer ones are cut, and further where they do not fit the figure."""
SWATCH = 0.15
"""Inches of a square in the legend, with what keeps it from its words and its neighbour."""
BESIDE = 0.65
"""Inches of the figure that both value axes may take; a legend that is wider than the rest takes a
second row."""

_STYLES: dict[str, dict[str, Any]] = {
    "curve": {"color": INK, "linewidth": 0.9, "zorder": 2.2},
    "gradient": {"color": SECOND, "linewidth": 0.5, "alpha": 0.55, "zorder": 2.1},
    "lost": {"color": ALERT, "linestyle": "none", "marker": "x", "markersize": 3, "zorder": 2.3},
}


def plot(
    history: History,
    score: Score,
    *,
    name: str,
    format: PictureFormat,  # noqa: A002
    size: tuple[float, float] = SIZE,
    duplicates: Duplicates = "last",
    step_label: str = "step",
    fan: Fan | None = None,
) -> bytes | None:
    """Return a run as a picture.

    The same input gives the same bytes, with one release of matplotlib and one set of fonts.

    Parameters
    ----------
    history : History
        What was scored; rows in any order.
    score : Score
        As the engine returns it for `history`.
    name : str
        The run's name, as data: shown as typed, cut where it is too long.
    format : {"png", "svg", "pdf"}
        PNG has 300 dots an inch; SVG and PDF keep text as text.
    size : tuple of float
        Width and height in inches, at least 2.
    duplicates : {"last", "keep"}
        The option that the score was made with, so that the same rows are drawn.
    step_label : str
        What the steps are.
    fan : Fan, optional
        Forecast of the signal: what is expected, with its 80 and 90 % intervals. Values of the
        first tenth may then lie above the picture.

    Returns
    -------
    bytes or None
        None where there is nothing to draw: no finite value was logged. O(n log n), O(n) for rows
        in order.
    """
    curve = signal_curve(history, duplicates=duplicates, margin=MARGIN)
    if curve is None:
        return None
    if fan is not None:
        curve, fan = beside(curve, fan, margin=MARGIN)
    gradient = gradient_curve(history, curve, margin=MARGIN)
    with figure_style([name, score.signal, history.grad_norm_key, step_label]):
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        axes: Axes = figure.add_subplot()
        _draw_phases(axes, score, curve)
        _draw_curve(axes, curve, size[0], "curve")
        _draw_lost(axes, curve, size[0])
        if fan is not None:
            _draw_fan(axes, fan)
        _label_axes(figure, axes, curve, score.signal, step_label)
        if gradient is not None:
            # on the same axes, so that it lies beneath the loss
            _draw_curve(axes, gradient, size[0], "gradient")
            _label_values(figure, axes.twinx(), gradient, history.grad_norm_key, SECOND)
        _draw_legend(figure, axes, score)
        _draw_title(figure, name, score)
        buffer = io.BytesIO()
        figure.savefig(buffer, format=format, dpi=DPI, metadata=METADATA[format])
    return buffer.getvalue()


def _draw_phases(axes: Axes, score: Score, curve: Curve) -> None:
    edges = phase_edges(score, curve)
    if edges is None:
        return
    for name, start, stop in zip(PHASES, edges, edges[1:], strict=False):
        axes.axvspan(start, stop, color=COLOURS[name], alpha=0.1, lw=0, gid=f"phase-{name}")
        if name != "early":
            axes.axvline(start, color=COLOURS[name], lw=0.8, ls=(0, (3, 2)), gid=f"boundary-{name}")


def _draw_curve(axes: Axes, curve: Curve, width: float, kind: str) -> None:
    line = trace(curve.x, curve.y, columns=int(width * COLUMNS_PER_INCH))
    # a point between two gaps has no line of its own
    lone = line.starts & np.append(line.starts[1:], True)
    dots = np.ones_like(lone) if curve.x.size <= FEW_POINTS else lone
    gaps = np.flatnonzero(line.starts)[1:]
    x, y = np.insert(line.x, gaps, np.nan), np.insert(line.y, gaps, np.nan)
    axes.plot(
        x,
        y,
        marker="o",
        markersize=2 if dots.all() else 1,
        markevery=np.insert(dots, gaps, False),
        gid=kind,
        **_STYLES[kind],
    )


def _draw_fan(axes: Axes, fan: Fan) -> None:
    style: dict[str, Any] = {"color": AHEAD, "linewidth": 0, "zorder": 2.05}
    axes.fill_between(fan.step, fan.low90, fan.high90, alpha=0.15, gid="interval-90", **style)
    axes.fill_between(fan.step, fan.low80, fan.high80, alpha=0.25, gid="interval-80", **style)
    label = "forecast with\n80, 90 % intervals"
    axes.plot(fan.step, fan.loss, color=AHEAD, lw=0.9, ls=(0, (4, 1)), label=label, gid="forecast")


def _draw_lost(axes: Axes, curve: Curve, width: float) -> None:
    lost = ~np.isfinite(curve.value)
    if not lost.any():
        return
    columns = int(width * COLUMNS_PER_INCH / 4)
    at = np.unique(np.rint(curve.x[lost] * columns)) / columns
    label = f"not finite\nfrom {number(float(curve.step[lost][0]))}"
    # at the foot: where the values would be is not known
    axes.plot(at, np.full_like(at, 0.025), label=label, gid="lost", **_STYLES["lost"])


def _label_axes(figure: Figure, axes: Axes, curve: Curve, key: str, step_label: str) -> None:
    axes.set_xlim(0.0, 1.0)
    found = curve.step_ticks(5)
    axes.set_xticks([tick.at for tick in found], [tick.label for tick in found])
    _shorten(figure, axes.set_xlabel(printable(step_label, limit=LIMIT)), 0.7)
    _label_values(figure, axes, curve, key, INK)
    axes.grid(axis="y")
    axes.set_axisbelow(True)


def _label_values(figure: Figure, axes: Axes, curve: Curve, key: str, colour: str) -> None:
    axes.set_ylim(0.0, 1.0)
    found = curve.value_ticks(5)
    axes.set_yticks([tick.at for tick in found], [tick.label for tick in found], color=colour)
    axes.tick_params(axis="y", color=colour)
    _shorten(figure, axes.set_ylabel(printable(key, limit=LIMIT), color=colour), 0.7)


def _draw_legend(figure: Figure, axes: Axes, score: Score) -> None:
    """Tell the phases above the curve: beside it, many a phase is too narrow for its words."""
    from matplotlib.patches import Patch

    handles, labels = axes.get_legend_handles_labels()
    if score.boundary_steps is not None and score.status != "too_short":
        handles = [*(Patch(color=COLOURS[name]) for name in PHASES), *handles]
        told = [
            f"{name} {_share(phase.dqi)}\nfrom {number(phase.start_step)}"
            for name, phase in score.phases.items()
        ]
        labels = [*told, *labels]
    if not handles:
        return
    box = (0.0, 1.0, 1.0, 0.0)
    style: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": box, "mode": "expand"}
    legend = axes.legend(handles, labels, ncols=len(handles), **style)
    needed = sum(text.get_window_extent().width + SWATCH * DPI for text in legend.get_texts())
    if needed > figure.bbox.width - BESIDE * DPI:
        axes.legend(handles, labels, ncols=(len(handles) + 1) // 2, **style)


def _draw_title(figure: Figure, name: str, score: Score) -> None:
    told = "no DQI" if math.isnan(score.dqi) else f"DQI {score.dqi:.4f}"
    if score.status != "ok":
        told += f" ({score.status.replace('_', ' ')})"
    title = f"{told} · {printable(name, limit=LIMIT)}"
    _shorten(figure, figure.suptitle(title, x=0.01, ha="left", fontsize=7.5), 0.97)


def _shorten(figure: Figure, text: Text, room: float) -> None:
    """Cut a text at its end until it takes no more than a share of the figure it runs along."""
    along = "height" if text.get_rotation() else "width"
    most = room * getattr(figure.bbox, along)
    whole = text.get_text()

    def is_too_long(limit: int) -> bool:
        text.set_text(printable(whole, limit=limit))
        return getattr(text.get_window_extent(), along) > most

    limits = range(1, len(whole) + 1)
    first_too_long = bisect(limits, False, key=is_too_long)
    text.set_text(printable(whole, limit=max(first_too_long, 1)))


def _share(value: float) -> str:
    """Return a number in [0, 1] with three decimals; a dash where there is none."""
    if math.isnan(value):
        return "–"
    return "<0.001" if 0.0 < value < 0.0005 else f"{value:.3f}"
