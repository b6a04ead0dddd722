"""The fan: what is expected, drawn beside the curve in the terminal and in `--plot`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dqi_tracking.trackers
from dqi_tracking import History, forecast, score
from dqi_tracking.cli import main
from dqi_tracking.insight.fan import fan
from dqi_tracking.report.curve import signal_curve
from dqi_tracking.report.fan import beside
from dqi_tracking.report.glyphs import ASCII
from dqi_tracking.report.plots import plot
from dqi_tracking.report.terminal import draw
from tests.forecast_runs import power_law, settled, turned
from tests.strategies import PROPERTY
from tests.tracker_harness.memory import ENTRY, MemoryHarness

SVG = "{http://www.w3.org/2000/svg}"
RUN = power_law(noise=0.02)
Show = Callable[..., str]


def test_a_fan_is_the_forecast_at_each_of_its_steps() -> None:
    found = fan(RUN, 3000)
    assert found is not None
    assert found.step[-1] == 3000
    assert found.step[0] > RUN.step[-1]
    for number in (0, 11, 23):
        direct = forecast(RUN, float(found.step[number]))
        for name in ("loss", "low80", "high80", "low90", "high90"):
            assert getattr(found, name)[number] == pytest.approx(getattr(direct, name), rel=1e-9)


def test_a_run_that_cannot_be_foretold_has_none() -> None:
    assert fan(History([1, 2], [2, 1]), 100) is None
    assert fan(History([], []), 100) is None
    assert fan(RUN, 10) is None


@PROPERTY
@given(st.sampled_from([RUN, settled(), turned()]), st.floats(1.01, 500), st.floats(1e-9, 1e9))
def test_all_of_a_fan_lies_in_the_picture_after_the_curve(
    run: History, ahead: float, unit: float
) -> None:
    scaled = History(run.step, run.loss * unit)
    found, curve = fan(scaled, 1200 * ahead), signal_curve(scaled, duplicates="last", margin=0)
    assert found is not None
    assert curve is not None
    widened, placed = beside(curve, found, margin=0)
    assert placed.step[-1] == pytest.approx(1)
    assert widened.x[-1] < placed.step[0]
    for name in ("low90", "low80", "loss", "high80", "high90"):
        assert np.all((getattr(placed, name) >= 0) & (getattr(placed, name) <= 1))
    assert np.all(placed.low90 <= placed.high90)
    # the last tenth of the curve is always seen
    assert np.all((widened.y[-12:] >= 0) & (widened.y[-12:] <= 1))


def test_the_terminal_draws_it_right_of_the_run() -> None:
    measured, found = score(RUN), fan(RUN, 2400)
    plain, ahead = (
        [line.plain for line in draw(RUN, measured, width=80, glyphs=ASCII, fan=each)]
        for each in (None, found)
    )
    assert max(map(len, ahead)) <= 80
    # half of the width is the run's, as half of the steps are
    right = ["".join(line[44:]) for line in ahead[1:13]]
    assert sum(bool(set(line) & set("'.:")) for line in right) >= 2
    assert "2,000" in " ".join(ahead)
    assert "2,000" not in " ".join(plain)
    strip = next(line for line in ahead if line.strip().startswith(".="))
    assert len(strip) < 46
    assert draw(RUN, measured, width=80, glyphs=ASCII) == draw(
        RUN, measured, width=80, glyphs=ASCII, fan=None
    )


def test_a_plot_has_the_line_and_both_intervals() -> None:
    picture = plot(RUN, score(RUN), name="run", format="svg", fan=fan(RUN, 2400))
    assert picture is not None
    root = ET.fromstring(picture.decode())
    ids = {each.get("id") for each in root.iter()}
    assert {"forecast", "interval-80", "interval-90", "curve"} <= ids
    words = " ".join("".join(text.itertext()) for text in root.iter(f"{SVG}text"))
    assert "forecast with" in words
    bare = plot(RUN, score(RUN), name="run", format="svg")
    assert bare is not None
    assert b"forecast" not in bare


@pytest.fixture
def show(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Show:
    """Give a function that shows a run of a status."""
    monkeypatch.setitem(dqi_tracking.trackers._BY_SCHEME, "memory", ENTRY)
    monkeypatch.chdir(tmp_path)

    def run(status: str, *options: str, history: History = RUN) -> str:
        assert history.loss is not None
        points = list(zip(history.step.tolist(), history.loss.tolist(), strict=True))
        MemoryHarness().add("one", {"loss": points}, status=status, params={"max_steps": "2000"})
        capsys.readouterr()
        assert main(["show", "memory:", *options]) == 0
        return capsys.readouterr().out

    return run


def test_a_run_that_goes_on_is_forecast_by_itself(show: Show) -> None:
    out = " ".join(show("RUNNING").split())
    expected = forecast(RUN, 2000)
    assert f"{expected.loss:.4g} is expected at step 2000" in out
    assert "in the picture: what is expected as a line" in out
    assert "75 to 100 %" in out
    assert "is expected" not in show("FINISHED")
    assert "is expected" not in show("RUNNING", "--no-forecast")
    assert "is expected" in show("FINISHED", "--forecast")


def test_what_cannot_be_foretold_is_shown_all_the_same(show: Show) -> None:
    flat = History(range(30), np.full(30, 2.0))
    out = show("RUNNING", history=flat)
    assert "no forecast: constant so far" in out
    assert "in the picture" not in out


def test_the_plot_of_show_has_the_fan(show: Show, tmp_path: Path) -> None:
    show("FINISHED", "--forecast", "--plot", "run.svg")
    assert b'id="interval-90"' in (tmp_path / "run.svg").read_bytes()
    show("FINISHED", "--plot", "run.svg")
    assert b'id="interval-90"' not in (tmp_path / "run.svg").read_bytes()
