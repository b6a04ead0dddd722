"""A run as one row among others: its curve in a few hundred points, its phases as shades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.report.curve import signal_curve
from dqi_tracking.report.geometry import number, positions, svg_path, trace

if TYPE_CHECKING:
    from dqi_tracking.report.curve import Curve
    from dqi_tracking.report.experiment import Drawn, Linked
    from dqi_tracking.types import Duplicates

SMALL_WIDTH, SMALL_HEIGHT = 600, 120
"""Units of the drawing; it is stretched to the page."""
SMALL_COLUMNS = 150
MARGIN = 0.08


def small_curve(drawn: Drawn, duplicates: Duplicates) -> dict[str, object]:
    """Return what a row of the page shows: `run`, its `curve` as the `d` of an SVG path, and more.

    Parameters
    ----------
    drawn : Drawn
    duplicates : str
        As in `dqi_tracking.score`.

    Returns
    -------
    dict
        `run`; `curve`, empty with a `problem` where nothing can be drawn; `edges` at which the
        phases begin and the last one ends, in units of the drawing, empty where the run has no
        boundaries; `description` in words.
    """
    run, history, problem = drawn
    curve = signal_curve(history, duplicates=duplicates, margin=MARGIN) if history else None
    row: dict[str, object] = {"run": run, "problem": problem or "no finite value", "curve": ""}
    if curve is not None:
        vertices = trace(curve.x, curve.y, columns=SMALL_COLUMNS)
        row |= {
            "curve": svg_path(vertices, SMALL_WIDTH, SMALL_HEIGHT),
            "edges": _edges(run, curve),
            "description": _description(curve),
        }
    return row


def _edges(run: Linked, curve: Curve) -> list[int]:
    """Return where the phases begin and the last one ends, in units of the small drawing."""
    names = ("dqi_boundary_early_mid", "dqi_boundary_mid_late")
    stamp = run.ref.stamp
    steps = np.array([stamp.metrics.get(name, np.nan) if stamp else np.nan for name in names])
    if not np.isfinite(steps).all():
        return []
    inside = np.clip(positions(np.sort(steps), *curve.step_ends), 0.0, 1.0)
    return [0, *np.rint(inside * SMALL_WIDTH).astype(int).tolist(), SMALL_WIDTH]


def _description(curve: Curve) -> str:
    finite = curve.value[np.isfinite(curve.value)]
    first, last = number(float(finite[0])), number(float(finite[-1]))
    return f"From {first} to {last} over {curve.step.size:,} points."
