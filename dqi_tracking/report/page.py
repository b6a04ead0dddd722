"""`phases.html`: one run explained on one page that needs nothing but itself."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined, Template

from dqi_tracking.engine.components import MIN_POINTS
from dqi_tracking.report.curve import Curve, gradient_curve, phase_edges, signal_curve
from dqi_tracking.report.geometry import Tick, number, svg_path, trace
from dqi_tracking.report.meaning import STATUSES, WEAKEST, WHAT_IT_IS
from dqi_tracking.report.printable import printable
from dqi_tracking.types import (
    COMPONENTS,
    Duplicates,
    History,
    RunRef,
    Score,
    Units,
)

WIDTH, HEIGHT = 2000, 1000
"""Units of the drawing; it is stretched to the page."""
COLUMNS = 800
SIDE_COLUMNS = 400
"""Of what is drawn beside the curve: the gradient norm, marks of values that are not finite."""
FEW_POINTS = 60
"""Points up to which each one is marked by a dot."""
MARGIN = 0.05
LIMIT = 200
"""Characters of a name or warning; longer ones are cut."""
MOST_WARNINGS = 10


def phases_html(
    score: Score,
    history: History,
    ref: RunRef,
    *,
    scored_at: str,
    duplicates: Duplicates = "last",
    units: Units = "relative",
) -> bytes:
    """Return `phases.html` of one scored run.

    One page without scripts or requests, for light and dark, screen and paper.

    Parameters
    ----------
    score : Score
        As the engine returns it for `history`.
    history : History
        What was scored; rows in any order.
    ref : RunRef
        The run. Its names are data: they are escaped and lose their control characters.
    scored_at : str
        ISO 8601, UTC.
    duplicates, units : str
        The options that the score was made with: which rows are drawn, what the phases are in.

    Returns
    -------
    bytes
        UTF-8, at most 60 kB whatever the history holds. O(n log n), O(n) for rows in order.
    """
    name = printable(ref.name, limit=LIMIT)
    run_id = printable(ref.run_id, limit=LIMIT)
    # of a constant curve two components are zero: neither tells anything
    weakest = score.weakest if score.status == "ok" else None
    known = score.status in ("ok", "flat")
    page = _template().render(
        title=name or run_id or "unnamed run",
        run_id=run_id,
        group=printable(ref.group, limit=LIMIT),
        score=score,
        dqi=_share(score.dqi),
        dqi_raw=_share(score.dqi_raw),
        what_it_is=WHAT_IT_IS,
        reason=STATUSES[score.status],
        phases=_phases(score),
        components=COMPONENTS if known else (),
        weakest=weakest,
        meaning=WEAKEST[weakest] if weakest else "",
        sparse=min(phase.n_points for phase in score.phases.values()) < MIN_POINTS,
        raw=units == "raw",
        warnings=[printable(text, limit=LIMIT) for text in score.warnings[:MOST_WARNINGS]],
        signal=printable(score.signal, limit=LIMIT),
        chart=_chart(score, history, duplicates),
        scored_at=printable(scored_at, limit=LIMIT),
        share=_share,
        percent=_percent,
    )
    return page.encode()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("dqi_tracking.report").joinpath("phases.html.jinja")
    return environment.from_string(source.read_text(encoding="utf-8"))


def _share(value: float) -> str:
    """Return a number in [0, 1] with three decimals; a dash where there is none."""
    if math.isnan(value):
        return "—"
    return "<0.001" if 0.0 < value < 0.0005 else f"{value:.3f}"


def _percent(position: float) -> str:
    return f"{100 * position:.4g}%"


def _phases(score: Score) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "score": phase,
            "from": "" if math.isnan(phase.start_step) else number(phase.start_step),
        }
        for name, phase in score.phases.items()
    ]


def _chart(score: Score, history: History, duplicates: Duplicates) -> dict[str, object] | None:
    curve = signal_curve(history, duplicates=duplicates, margin=MARGIN)
    if curve is None:
        return None
    gradient = gradient_curve(history, curve, margin=MARGIN)
    missing = ~np.isfinite(curve.value)
    lost = np.unique(np.floor(curve.x[missing] * SIDE_COLUMNS)) / SIDE_COLUMNS * WIDTH
    value_ticks = curve.value_ticks(5)
    gradient_ticks = [] if gradient is None else gradient.value_ticks(5)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "line": _line(curve),
        "dots": _dots(curve),
        "left": 2 + max((len(tick.label) for tick in value_ticks), default=0),
        "right": 2 + max((len(tick.label) for tick in gradient_ticks), default=0),
        "lost": "".join(f"M{x:.0f} {HEIGHT}v-40" for x in lost.tolist()),
        "values": value_ticks,
        "steps": _step_ticks(curve),
        "first_lost": number(float(curve.step[missing][0])) if lost.size else "",
        "gradient": None if gradient is None else _line(gradient, SIDE_COLUMNS),
        "gradient_key": printable(history.grad_norm_key, limit=LIMIT),
        "gradients": gradient_ticks,
        "edges": phase_edges(score, curve),
        "longest": 3 + max(len(str(phase["from"])) for phase in _phases(score)) + len("from"),
        "description": _description(score, curve),
    }


def _step_ticks(curve: Curve) -> list[Tick]:
    found = curve.step_ticks(5)
    # on a telephone long labels would run into each other
    return (
        found if max((len(tick.label) for tick in found), default=0) <= 6 else curve.step_ticks(2)
    )


def _line(curve: Curve, columns: int = COLUMNS) -> str:
    return svg_path(trace(curve.x, curve.y, columns=columns), WIDTH, HEIGHT)


def _dots(curve: Curve) -> str:
    if curve.x.size > FEW_POINTS:
        return ""
    dots = trace(curve.x, curve.y, columns=COLUMNS)
    return svg_path(dots._replace(starts=np.ones_like(dots.starts)), WIDTH, HEIGHT)


def _description(score: Score, curve: Curve) -> str:
    finite = curve.value[np.isfinite(curve.value)]
    text = (
        f"Values from {number(float(finite[0]))} to {number(float(finite[-1]))}, between "
        f"{number(float(finite.min()))} and {number(float(finite.max()))}, over steps "
        f"{number(float(curve.step[0]))} to {number(float(curve.step[-1]))}."
    )
    if score.boundary_steps is None or score.status == "too_short":
        return text
    mid, late = map(number, score.boundary_steps)
    return f"{text} The mid phase starts at step {mid}, the late phase at step {late}."
