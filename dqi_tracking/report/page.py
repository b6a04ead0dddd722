"""`phases.html`: one run explained on one page that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from dqi_tracking.engine.components import MIN_POINTS
from dqi_tracking.insight.insight import Insight
from dqi_tracking.insight.layers import LayerProfile
from dqi_tracking.report.chart import HEIGHT, WIDTH, chart_of
from dqi_tracking.report.geometry import number
from dqi_tracking.report.layer_rows import heat_map
from dqi_tracking.report.meaning import (
    CHECKS_WORTH,
    MEANS,
    NO_FINDING,
    STATE_WORTH,
    STATES,
    STATUSES,
    WEAKEST,
    WHAT_IT_IS,
)
from dqi_tracking.report.printable import printable
from dqi_tracking.report.templates import template
from dqi_tracking.types import (
    COMPONENTS,
    Component,
    Duplicates,
    History,
    PhaseScore,
    RunRef,
    Score,
    Units,
)

LIMIT = 200
"""Characters of a name or warning; longer ones are cut."""
MOST_WARNINGS = 10
LONGEST_STEP = 11
MOST_BYTES = 60_000
LAYER_ROWS = (48, 24, 12, 6)
"""Rows for layers, fewer where long names and warnings leave no room for more."""


def phases_html(
    score: Score,
    history: History,
    ref: RunRef,
    *,
    insight: Insight,
    scored_at: str,
    duplicates: Duplicates = "last",
    units: Units = "relative",
    phases: str = "auto",
    layers: LayerProfile | None = None,
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
    insight : Insight
        Of `history`.
    scored_at : str
        ISO 8601, UTC.
    duplicates, units : str
        The options that the score was made with: which rows are drawn, what the phases are in.
    phases : str
        What the phases follow, in words; `auto` for the method's rule, which is not told.
    layers : LayerProfile, optional
        Of the run's gradient norms, drawn as a heat map; many are folded.

    Returns
    -------
    bytes
        UTF-8, at most 60 kB whatever the history holds. O(n log n), O(n) for rows in order.
    """
    name = printable(ref.name, limit=LIMIT)
    run_id = printable(ref.run_id, limit=LIMIT)
    # of a constant curve two components are zero: neither tells anything
    weakest = score.weakest if score.status == "ok" else None
    parts = [_phase(name, phase, score) for name, phase in score.phases.items()]
    render = partial(
        template("phases.html.jinja").render,
        title=name or run_id or "unnamed run",
        run_id=run_id,
        group=printable(ref.group, limit=LIMIT),
        score=score,
        dqi=_share(score.dqi),
        dqi_raw=_share(score.dqi_raw),
        what_it_is=WHAT_IT_IS,
        reason=STATUSES[score.status],
        insight=insight,
        state=STATES[insight.state.name],
        state_worth=STATE_WORTH[insight.state.name],
        checks_worth=CHECKS_WORTH,
        no_finding=NO_FINDING,
        validation_key=printable(insight.validation_key, limit=LIMIT),
        compared_with=printable(insight.compared_with, limit=LIMIT),
        phases=parts,
        phases_from="" if phases.startswith("auto") else printable(phases, limit=LIMIT),
        components=COMPONENTS if score.status in ("ok", "flat") else (),
        means=MEANS,
        weakest=weakest,
        where=_where(score, weakest) if weakest else "",
        otherwise=_otherwise(parts, weakest) if weakest else "",
        meaning=WEAKEST[weakest] if weakest else "",
        sparse=min(phase.n_points for phase in score.phases.values()) < MIN_POINTS,
        raw=units == "raw",
        warnings=[printable(text, limit=LIMIT) for text in score.warnings[:MOST_WARNINGS]],
        n_warnings=len(score.warnings),
        signal=printable(score.signal, limit=LIMIT),
        chart=chart_of(score, history, insight.findings, duplicates),
        width=WIDTH,
        height=HEIGHT,
        label=max(len(line) for part in parts for line in part.label),
        gradient_key=printable(history.grad_norm_key, limit=LIMIT),
        scored_at=printable(scored_at, limit=LIMIT),
        share=_share,
        percent=_percent,
    )
    return _fitting(render, layers if layers and layers.layers else None)


def _fitting(render: Callable[..., str], layers: LayerProfile | None) -> bytes:
    """Return the page with as many rows of layers as there is room for."""
    if layers:
        for most in LAYER_ROWS:
            page = render(layers=heat_map(layers, most)).encode()
            if len(page) <= MOST_BYTES:
                return page
    return render(layers=None).encode()


class Phase(NamedTuple):
    """One phase as the page tells it.

    Attributes
    ----------
    name : str
    score : PhaseScore
    lowest : str or None
        The component with the lowest value; None where there is too little to compare.
    label : tuple of str
        What stands beside its name in the drawing: where it starts, and what is low in it.
    """

    name: str
    score: PhaseScore
    lowest: Component | None
    label: tuple[str, str]


def _share(value: float) -> str:
    """Return a number in [0, 1] with three decimals; a dash where there is none."""
    if math.isnan(value):
        return "—"
    return "<0.001" if 0.0 < value < 0.0005 else f"{value:.3f}"


def _percent(position: float) -> str:
    return f"{100 * position:.4g}%"


def _phase(name: str, phase: PhaseScore, score: Score) -> Phase:
    start = "" if math.isnan(phase.start_step) else f"from {_step(phase.start_step)}"
    if score.status != "ok":
        return Phase(name, phase, None, (start, ""))
    if phase.n_points < MIN_POINTS:
        return Phase(name, phase, None, (start, "too few points"))
    lowest = min(COMPONENTS, key=lambda component: _value(phase, component))
    return Phase(name, phase, lowest, (start, f"{lowest} {_share(_value(phase, lowest))}"))


def _step(step: float) -> str:
    exact = number(step)
    # three of them stand side by side on a telephone
    return (
        exact
        if len(exact) <= LONGEST_STEP
        else f"{step:.6g}".replace("e+0", "e").replace("e+", "e")
    )


def _value(phase: PhaseScore, component: Component) -> float:
    return getattr(phase, component)


def _where(score: Score, component: Component) -> str:
    """Return in which phases a component is lowest, and how low."""
    # where a phase has too few points, all its components are zero alike
    known = {n: p for n, p in score.phases.items() if p.n_points >= MIN_POINTS} or score.phases
    values = {name: _value(phase, component) for name, phase in known.items()}
    value = _share(min(values.values()))
    names = [name for name in values if _share(values[name]) == value]
    if len(names) == len(score.phases):
        return f"{value} in every phase"
    phases = f"the {' and '.join(names)} phase{'s' if len(names) > 1 else ''}"
    return f"{value} in {phases}" if names == list(values) else f"lowest in {phases}, {value}"


def _otherwise(phases: list[Phase], weakest: Component) -> str:
    """Return what is lowest in a phase where that is not the component weakest on average."""
    others = [
        (phase.name, phase.lowest, _value(phase.score, phase.lowest))
        for phase in phases
        if phase.lowest and phase.lowest != weakest
    ]
    return " ".join(
        f"In the {name} phase {lowest} is lower, {_share(value)}." for name, lowest, value in others
    )
