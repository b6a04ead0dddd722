"""Figures for papers: what they show, read from the SVG and from the pixels, and their bytes."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from dqi_tracking.engine import score
from dqi_tracking.report.plots import plot
from dqi_tracking.types import History, Score

SVG = "{http://www.w3.org/2000/svg}"
STEPS = np.arange(300)
LOSS = 3 * np.exp(-STEPS / 60) + 1 + 0.05 * np.sin(STEPS**2)
NORM = 1 + 0.5 * np.cos(STEPS)
HISTORY = History(STEPS * 10, LOSS, NORM)
SCORE = score(HISTORY)
NAMES = [
    r"$x_1$ \alpha $ 50% {b} #1 ^2 a_b",
    "\x1b[31mred\x1b]0;t\x07 <script>alert('x')</script> & \" \u202egpj",
    "تدريب 训练 학습 🚀 हिन्दी",
    "x" * 200,
    "训" * 200,
    "",
    "\ud800\ufffe\x00",
]


class Drawing:
    """An SVG taken apart."""

    def __init__(self, data: bytes) -> None:
        self.root = ET.fromstring(data.decode())
        self.texts = ["".join(text.itertext()) for text in self.root.iter(f"{SVG}text")]

    def has(self, name: str) -> bool:
        return any(each.get("id") == name for each in self.root.iter())

    def vertices(self, name: str) -> list[list[tuple[float, float]]]:
        """Return the lines of a path, each as its vertices; y is downwards."""
        (group,) = [each for each in self.root.iter(f"{SVG}g") if each.get("id") == name]
        path = group.find(f"{SVG}path")
        assert path is not None
        found = []
        for line in (path.get("d") or "").split("M")[1:]:
            numbers = [float(word) for word in line.replace("L", " ").split() if word != "z"]
            found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
        return found


def drawn(history: History = HISTORY, made: Score | None = None, name: str = "run") -> Drawing:
    picture = plot(history, made or score(history), name=name, format="svg")
    assert picture is not None
    return Drawing(picture)


def test_the_figure_shows_curve_norm_phases_and_their_scores() -> None:
    drawing = drawn(name="my run")
    assert drawing.texts[-1] == f"DQI {SCORE.dqi:.4f} · my run"
    assert {"loss", "grad_norm", "step", "0", "1,000", "2,000"} <= set(drawing.texts)
    for name, phase in SCORE.phases.items():
        assert drawing.has(f"phase-{name}")
        assert f"{name} {phase.dqi:.3f}" in drawing.texts
        assert f"from {phase.start_step:,.0f}" in drawing.texts
    ((left, *_, right),) = drawing.vertices("curve")
    for name, step in zip(("mid", "late"), SCORE.boundary_steps or (), strict=True):
        ((start, _),) = drawing.vertices(f"boundary-{name}")
        assert start[0] == pytest.approx(left[0] + (right[0] - left[0]) * step / 2990, abs=0.01)
    assert len(drawing.vertices("gradient")[0]) == 300
    assert not drawing.has("lost")
    # of a run with neither there is neither
    bare = drawn(History([0, 1], [2, 1]))
    assert not any(map(bare.has, ("gradient", "phase-early", "boundary-mid", "lost")))
    assert "DQI 0.0000 (too short) · run" in bare.texts


def test_a_million_points_keep_their_spikes() -> None:
    loss = np.ones(1_000_000)
    loss[333_333], loss[777_777] = -7.0, 9.0
    (line,) = drawn(History(range(1_000_000), loss), SCORE).vertices("curve")
    assert len(line) < 3000
    x, y = np.array(line).T
    assert (x[y.argmin()] - x[0]) / (x[-1] - x[0]) == pytest.approx(0.777_777, abs=0.002)
    assert (x[y.argmax()] - x[0]) / (x[-1] - x[0]) == pytest.approx(0.333_333, abs=0.002)
    assert y.min() < y.max() - 100


def test_values_that_are_not_finite_are_marked_and_the_line_is_broken() -> None:
    loss = np.where((STEPS >= 100) & (STEPS < 150), np.nan, LOSS)
    loss[[200, 202]] = np.inf
    history = History(STEPS, loss)
    for policy in ("propagate", "omit"):
        drawing = drawn(history, score(history, nan_policy=policy))
        # the lone point between the two has no line, but a dot
        assert [len(line) for line in drawing.vertices("curve")][:3] == [100, 50, 1]
        assert {"not finite", "from 100"} <= set(drawing.texts)
        assert drawing.has("lost")
        assert drawing.has("phase-early") == (policy == "omit")
    assert "no DQI (nan) · run" in drawn(history).texts


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_comes_out_as_typed_or_cut(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("png", "svg"):
            history = History(STEPS, LOSS, NORM, loss_key=name, grad_norm_key=name)
            picture = plot(history, SCORE, name=name, format=kind, step_label=name)
            assert picture is not None
    title = drawn(name=name).texts[-1].partition(" · ")[2]
    typed = name.translate(dict.fromkeys([27, 7, 0, 0x202E, 0xD800, 0xFFFE]))
    assert title == typed or (title.endswith("…") and typed.startswith(title[:-1]))
    assert (title == typed) == (len(typed) < 60)
    assert "script" not in {each.tag.removeprefix(SVG) for each in drawn(name=name).root.iter()}


def test_the_same_run_gives_the_same_bytes_without_a_date(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ("png", "svg", "pdf")
    first = [plot(HISTORY, SCORE, name="run", format=kind) for kind in kinds]
    import matplotlib as mpl

    # a person's own settings have no part in it, and stay as they are
    monkeypatch.setitem(mpl.rcParams, "text.usetex", True)
    monkeypatch.setitem(mpl.rcParams, "font.size", 30.0)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1234567890")
    assert [plot(HISTORY, SCORE, name="run", format=kind) for kind in kinds] == first
    assert mpl.rcParams["text.usetex"]
    assert mpl.rcParams["font.size"] == 30.0
    for picture in first:
        assert picture is not None
        assert not re.search(rb"20\d\d-\d\d|CreationDate|atplotlib v", picture)


def test_nothing_takes_pyplot() -> None:
    code = (
        "import sys\nfrom dqi_tracking import History, score\n"
        "from dqi_tracking.report.plots import plot\nh = History(range(9), range(9))\n"
        "assert 'matplotlib' not in sys.modules\n"
        "assert plot(h, score(h), name='a', format='png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("size", [(3.5, 2.6), (2.0, 2.0), (7.0, 3.0)])
def test_a_png_has_the_size_and_the_colours(size: tuple[float, float]) -> None:
    picture = plot(HISTORY, SCORE, name="run", format="png", size=size)
    assert picture is not None
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (round(size[0] * 300), round(size[1] * 300))
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
    # the squares of the legend, the ground, and the curve
    assert {(0, 114, 178), (230, 159, 0), (0, 158, 115), (255, 255, 255), (26, 29, 33)} <= colours


def test_a_pdf_has_its_size_in_points_and_embeds_its_font() -> None:
    picture = plot(HISTORY, SCORE, name="run", format="pdf") or b""
    assert picture.startswith(b"%PDF-")
    assert b"/MediaBox [ 0 0 252 187.2 ]" in picture
    assert b"/FontFile2" in picture


def test_where_words_are_too_long_for_one_row_they_take_two() -> None:
    def rows(history: History, size: tuple[float, float]) -> int:
        picture = plot(history, score(history), name="r", format="svg", size=size)
        root = ET.fromstring((picture or b"").decode())
        legend = next(each for each in root.iter() if each.get("id") == "legend_1")
        texts = [text for text in legend.iter(f"{SVG}text") if (text.text or "").startswith("from")]
        heights = {
            re.findall(r"translate\(\S+ (\S+)\)", text.get("transform") or "")[0] for text in texts
        }
        return len(heights)

    assert rows(HISTORY, (3.5, 2.6)) == 1
    assert rows(HISTORY, (2.0, 2.0)) == 2
    assert rows(History(STEPS * 1.2345678e149, LOSS), (2.5, 2.0)) == 2


@given(
    rows=st.lists(
        st.tuples(
            st.floats(-1e150, 1e150) | st.integers(0, 9), *[st.floats() | st.floats(0, 9)] * 2
        ),
        max_size=30,
    ),
    size=st.tuples(*[st.floats(2, 8)] * 2),
)
@example(rows=[(0, 1e300, 1), (1, -1e300, 2), (2, 1.7e308, -1.7e308)], size=(3.5, 2.6))
@example(rows=[(7, 2, 2)] * 9, size=(2, 2))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_any_run_is_drawn_or_has_nothing_to_draw(
    rows: list[tuple[float, float, float]], size: tuple[float, float]
) -> None:
    history = History(*zip(*rows, strict=True)) if rows else History([])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = plot(history, score(history), name="run", format="svg", size=size)
    # of the rows at one step the last is read
    last = {step: loss for step, loss, _ in rows}
    assert (picture is not None) == any(map(np.isfinite, last.values()))
    if picture is not None:
        assert Drawing(picture).has("curve")
        assert not re.search(rb'(?<![\w-])(nan|inf)(?!\w)[^<>"]*"', picture.split(b"<defs>")[1])
