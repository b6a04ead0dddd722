"""Columns that a person names on the command line: as numbers, and whether any run has them."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

from dqi_tracking.errors import ConfigError
from dqi_tracking.report.printable import printable
from dqi_tracking.trackers.base import Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dqi_tracking.trackers.base import Tracker

_LOOKED_AT = 50
"""Runs whose columns are named where one that was asked for is on none."""
_NAMED = 8
"""Columns that an error names."""


def number_of(text: str | None) -> float:
    """Return a column's text as a number; NaN where it is none, or not there."""
    try:
        return math.nan if text is None else float(text)
    except ValueError:
        return math.nan


def unknown_column(tracker: Tracker, column: str, query: Query, *, is_number: bool) -> ConfigError:
    """Return the error of a column that no run has, which names those there are.

    Parameters
    ----------
    tracker : Tracker
        Open; its first runs are listed once more.
    column : str
    query : Query
        That which found no run with the column.
    is_number : bool
        Whether a number was asked for: other columns are then not named.

    Returns
    -------
    ConfigError
        Its fix names the likeliest columns first, none of ours and none of the tracker's own.
    """
    asked = Query(query.where, query.include_failed, limit=_LOOKED_AT, columns=("*",))
    names: dict[str, None] = {}
    for ref in tracker.find(asked):
        for name, value in ref.columns.items():
            if _is_persons(name) and not (is_number and math.isnan(number_of(value))):
                names[name] = None
    told = ", ".join(f"`{printable(name)}`" for name in _nearest(column, names))
    return ConfigError(
        f"no run has `{printable(column)}`",
        fix=f"name one that is there: {told}" if told else "log it on the runs first",
    )


def _is_persons(name: str) -> bool:
    """Tell whether a column is neither ours nor the tracker's own."""
    key = name.partition(".")[2] or name
    return not key.startswith(("dqi", "_", "mlflow."))


def _nearest(column: str, names: Iterable[str]) -> list[str]:
    def likeness(name: str) -> float:
        return difflib.SequenceMatcher(None, column.casefold(), name.casefold()).ratio()

    return sorted(names, key=lambda name: (-likeness(name), name))[:_NAMED]
