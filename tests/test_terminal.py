"""Curves and bars as plain text."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dqi_tracking.engine import score
from dqi_tracking.report.terminal import bar, draw
from dqi_tracking.types import History

BRAILLE = re.compile(r"[\u2801-\u28ff]")
LOSS = 3 * np.exp(-np.arange(200) / 60) + 1 + 0.05 * np.sin(np.arange(200) ** 2)

steps = st.floats(-1e150, 1e150)
histories = st.lists(
    st.tuples(steps | st.integers(0, 9), st.floats() | st.floats(0, 9)), max_size=60
).map(lambda rows: History(*zip(*rows, strict=True)) if rows else History([]))


@given(history=histories, width=st.integers(40, 200), height=st.integers(3, 30))
@example(history=History([0, 1, 1e150], [1.7e308, -1.7e308, 0]), width=40, height=12)
@example(history=History([7, 7, 7], [1, 2, 3]), width=40, height=12)
@settings(deadline=None)
def test_any_run_fits_the_width_and_is_printable(history: History, width: int, height: int) -> None:
    lines = draw(history, score(history), width=width, height=height)
    drawable = history.loss is not None and np.isfinite(history.loss).any()
    assert bool(lines) == drawable
    assert all(len(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)
    if drawable:
        assert sum("│" in line or "┤" in line for line in lines[:height]) == height
        assert any(BRAILLE.search(line) for line in lines)


def test_curve_has_labelled_axes_phases_and_boundaries() -> None:
    history = History(np.arange(200) * 50, LOSS)
    lines = draw(history, score(history), width=80)
    steps = score(history).boundary_steps
    assert steps is not None
    assert any(line.lstrip().startswith("4 ┤") for line in lines)
    assert "2,000" in lines[-2]
    assert re.fullmatch(
        rf" +early +│mid from {steps[0]:,.0f} +│late from {steps[1]:,.0f}", lines[-1]
    )
    marked = [m.start() for m in re.finditer("┊", lines[0])]
    assert marked == [m.start() for m in re.finditer("│", lines[-1])]


@pytest.mark.parametrize("cut", [0.02, 0.5, 0.98])
def test_phase_names_stay_readable_wherever_the_boundaries_are(cut: float) -> None:
    step = np.arange(1000)
    history = History(step, np.where(step < cut * 1000, 5.0, 1.0) + 1e-3 * (step % 2))
    assert re.search(r"early *│mid.*│late", draw(history, score(history), width=40)[-1])


@pytest.mark.parametrize("history", [History([]), History([1, 2], [np.nan, np.inf])])
def test_nothing_to_draw_gives_no_lines(history: History) -> None:
    assert draw(history, score(history), width=80) == []


@pytest.mark.parametrize(
    "history", [History([1], [2.0]), History([1, 2], [2, 1]), History([1, 2, 3], [2, np.nan, 1])]
)
def test_a_run_without_phases_names_none(history: History) -> None:
    lines = draw(history, score(history), width=80)
    assert lines
    assert not any("early" in line or "┊" in line for line in lines)


def test_a_spike_among_a_million_points_is_drawn() -> None:
    loss = np.ones(1_000_000)
    loss[777_777] = 9.0
    lines = draw(History(range(1_000_000), loss), score(History([0], [1])), width=80)
    assert BRAILLE.search(lines[0])


def test_values_that_are_not_finite_are_not_joined() -> None:
    loss = np.ones(400)
    loss[100:300] = np.nan
    history = History(range(400), loss)
    drawn = "\n".join(draw(history, score(history), width=80))
    assert len(BRAILLE.findall(drawn)) < 50


@given(value=st.floats(0, 1), width=st.integers(1, 40))
def test_bar_grows_with_the_value(value: float, width: int) -> None:
    assert len(bar(value, width)) == width
    assert bar(value, width).count("█") == int(round(value * width * 8) / 8)


def test_bar_ends() -> None:
    assert bar(0.0) == " " * 10
    assert bar(1.0) == "█" * 10
    assert bar(0.55) == "█████▌    "
    assert bar(float("nan"), 4) == "····"
