"""Characters of drawings: bars that grow, and what an output can take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.report.glyphs import ASCII, UNICODE, bar, encodable, glyphs_of


@given(value=st.floats(0, 1), width=st.integers(1, 40))
def test_bar_grows_with_the_value(value: float, width: int) -> None:
    assert len(bar(value, width)) == width
    assert bar(value, width).count("█") == int(round(value * width * 8) / 8)
    assert bar(value, width, ASCII).count("#") == round(value * width)
    assert len(bar(value, width, ASCII)) == width


def test_bar_ends() -> None:
    assert bar(0.0) == "·" * 10
    assert bar(1.0) == "█" * 10
    assert bar(0.55) == "█████▌····"
    assert bar(float("nan"), 4) == "····"
    assert bar(0.5, 4, ASCII) == "##.."


@pytest.mark.parametrize(
    ("encoding", "glyphs"),
    [
        ("utf-8", UNICODE),
        ("utf-16", UNICODE),
        ("ascii", ASCII),
        ("iso-8859-1", ASCII),
        ("cp437", ASCII),
        ("shift_jis", ASCII),
        ("no such encoding", ASCII),
    ],
)
def test_only_what_an_output_can_encode_is_drawn(encoding: str, glyphs: object) -> None:
    assert glyphs_of(encoding) is glyphs


def test_what_cannot_be_encoded_is_a_question_mark() -> None:
    assert encodable("naïve 训练", "utf-8") == "naïve 训练"
    assert encodable("naïve 训练", "iso-8859-1") == "naïve ??"
    assert encodable("naïve 训练", "no such encoding") == "na?ve ??"
