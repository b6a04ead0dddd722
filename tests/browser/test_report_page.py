"""The page of `dqi report`, with its scripts and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from dqi_tracking.demo import EXPERIMENT
from dqi_tracking.reporting import report
from tests.browser.served_runs import HOSTILE, NAMES, ServedRuns

Opened = Callable[[Path], Page]
DOTS = "#phases .points path.point"


def written(runs: ServedRuns, folder: Path, experiment: str, *, scripts: bool) -> Path:
    path = folder / "report.html"
    path.write_text(report(f"mlflow:{experiment}", scripts=scripts, settings=runs.settings))
    return path


def test_each_run_is_a_dot_that_tells_its_name(
    runs: ServedRuns, page_of: Opened, tmp_path: Path, picture: Callable[[str, int], None]
) -> None:
    page = page_of(written(runs, tmp_path, EXPERIMENT, scripts=True))
    page.locator(DOTS).first.wait_for()
    table = runs.table()
    assert page.locator(DOTS).count() == table["dqi"].notna().sum()
    page.locator(DOTS).first.hover(force=True)
    label = page.locator("#phases .hovertext").first
    label.wait_for()
    assert any(str(name) in (label.text_content() or "") for name in table["name"])
    # ten of the highest and ten of the lowest, each with its curve and its page in MLflow
    assert page.locator("table svg path").count() >= 20
    links = page.locator("table a").evaluate_all("every => every.map(each => each.href)")
    assert links
    assert all(link.startswith(runs.uri) for link in links)
    page.evaluate("scrollTo(0, 0)")
    picture("dqi-report", 1180)


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_names_are_text(
    runs: ServedRuns, page_of: Opened, tmp_path: Path, scripts: bool
) -> None:
    page = page_of(written(runs, tmp_path, HOSTILE, scripts=scripts))
    if scripts:
        page.locator(DOTS).first.wait_for()
        for dot in page.locator(DOTS).all():
            dot.hover(force=True)
            page.locator("#phases .hovertext").first.wait_for()
            assert page.locator("#phases .hovertext").locator("script, img, a").count() == 0
    else:
        assert page.locator("script").count() == 0
        assert page.locator("svg").count() > 0
    text = page.locator("body").inner_text()
    assert page.locator("img").count() == 0
    assert all(name in text for name in NAMES[:2] + NAMES[3:5])
    assert "\x1b" not in text


def test_it_fits_a_phone(runs: ServedRuns, page_of: Opened, tmp_path: Path) -> None:
    page = page_of(written(runs, tmp_path, EXPERIMENT, scripts=False))
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
