"""A page taken apart, as a test reads it."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
from numpy.typing import NDArray

from dqi_tracking.engine import score
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.report.page import phases_html
from dqi_tracking.types import History, RunRef

VOID = {"meta", "br", "link", "img", "input", "hr"}
LOSS = 3 * np.exp(-np.arange(200) / 30) + 1 + 0.05 * np.sin(np.arange(200) ** 2)


class Page(HTMLParser):
    """A page taken apart; raises where its tags are not balanced.

    Attributes
    ----------
    attributes : list
        Tag and attributes of every element, in order.
    text : str
        All text but the style.
    headings : dict
        Text of `h1` and `title`.
    rows : list
        Class of every cell of every table row.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.headings: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.feed(data.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append(dict(attrs).get("class") or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        for tag in ("h1", "title"):
            if tag in self.open:
                self.headings.setdefault(tag, "")
                self.headings[tag] += data

    def classes(self) -> set[str]:
        """Return all classes of all elements."""
        return {name for _, a in self.attributes for name in (a.get("class") or "").split()}

    def paths(self, kind: str) -> list[str]:
        """Return the `d` of the paths of a class, the one on the linear axis first."""
        return [
            a["d"] or ""
            for t, a in self.attributes
            if t == "path" and (a["class"] or "").split()[0] == kind
        ]


def page_of(history: History, ref: RunRef | None = None) -> tuple[bytes, Page]:
    data = phases_html(
        score(history),
        history,
        ref or RunRef("0af3", "base"),
        insight=insight_of(history),
        scored_at="2026-11-22T01:40:00Z",
    )
    return data, Page(data)


def vertices(path: str) -> NDArray[np.int64]:
    """Return (x, y) of all vertices of a path of relative moves, y 0 at the top."""
    moves = [int(word) for word in path.replace("h0", "").replace("m", " ").split()]
    return np.cumsum(np.array(moves, dtype=np.int64).reshape(-1, 2), axis=0)
