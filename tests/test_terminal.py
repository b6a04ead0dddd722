"""Curves as plain text."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dqi_tracking.engine import score
from dqi_tracking.report.glyphs import ASCII, UNICODE, Glyphs
from dqi_tracking.report.terminal import draw
from dqi_tracking.types import History

BRAILLE = re.compile(r"[\u2801-\u28ff]")
LOSS = 3 * np.exp(-np.arange(200) / 60) + 1 + 0.05 * np.sin(np.arange(200) ** 2)

steps = st.floats(-1e150, 1e150)
rows = st.lists(st.tuples(steps | st.integers(0, 9), *[st.floats() | st.floats(0, 9)] * 2))
histories = st.tuples(rows, st.booleans()).map(
    lambda told: (
        History(*list(zip(*told[0], strict=True))[: 2 + told[1]]) if told[0] else History([])
    )
)


def lines_of(
    history: History, width: int = 80, height: int = 12, glyphs: Glyphs = UNICODE
) -> list[str]:
    drawn = draw(history, score(history), width=width, height=height, glyphs=glyphs)
    return [line.plain for line in drawn]


def kept(history: History) -> list[float]:
    """Return the last value logged at each step."""
    assert history.loss is not None
    return list(dict(zip(history.step.tolist(), history.loss.tolist(), strict=True)).values())


@given(history=histories, width=st.integers(40, 200), height=st.integers(3, 30))
@example(history=History([0, 1, 1e150], [1.7e308, -1.7e308, 0]), width=40, height=12)
@example(history=History([7, 7, 7], [1, 2, 3]), width=40, height=12)
@example(history=History([0, 1, 2], [1, 2, 3], [-1e300, 1e300, 2]), width=40, height=3)
@settings(deadline=None)
def test_any_run_fits_the_width_and_is_printable(history: History, width: int, height: int) -> None:
    for glyphs in (UNICODE, ASCII):
        lines = lines_of(history, width, height, glyphs)
        drawable = history.loss is not None and np.isfinite(kept(history)).any()
        assert bool(lines) == drawable
        assert [line for line in lines if len(line) > width] == []
        assert all(line.isprintable() for line in lines)
        assert glyphs is UNICODE or all(line.isascii() for line in lines)
        if drawable:
            plot = lines[1 : height + 1]
            assert sum(glyphs.side in line or glyphs.side_tick in line for line in plot) == height
            assert glyphs is ASCII or any(BRAILLE.search(line) for line in plot)


def test_curve_has_labelled_axes_phases_and_boundaries() -> None:
    history = History(np.arange(200) * 50, LOSS)
    title, *plot, axis, labels, strip, names = lines_of(history)
    steps = score(history).boundary_steps
    assert steps is not None
    assert (title.strip(), len(plot)) == ("loss", 12)
    assert any(line.lstrip().startswith("4 ┤") for line in plot)
    at = axis.index("┴", 10)
    assert "2,000" in labels[at - 3 : at + 4]
    mid, late = (f"{step:,.0f}" for step in steps)
    assert names.split("  ")[-1].strip() == f"▓ late from {late}"
    assert f"▒ mid from {mid}" in names
    # what is marked beside the curve, in the strip and by name is one place
    ends = [strip.index("▒"), strip.index("▓")]
    assert [m.start() for m in re.finditer("┊", plot[0])] == ends
    assert [names.index("▒"), names.index("▓")] == ends
    assert re.fullmatch(" +░+▒+▓+", strip)
    assert len(strip) == len(axis)


@pytest.mark.parametrize("cut", [0.001, 0.02, 0.5, 0.98, 0.999])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_each_phase_is_seen_and_named_wherever_the_boundaries_are(
    cut: float, glyphs: Glyphs
) -> None:
    step = np.arange(1000)
    history = History(step, np.where(step < cut * 1000, 5.0, 1.0) + 1e-3 * (step % 2))
    *_, strip, names = lines_of(history, 60, glyphs=glyphs)
    marks = [re.escape(shade) for shade in glyphs.shades]
    assert re.fullmatch(" +{}+{}+{}+".format(*marks), strip)
    assert re.fullmatch(" +{} early +{} mid from .* +{} late from .*".format(*marks), names)


def test_names_that_do_not_fit_side_by_side_stand_below_each_other() -> None:
    history = History(np.arange(60) * 1.2345678e149, np.exp(-np.arange(60) / 20))
    *_, early, mid, late = lines_of(history, 40)
    assert early.strip() == "░ early"
    assert mid.strip().startswith("▒ mid from ")
    assert late.strip().startswith("▓ late from ")


@pytest.mark.parametrize("history", [History([]), History([1, 2], [np.nan, np.inf])])
def test_nothing_to_draw_gives_no_lines(history: History) -> None:
    assert lines_of(history) == []


@pytest.mark.parametrize(
    "history", [History([1], [2.0]), History([1, 2], [2, 1]), History([1, 2, 3], [2, np.nan, 1])]
)
def test_a_run_without_phases_names_none(history: History) -> None:
    lines = lines_of(history)
    assert lines
    assert not any("early" in line or "┊" in line for line in lines)


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII], ids=["unicode", "ascii"])
def test_a_spike_either_way_among_a_million_points_is_drawn(glyphs: Glyphs) -> None:
    loss = np.ones(1_000_000)
    loss[333_333], loss[777_777] = -7.0, 9.0
    _, *plot, _, _ = [
        line.plain
        for line in draw(
            History(range(1_000_000), loss), score(History([0], [1])), width=80, glyphs=glyphs
        )
    ]
    cells = len(plot[0]) - 4, len(plot[-1]) - 4
    assert all(re.search(r"[^\s│|]$", plot[i]) for i in (0, -1))
    # the low one is a third, the high one three quarters along the way
    assert cells[0] == pytest.approx(0.777 * 76, abs=2)
    assert cells[1] == pytest.approx(0.333 * 76, abs=2)


def test_noise_is_drawn_from_its_lowest_to_its_highest_value_in_each_column() -> None:
    loss = np.tile([0.0, 1.0], 50_000)
    _, *plot, _, _, _, _ = lines_of(History(range(100_000), loss))
    for line in plot:
        assert set(line.partition("⣿")[2]) == {"⣿"}
        assert line.count("⣿") >= 75


def test_values_that_are_not_finite_are_not_joined_and_marked_on_the_axis() -> None:
    loss = np.ones(400)
    loss[100:300] = np.nan
    lines = lines_of(History(range(400), loss))
    drawn = "\n".join(lines)
    assert 30 < len(BRAILLE.findall(drawn)) < 50
    (axis,) = [line for line in lines if "└" in line]
    assert axis.count("×") == pytest.approx(len(axis) / 2, abs=3)
    assert "× not finite, first at step 100" in drawn


def test_the_gradient_norm_stands_below_on_the_same_steps() -> None:
    norm = np.where(np.arange(200) == 150, 40.0, 1.0)
    with_norm = lines_of(History(np.arange(200), LOSS, norm, grad_norm_key="g\x1b[31m"))
    lines = lines_of(History(np.arange(200), LOSS))
    start = [line.strip() for line in with_norm].index("g[31m")
    assert start == 13
    small = with_norm[start + 1 : start + 5]
    spike = len(small[0]) - 1
    assert BRAILLE.match(small[0][spike])
    assert (spike - 4) / (len(with_norm[-2]) - 4) == pytest.approx(150 / 200, abs=0.03)
    assert any("40 ┤" in line or "20 ┤" in line for line in small)
    assert "grad_norm" not in "".join(lines)
    assert len(with_norm) == len(lines) + 5
    # of a run without a loss it is the curve itself
    assert lines_of(History(np.arange(200), grad_norm=norm))[0].strip() == "grad_norm"


def test_a_long_name_of_a_metric_is_cut() -> None:
    history = History([1, 2, 3], [3, 2, 1], loss_key="x" * 200)
    assert re.fullmatch(r" +x{29}…", lines_of(history, 40)[0])
