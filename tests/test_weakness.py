"""What is weak, as bars and in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dqi_tracking.engine import score
from dqi_tracking.report.glyphs import ALERT, ASCII, UNICODE
from dqi_tracking.report.meaning import WEAKEST
from dqi_tracking.report.weakness import (
    component_bars,
    phases_in_words,
    share,
    weakest_of,
    weakness_in_words,
)
from dqi_tracking.types import COMPONENTS, PHASES, History, PhaseScore, Score

NOISE = np.random.default_rng(7).normal(size=300)
NOISY = score(History(np.arange(300), np.exp(-np.arange(300) / 60) + 0.2 * NOISE))
SMOOTH = score(History(np.arange(300), np.exp(-np.arange(300) / 100)))


def phase(n_points: int = 9, **components: float) -> PhaseScore:
    values = dict.fromkeys(COMPONENTS, 0.5) | components
    place = {"start": 0, "stop": n_points, "start_step": 0.0, "stop_step": 9.0}
    return PhaseScore(dqi=0.1, n_points=n_points, **values, **place)


def test_the_weakest_of_a_phase_are_its_lowest_components() -> None:
    assert weakest_of(phase(structure=0.1)) == ("structure",)
    assert weakest_of(phase(structure=0.0, variation=0.0)) == ("variation", "structure")
    assert weakest_of(phase()) == ()
    assert weakest_of(phase(2, structure=0.1)) == ()
    assert weakest_of(phase(structure=float("nan"))) == ()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
@pytest.mark.parametrize("made", [NOISY, SMOOTH], ids=["noisy", "smooth"])
def test_bars_say_every_component_and_mark_the_weakest_of_each_phase(
    made: Score, width: int
) -> None:
    lines = component_bars(made, width=width)
    head, *rows = [line.plain for line in lines]
    assert max(map(len, rows)) <= max(width, 60)
    for (name, found), row, line in zip(made.phases.items(), rows, lines[1:], strict=True):
        assert row.split()[:2] == [name, share(found.dqi, 4)]
        for component in COMPONENTS:
            at = head.index(component)
            value, drawn = row[at:].split(maxsplit=1)
            assert value == share(getattr(found, component), 2)
            marked = drawn.lstrip("█▉▊▋▌▍▎▏·").startswith("◂")
            assert marked == (component in weakest_of(found))
            styles = {str(span.style) for span in line.spans if span.start <= at < span.end}
            assert (ALERT in styles) == marked
        assert row.count("◂") == 1


@given(
    values=st.lists(st.floats(0, 9) | st.floats(), min_size=0, max_size=40),
    width=st.integers(1, 200),
)
@settings(deadline=None)
def test_any_score_has_a_line_a_phase(values: list[float], width: int) -> None:
    made = score(History(range(len(values)), values))
    for glyphs in (UNICODE, ASCII):
        lines = [line.plain for line in component_bars(made, width=width, glyphs=glyphs)]
        assert [line.split()[0] for line in lines] == ["phase", *PHASES]
        assert max(map(len, lines)) <= max(width, 60)
        assert glyphs is UNICODE or all(line.isascii() for line in lines)
    assert [line.partition(":")[0] for line in phases_in_words(made)] == list(PHASES)


def test_words_name_where_a_phase_lies_and_what_is_weakest_in_it() -> None:
    early, *_ = phases_in_words(SMOOTH)
    found = SMOOTH.early
    assert early == (
        f"early: steps 0 to {found.stop_step:,.0f}, {found.n_points} points; weakest structure "
        f"{share(found.structure, 2)}"
    )
    short = score(History([0, 1, 2, 3, 4], [3, 2, 1.5, 1.4, 1.2]))
    assert phases_in_words(short)[0].endswith("1 point, too few for a shape, so it scores 0")
    # where a step does all the change, there is nothing between the boundaries
    jump = score(History(range(60), [9.0] * 30 + [1.0] * 30))
    empty = [name for name, found in jump.phases.items() if not found.n_points]
    told = dict(line.split(": ") for line in phases_in_words(jump))
    assert {name for name, text in told.items() if text == "0 points, so it scores 0"} == set(empty)


def test_words_say_what_each_weak_component_means_and_once() -> None:
    sentences = weakness_in_words(NOISY)
    assert NOISY.weakest is not None
    assert sentences[0] == f"weakest: {NOISY.weakest}. {WEAKEST[NOISY.weakest]}"
    named = {name for found in NOISY.phases.values() for name in weakest_of(found)}
    assert len(sentences) == len(named | {NOISY.weakest})
    for sentence in sentences[1:]:
        phases, component = re.match(r"in ([\w ,]+): (\w+)\. ", sentence).groups()
        assert sentence.endswith(WEAKEST[component])
        for name in re.split(", | and ", phases):
            assert component in weakest_of(NOISY.phases[name])


@pytest.mark.parametrize("values", [[2.0] * 30, [1, float("nan"), 2], [1, 2], []])
def test_where_the_status_says_it_all_nothing_is_called_weak(values: list[float]) -> None:
    made = score(History(range(len(values)), values))
    assert weakness_in_words(made) == []
    assert not any("weakest" in line for line in phases_in_words(made))
    assert not any("◂" in line.plain for line in component_bars(made, width=80))


@given(value=st.floats(0, 1), digits=st.integers(1, 4))
def test_only_zero_is_told_as_zero(value: float, digits: int) -> None:
    told = share(value, digits)
    assert len(told) == digits + 2
    assert (told == f"{0:.{digits}f}") == (value == 0)
    assert told.startswith("<") or abs(float(told) - value) <= 0.5001 * 10**-digits


def test_no_number_is_a_dash() -> None:
    assert share(float("nan"), 2) == "–"
    assert share(float("nan"), 2, ASCII) == "-"
