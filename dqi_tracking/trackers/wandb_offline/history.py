"""The points of the metrics that matter, out of a run's history records."""

from __future__ import annotations

import json
import math
from array import array
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dqi_tracking.trackers.histograms import PARTS, is_gradient, logged_norm
from dqi_tracking.trackers.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = "_step"
"""The item that holds the row's step."""
OWN = frozenset({STEP, "_runtime", "_timestamp"})
"""Items that the client adds to each row."""
MAX_DEPTH = 8
"""How deep a dictionary is looked into."""

_TYPE = "._type"
_HISTOGRAM = '"histogram"'
"""What the client writes into the item of a histogram's type."""
_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class NoNumber(NamedTuple):
    """A value that is not a number, as it was logged, and its step."""

    text: str
    step: float


class Column:
    """The points of one metric, 16 bytes each, in the order of logging.

    Parameters
    ----------
    norms : bool
        Whether of a histogram the norm of what it was made of is a point.
    """

    __slots__ = ("no_number", "norms", "step", "value")

    def __init__(self, *, norms: bool = False) -> None:
        self.norms = norms
        self.step = array("d")
        self.value = array("d")
        self.no_number: NoNumber | None = None

    def add(self, step: float, text: str) -> None:
        """Add a value in JSON. NaN and infinity count, written as tokens or strings.

        Of values that are no number the first is kept, to be told. `null` says that nothing was
        logged, and a dictionary is an image, a table, a histogram or other metrics.
        """
        try:
            value = float(text)
        except ValueError:
            norm = logged_norm(text) if self.norms else None
            value = _value(text) if norm is None else norm
            if value is None:
                return
            if not isinstance(value, float):
                self.no_number = self.no_number or NoNumber(text[:40], step)
                return
        self.step.append(step)
        self.value.append(value)


class Columns:
    """Collects the metrics that may matter, row by row.

    Parameters
    ----------
    concerns : callable
        Tells of a metric's name whether it may.
    norms : bool
        Whether of a gradient's histogram the norm is a point.

    Attributes
    ----------
    n_rows : int
        History records taken in.
    by_name : dict of str to Column
        The metrics that were met.
    """

    def __init__(self, concerns: Callable[[str], bool], *, norms: bool = False) -> None:
        self.n_rows = 0
        self.by_name: dict[str, Column] = {}
        self._concerns = concerns
        self._norms = norms
        self._histograms: set[str] = set()
        # names come again in every row: ask once
        self._known: dict[str, Column | None] = {}

    def add(self, history: Any) -> None:
        """Take in one history record."""
        self.n_rows += 1
        step: float = history.step.num
        met: list[tuple[Column, str]] = []
        parts: dict[str, list[str]] = {}
        known = self._known
        for item in history.item:
            name = item.key or ".".join(item.nested_key)
            if name == STEP:
                step = _step(item.value_json, step)
            column = known[name] if name in known else self._meet(name, item.value_json)
            if column is not None:
                met.append((column, item.value_json))
            if self._norms:
                whole, _, part = name.rpartition(".")
                # the client takes a histogram apart: an item a part
                if part in PARTS and self._concerns(whole):
                    parts.setdefault(whole, []).append(f'"{part}":{item.value_json}')
            # older clients kept a dictionary in one item
            if item.key and item.value_json.startswith("{"):
                met.extend(self._inside(name, item.value_json))
        for whole, texts in parts.items():
            column = self._meet(whole)
            if column is not None:
                met.append((column, "{" + ",".join(texts) + "}"))
        for column, text in met:
            column.add(step, text)

    @property
    def names(self) -> list[str]:
        """Names of all that was met, whether it matters or not; of a histogram its own alone."""
        found = [name for name in self._known if not self._is_part(name)]
        return found + sorted(self._histograms.difference(found))

    def series(self, name: str) -> Series:
        """Return one metric's points; none for a metric that was not met."""
        column = self.by_name.get(name) or Column()
        return Series(*(np.array(part, dtype=np.float64) for part in (column.step, column.value)))

    def _meet(self, name: str, text: str = "") -> Column | None:
        if text == _HISTOGRAM and name.endswith(_TYPE):
            self._histograms.add(name.removesuffix(_TYPE))
        column = None
        if self._concerns(name):
            norms = self._norms and is_gradient(name)
            column = self.by_name.setdefault(name, Column(norms=norms))
        self._known[name] = column
        return column

    def _is_part(self, name: str) -> bool:
        whole, _, part = name.rpartition(".")
        return part in PARTS and whole in self._histograms

    def _inside(self, name: str, text: str) -> list[tuple[Column, str]]:
        found: list[tuple[Column, str]] = []
        left = [(name, _parsed(text), 0)]
        while left:
            name, value, depth = left.pop()
            if isinstance(value, dict):
                if "_type" not in value and depth < MAX_DEPTH:
                    left.extend((f"{name}.{key}", part, depth + 1) for key, part in value.items())
            elif depth:
                column = self._known[name] if name in self._known else self._meet(name)
                if column is not None:
                    found.append((column, json.dumps(value)))
        return found


def _step(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise


def _parsed(text: str) -> Any:
    """Return a value of JSON; text that is none stays text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _value(text: str) -> float | str | None:
    """Return what `float` does not take: a number, None where nothing was logged, or text."""
    value = _parsed(text)
    if value is None or isinstance(value, dict):
        return None
    return _NON_FINITE.get(value, text) if isinstance(value, str) else text
