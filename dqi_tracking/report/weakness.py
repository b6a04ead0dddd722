"""What is weak in a run, phase by phase: as bars, and in words."""

from __future__ import annotations

import math

from rich.text import Text

from dqi_tracking.engine.components import MIN_POINTS
from dqi_tracking.report.geometry import number
from dqi_tracking.report.glyphs import ALERT, COLOURS, UNICODE, Glyphs, bar
from dqi_tracking.report.meaning import WEAKEST
from dqi_tracking.types import COMPONENTS, Component, PhaseName, PhaseScore, Score

LONGEST_BAR = 12
HEAD = 15
"""Columns of a phase's name and score."""


def weakest_of(phase: PhaseScore) -> tuple[Component, ...]:
    """Return the lowest component of a phase; several where they are equal.

    None at all where it tells nothing: a phase of fewer than three points, all four equal, or not
    a number.
    """
    values: dict[Component, float] = {name: getattr(phase, name) for name in COMPONENTS}
    lowest = min(values.values())
    if phase.n_points < MIN_POINTS or math.isnan(lowest) or lowest == max(values.values()):
        return ()
    return tuple(name for name, value in values.items() if value == lowest)


def component_bars(score: Score, *, width: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Return the phases as a table of bars, one component a column, the weakest marked.

    Parameters
    ----------
    score : Score
    width : int
        Longest line in characters; at least 60 are taken.
    glyphs : Glyphs
        The characters to draw with.

    Returns
    -------
    list of rich.text.Text
        A heading, and a line for each phase. Nothing is marked in a run that is constant.
    """
    room = min(max((width - HEAD) // len(COMPONENTS), 11) - 7, LONGEST_BAR)
    head = Text(f"{'phase':<7}{'DQI':<6}", "bold")
    for sign, name in zip(("= ", *[f"{glyphs.times} "] * 3), COMPONENTS, strict=True):
        head.append(sign, "dim").append(f"{name:<{room + 5}}", "bold")
    lines = [head]
    for name, phase in score.phases.items():
        weak = weakest_of(phase) if score.status == "ok" else ()
        line = Text(f"{name:<7}", COLOURS[name])
        line.append(f"{share(phase.dqi, 4, glyphs):<8}", "bold")
        for component in COMPONENTS:
            value: float = getattr(phase, component)
            is_weak = component in weak
            told = f"{share(value, 2, glyphs):<4} {bar(value, room, glyphs)}"
            line.append(told, ALERT if is_weak else COLOURS[name])
            line.append(f"{glyphs.mark if is_weak else ' '} ", ALERT)
        lines.append(line)
    for line in lines:
        line.rstrip()
    return lines


def phases_in_words(score: Score) -> list[str]:
    """Return a sentence for each phase: where it lies, and what is weakest in it."""
    return [_phase_in_words(name, phase, score) for name, phase in score.phases.items()]


def weakness_in_words(score: Score) -> list[str]:
    """Return what the weakest components mean: over the run, then those of single phases.

    Empty where the status says all there is to say.
    """
    if score.status != "ok" or score.weakest is None:
        return []
    sentences = [f"weakest: {score.weakest}. {WEAKEST[score.weakest]}"]
    where: dict[Component, list[PhaseName]] = {}
    for name, phase in score.phases.items():
        for component in weakest_of(phase):
            where.setdefault(component, []).append(name)
    where.pop(score.weakest, None)
    for component, phases in where.items():
        sentences.append(f"in {_listed(phases)}: {component}. {WEAKEST[component]}")
    return sentences


def share(value: float, digits: int, glyphs: Glyphs = UNICODE) -> str:
    """Return a number in [0, 1]; one that would be rounded to 0 as below the last digit."""
    if math.isnan(value):
        return glyphs.none
    least = 10.0**-digits
    too_small = 0.0 < value < least / 2
    return f"<{least:.{digits}f}".replace("0.", ".") if too_small else f"{value:.{digits}f}"


def _phase_in_words(name: PhaseName, phase: PhaseScore, score: Score) -> str:
    points = f"{phase.n_points:,} {'point' if phase.n_points == 1 else 'points'}"
    if not phase.n_points:
        return f"{name}: {points}, so it scores 0"
    where = f"{name}: steps {number(phase.start_step)} to {number(phase.stop_step)}, {points}"
    if phase.n_points < MIN_POINTS:
        return f"{where}, too few for a shape, so it scores 0"
    weak = weakest_of(phase) if score.status == "ok" else ()
    if not weak:
        return where
    lowest = share(getattr(phase, weak[0]), 2)
    return f"{where}; weakest {_listed(weak)} {lowest}"


def _listed(words: tuple[str, ...] | list[PhaseName]) -> str:
    return " and ".join((", ".join(words[:-1]), words[-1])) if words[1:] else words[0]
