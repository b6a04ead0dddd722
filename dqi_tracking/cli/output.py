"""What commands print: data on stdout, talk on stderr, nothing from a tracker unescaped."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dqi_tracking.cli.options import Format
from dqi_tracking.report.printable import printable
from dqi_tracking.types import COMPONENTS, PHASES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.console import Console

    from dqi_tracking.trackers.base import View
    from dqi_tracking.types import Outcome, RunRef, Stamp

WIDE = 240
"""Columns of a table that goes into a pipe or a file, where nothing may be cut."""

_NUMBERS = {"#", "runs", "points", "dqi", "dqi_raw", *(f"dqi_{p}" for p in PHASES), *COMPONENTS}


def complain(message: str, fix: str) -> None:
    """Print an error and what to do about it, two lines, on stderr."""
    talk(f"error: {printable(message)}")
    if fix:
        talk(f"fix: {printable(fix)}")


def talk(text: str) -> None:
    """Print a line on stderr."""
    sys.stderr.write(f"{text}\n")


def say(text: str) -> None:
    """Print a line on stdout."""
    sys.stdout.write(f"{text}\n")


def stamp_row(ref: RunRef, stamp: Stamp | None) -> dict[str, Any]:
    """Return a run and what stands on it, under the names of every tracker."""
    row: dict[str, Any] = {"run": ref.run_id, "name": ref.name, "group": ref.group}
    if stamp is not None:
        row.update(stamp.metrics)
        row.update({f"dqi_{fact}": value for fact, value in stamp.facts.items()})
    return row


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Return what became of a run, under the names of every tracker."""
    row = stamp_row(outcome.ref, outcome.stamp)
    row["outcome"] = outcome.outcome
    row["reason"] = outcome.reason
    row["warnings"] = list(outcome.score.warnings) if outcome.score else []
    return row


def runnable(program: str) -> str:
    """Return how the person at this terminal starts a program that is installed with this one."""
    if shutil.which(program):
        return program
    installed = Path(sys.executable).with_name(program)
    here = Path.cwd()
    return str(installed.relative_to(here) if installed.is_relative_to(here) else installed)


def print_link(what: str, view: View, print_line: Callable[[str], None]) -> None:
    """Print where the tracker's own UI shows something, and what starts the UI."""
    if view.url:
        print_line(f"{what}: {view.url}")
    if view.command:
        command = view.command.replace("mlflow ui", f"{runnable('mlflow')} ui")
        print_line(f"start its UI first: {command}")


class Rows:
    """Rows on stdout as they come, or at the end as a table.

    Parameters
    ----------
    format : Format
    shown : sequence of str
        Columns of the table. JSON has all there is; CSV too, under `columns`.
    columns : sequence of str
        Columns of the CSV.
    """

    def __init__(self, format: Format, shown: Sequence[str], columns: Sequence[str]) -> None:  # noqa: A002
        self._format = format
        self._shown = shown
        self._kept: list[Mapping[str, Any]] = []
        self._csv = csv.DictWriter(sys.stdout, columns, restval="", extrasaction="ignore")
        if format is Format.CSV:
            self._csv.writeheader()

    def add(self, row: Mapping[str, Any]) -> None:
        """Print a row, or keep it for the table."""
        if self._format is Format.JSON:
            say(json.dumps({key: _json(value) for key, value in row.items()}))
        elif self._format is Format.CSV:
            self._csv.writerow({key: _csv(value) for key, value in row.items()})
        else:
            self._kept.append(row)
        sys.stdout.flush()

    def close(self) -> None:
        """Print the table, if that is the format and there is a row."""
        if self._kept:
            print_table(self._kept, self._shown)


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print a table on stdout: numbers to four places, names in full."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numeric = column in _NUMBERS
        head = column.removeprefix("dqi_") if column != "dqi_status" else "score"
        table.add_column(head, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(column, ""))) for column in columns))
    console().print(table)


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


def cell(value: object) -> str:
    """Return a value as a table shows it; a number that is none as a dash."""
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4f}"
    return printable(str(value))


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return printable(value) if isinstance(value, str) else value
