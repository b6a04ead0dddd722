"""`dqi/phases.html` in MLflow's own viewer of artifacts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import FrameLocator, Page

from tests.browser.served_runs import HOSTILE, NAMES, ServedRuns


def phases(page: Page, runs: ServedRuns, experiment: str, run_id: str) -> FrameLocator:
    """Open the page of a run's phases in the viewer, and return the frame that it stands in."""
    page.goto(runs.page(f"{experiment}/runs/{run_id}/artifacts/dqi/phases.html"))
    frame = page.frame_locator("iframe").first
    frame.locator("svg").first.wait_for()
    return frame


def test_it_shows_the_curve_and_the_phases(
    runs: ServedRuns, page: Page, picture: Callable[[str, int], None]
) -> None:
    table = runs.table().set_index("name", drop=False)
    run = table.loc["wmt_jax-baseline-trial_5"]
    frame = phases(page, runs, runs.demo, run["run"])
    text = frame.locator("body").inner_text().lower()
    for told in (run["name"], "early", "mid", "late", run["dqi_weakest"], f"{run['dqi']:.3f}"):
        assert told.lower() in text
    assert frame.locator("script").count() == 0
    box = frame.locator("svg").first.bounding_box()
    assert box is not None
    assert box["width"] > 300
    picture("mlflow-phases", 1180)


@pytest.mark.parametrize("name", NAMES[:3], ids=["script", "image", "escape"])
def test_hostile_names_do_nothing(runs: ServedRuns, page: Page, name: str) -> None:
    table = runs.table(HOSTILE).set_index("name")
    frame = phases(page, runs, runs.hostile, str(table.loc[name, "run"]))
    assert frame.locator("script, img").count() == 0
    assert "\x1b" not in frame.locator("body").inner_text()
