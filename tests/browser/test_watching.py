"""The checks of the other tests: a page that does one of these things is caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.watching import Watched


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<script>alert('hello')</script>", "dialog: hello"),
        ("<script>throw new Error('broken')</script>", "error: broken"),
        ("<script>console.error('wrong')</script>", "console: wrong"),
        ("<img src='http://192.0.2.1/x.png'>", "request: http://192.0.2.1/x.png"),
        ("<img src='https://example.org/x.png'>", "request: https://example.org/x.png"),
    ],
)
def test_a_page_that_misbehaves_is_caught(
    watched: Watched, tmp_path: Path, body: str, problem: str
) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><title>x</title>{body}")
    answers: list[str] = []
    watched.page.on("response", lambda response: answers.append(response.url))
    watched.page.goto(file.as_uri())
    watched.page.wait_for_load_state("networkidle")
    assert any(each.startswith(problem) for each in watched.problems)
    assert all(url.startswith("file:") for url in answers)


def test_a_quiet_page_is_not(
    watched: Watched, page_of: Callable[[Path], Page], tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!doctype html><title>x</title><script>console.log('fine')</script>")
    assert (page_of(file).title(), watched.problems) == ("x", [])
