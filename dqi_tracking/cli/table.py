"""Tables on a terminal: no cell is ever cut or folded, columns go instead."""

from __future__ import annotations

import math
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dqi_tracking.names import STANDING
from dqi_tracking.report.printable import printable
from dqi_tracking.types import PHASES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

WIDE = 240
"""Columns of a table that goes into a pipe or a file, where nothing may be cut."""

_NUMBERS = {
    "#",
    "runs",
    "points",
    "dqi",
    "dqi_raw",
    *(f"dqi_{phase}" for phase in PHASES),
    *STANDING,
    "dqi_cohort_size",
}


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], spare: Sequence[str] = ()
) -> list[str]:
    """Print a table on stdout: numbers to four places, names in full, no empty column.

    Parameters
    ----------
    rows : sequence of mapping
    columns : sequence of str
        Keys of the rows, in order.
    spare : sequence of str
        Columns to do without where the terminal is too narrow, the first to go first.

    Returns
    -------
    list of str
        Headings of the columns that found no room.
    """
    out = console()
    shown = [column for column in columns if any(cell(row.get(column, "")) for row in rows)]
    going = [column for column in spare if column in shown]
    left_out: list[str] = []
    # measured without a limit: rich takes a table that it would fold for one that fits
    unlimited = out.options.update(max_width=sys.maxsize)
    table = _table(rows, shown)
    while going and out.measure(table, options=unlimited).maximum > out.width:
        left_out.append(_heading(going[0]))
        shown.remove(going.pop(0))
        table = _table(rows, shown)
    out.print(table)
    return left_out


def console() -> Console:
    """Return a console on stdout: as wide as the terminal, or wide enough for a file."""
    from rich.console import Console

    plain = partial(
        Console, color_system=color_system(), highlight=False, markup=False, emoji=False
    )
    return terminal if (terminal := plain()).is_terminal else plain(width=WIDE)


def color_system() -> Literal["auto"] | None:
    """Return how rich is to style: not at all where `NO_COLOR` is set, not even in bold."""
    return None if os.environ.get("NO_COLOR") else "auto"


def ruled_table() -> Table:
    """Return a table without columns, its head ruled off and nothing around it."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)


def cell(value: object) -> str:
    """Return a value as a table shows it; a number that is none as a dash."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4f}"
    return printable(str(value))


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    from rich.text import Text

    table = ruled_table()
    for column in columns:
        justify = "right" if column in _NUMBERS else "left"
        table.add_column(_heading(column), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(column, ""))) for column in columns))
    return table


def _heading(column: str) -> str:
    return "score" if column == "dqi_status" else column.removeprefix("dqi_")
