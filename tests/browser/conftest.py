"""Fixtures: Debian's chromium, watched pages in it, and an MLflow server with scored runs.

`page` is empty, `page_of(path)` opens a file; either fails the test that used it where the page
complained. DQI_PICTURES names a folder that `picture` puts screenshots into.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.served_runs import ServedRuns, served_runs
from tests.browser.watching import Watched

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # a route of playwright's would do it too, but with one it keeps nothing in its cache
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
SIZE = {"width": 1600, "height": 900}
WIDTH = 1200
COLOURS = 256
PICTURES = os.environ.get("DQI_PICTURES", "")
"""Read before the tests' own environment takes the developer's away."""
SECONDS = 60
"""A busy machine takes a while for ten megabytes of scripts."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put all tests that use the browser into one xdist group: one worker starts it."""
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("browser"))


# of the package, not the session: while it runs, its event loop is in the way of others' loops
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Give a browser that reaches 127.0.0.1 alone."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """Give one profile for all tests: MLflow's scripts are loaded and compiled once."""
    context = chromium.new_context(viewport=SIZE)
    context.set_default_timeout(SECONDS * 1_000)
    yield context
    context.close()


@pytest.fixture
def watched(context: BrowserContext) -> Iterator[Watched]:
    """Give a page with nothing remembered from other tests; what it complains of is only kept."""
    watched = Watched(context.new_page())
    yield watched
    if watched.page.url.startswith("http"):
        watched.page.evaluate("localStorage.clear()")
    watched.page.close()


@pytest.fixture
def page(watched: Watched) -> Iterator[Page]:
    """Give an empty page, and fail the test where it complained in the end."""
    yield watched.page
    assert watched.problems == []


@pytest.fixture
def page_of(page: Page) -> Callable[[Path], Page]:
    """Give a function that opens a local HTML file, with the same checks."""

    def opened(path: Path) -> Page:
        page.goto(path.absolute().as_uri())
        return page

    return opened


@pytest.fixture(scope="package")
def runs(
    chromium: Browser,
    tmp_path_factory: pytest.TempPathFactory,
    session_environment: Mapping[str, str],
    sqlite_template: Path,
) -> Iterator[ServedRuns]:
    """Give a real MLflow server with the demo's runs and with some of hostile names, all scored."""
    with served_runs(tmp_path_factory.mktemp("browser"), sqlite_template) as served:
        yield served


@pytest.fixture
def picture(page: Page) -> Callable[[str, int], None]:
    """Give a function that keeps a small PNG of the page, where a folder for it is named."""

    def taken(name: str, height: int) -> None:
        if not PICTURES:
            return
        from PIL import Image

        # the panel that MLflow opens on a first visit
        assistant = page.get_by_role("button", name="Close", exact=True)
        if page.get_by_text("MLflow Assistant").count() and assistant.count():
            assistant.first.click()
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.wait_for_timeout(500)  # the layout moves for a while
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        image.quantize(COLOURS).save(folder / f"{name}.png", optimize=True)

    return taken
