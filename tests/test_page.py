"""phases.html: self-contained, safe, bounded, and it shows what was scored."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dqi_tracking.engine import score
from dqi_tracking.engine.signal import extract
from dqi_tracking.report.chart import HEIGHT, WIDTH
from dqi_tracking.report.curve import signal_curve
from dqi_tracking.report.meaning import WEAKEST, WHAT_IT_IS
from dqi_tracking.types import History, RunRef
from tests.pages import LOSS, page_of, vertices

HOSTILE = "<script>alert('x')</script>\"&\x1b[2J\x9b\n\u202e تدريب 训练 🚀 \ud800"


steps = st.floats(-1e150, 1e150)
histories = st.lists(
    st.tuples(steps | st.integers(0, 9), st.floats() | st.floats(0, 9), st.floats()), max_size=80
).map(lambda rows: History(*zip(*rows, strict=True)) if rows else History([]))


@given(history=histories, name=st.text(st.characters()))
@example(history=History([0, 1, 2, 3], [1e300, -1e300, 1e-300, 5e-324]), name="extremes")
@example(history=History([0, 1e150, -1e150], [1.7e308, -1.7e308, 0]), name="whole range")
@example(history=History([7, 7, 7], [1, 2, 3]), name="one step")
@example(history=History([0, 1, 2, 3], [5e-324, 0, 0, 5e-324]), name="smallest")
@example(history=History(range(9), [2.5] * 9), name="flat")
@settings(deadline=None)
def test_any_run_gives_a_balanced_page_without_code_or_requests(
    history: History, name: str
) -> None:
    data, page = page_of(history, RunRef(name, name, name))
    assert len(data) <= 60_000
    assert not re.search(rb"<script|https?://|url\(|\bsrc=|@import|<link|<img", data)
    assert not any(key.startswith("on") for _, attrs in page.attributes for key in attrs)
    for kind in ("curve", "gradient", "points"):
        for path in page.paths(kind):
            x, y = vertices(path).T
            assert ((x >= 0) & (x <= WIDTH) & (y >= 0) & (y <= HEIGHT)).all()
            assert (np.diff(x) >= 0).all()


@given(history=histories, duplicates=st.sampled_from(["last", "keep"]))
@settings(deadline=None)
def test_the_curve_drawn_is_the_one_that_was_scored(history: History, duplicates) -> None:
    curve = signal_curve(history, duplicates=duplicates, margin=0.05)
    signal = extract(history, duplicates=duplicates)
    assert (curve is None) == (not np.isfinite(signal.y).any())
    if curve is not None:
        np.testing.assert_array_equal(curve.step, signal.x)
        np.testing.assert_array_equal(curve.value, signal.y)
        np.testing.assert_array_equal(curve.lost, signal.x[~np.isfinite(signal.y)])


def test_hostile_names_come_out_as_text() -> None:
    history = History(range(200), LOSS, LOSS, loss_key=HOSTILE, grad_norm_key=HOSTILE)
    data, page = page_of(history, RunRef(HOSTILE, HOSTILE, HOSTILE))
    assert not any(tag == "script" for tag, _ in page.attributes)
    assert page.headings["h1"] == "<script>alert('x')</script>\"&[2J تدريب 训练 🚀"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", data.decode())


def test_long_names_are_cut() -> None:
    data, page = page_of(History([]), RunRef("i" * 10**6, '"' * 10**6, "g" * 10**6))
    assert len(page.headings["h1"]) == 200
    assert len(data) <= 60_000


def test_a_run_without_a_name_goes_by_its_id() -> None:
    assert page_of(History([]), RunRef("0af3"))[1].headings["h1"] == "0af3"


def test_page_says_what_was_scored() -> None:
    history = History(np.arange(200) * 50, LOSS, loss_key="train/loss")
    result = score(history)
    _, page = page_of(history, RunRef("0af3", "base", "wmt"))
    assert result.weakest is not None
    assert result.boundary_steps is not None
    for text in (
        f"{result.dqi:.3f}",
        WHAT_IT_IS,
        "train/loss",
        "wmt",
        "0af3",
        WEAKEST[result.weakest],
        *(f"from {step:,.0f}" for step in result.boundary_steps),
        *(f"{phase.structure:.3f}" for phase in result.phases.values()),
        "2026-11-22T01:40:00Z",
    ):
        assert text in page.text, text
    classes = [attrs.get("class") for tag, attrs in page.attributes if tag == "rect"]
    assert [name for name in classes if name and name.endswith("area")] == [
        "early area",
        "mid area",
        "late area",
    ]


@pytest.mark.parametrize(
    ("history", "status", "reason", "curve"),
    [
        (History([]), "no signal", "neither a loss nor a gradient norm", False),
        (History([1], [2.0]), "too short", "Fewer than three points", True),
        (History([1, 2], [2.0, 1.0]), "too short", "Fewer than three points", True),
        (History(range(9), [2.0] * 9), "flat", "The curve is constant", True),
        (History(range(9), [np.nan] * 9), "nan", "not finite", False),
        (History(range(9), [3, 2, np.nan, 2, 2, 1, np.inf, 1, 1]), "nan", "not finite", True),
    ],
    ids=["no_signal", "one", "two", "flat", "all nan", "some nan"],
)
def test_a_status_is_explained(history: History, status: str, reason: str, curve: bool) -> None:
    _, page = page_of(history)
    assert status in page.text
    assert reason in page.text
    assert bool(page.paths("curve")) == curve


def test_values_that_are_not_finite_leave_gaps() -> None:
    _, page = page_of(History(range(9), [3, 2, np.nan, 2, 2, 1, np.inf, 1, 1]))
    assert page.paths("curve")[0].count("m") == 3
    assert page.paths("lost")[0].count("M") == 2
    assert "first at step 2" in page.text


def test_gradient_norm_has_its_own_line_at_its_own_steps() -> None:
    history = History(range(200), LOSS, LOSS[:50] * 9, grad_step=range(0, 200, 4))
    _, page = page_of(history)
    assert len(vertices(page.paths("gradient")[0])) == 50
    assert "grad_norm" in page.text


def test_gradient_norm_alone_is_the_curve() -> None:
    _, page = page_of(History(range(200), grad_norm=LOSS))
    assert page.paths("curve")
    assert not page.paths("gradient")


@pytest.mark.parametrize("points", [1_000, 100_000, 1_000_000])
def test_a_long_run_keeps_its_spikes_and_stays_small(points: int) -> None:
    loss = np.random.default_rng(0).normal(2.0, 0.1, points)
    loss[points // 3], loss[points // 2] = 9.0, -5.0
    data, page = page_of(History(range(points), loss, loss))
    drawn = vertices(page.paths("curve")[0])[:, 1]
    assert len(data) <= 60_000
    # the ends of the value axis lie 5 % of the range beyond the spikes
    assert drawn.min() == pytest.approx(HEIGHT * 0.05 / 1.1, abs=1)
    assert drawn.max() == pytest.approx(HEIGHT * 1.05 / 1.1, abs=1)
    assert (drawn < HEIGHT / 4).sum() == 1


@pytest.mark.parametrize(("points", "period"), [(1_999, 2), (1_000_000, 700), (1_000_000, 2)])
def test_many_gaps_and_long_names_stay_small(points: int, period: int) -> None:
    row = np.arange(points)
    loss = np.where(row % period < period / 2, np.random.default_rng(0).random(points), np.nan)
    long = '"' * 900
    history = History(row, loss, loss, loss_key=long, grad_norm_key=long, warnings=(long,) * 12)
    data, _ = page_of(history, RunRef(long, long, long))
    assert len(data) <= 60_000


def test_rows_in_any_order_give_the_same_page() -> None:
    order = np.random.default_rng(0).permutation(200)
    step = np.arange(200)
    assert page_of(History(step, LOSS))[0] == page_of(History(step[order], LOSS[order]))[0]
