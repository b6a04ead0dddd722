"""What commands print: data on stdout, talk on stderr, nothing from a tracker unescaped."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dqi_tracking.cli.options import Format
from dqi_tracking.cli.table import print_table
from dqi_tracking.names import KEY_OF_FACT
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dqi_tracking.trackers.base import View
    from dqi_tracking.types import Outcome


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


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Return what became of a run, under the names of every tracker."""
    ref, stamp = outcome.ref, outcome.stamp
    row: dict[str, Any] = {"run": ref.run_id, "name": ref.name, "group": ref.group}
    if stamp is not None:
        row.update(stamp.metrics)
        row.update({KEY_OF_FACT[fact]: value for fact, value in stamp.facts.items()})
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


def print_table_link(view: View, print_line: Callable[[str], None], which: str = "") -> None:
    """Print where the tracker shows its table of runs."""
    how = "sorted in the tracker" if view.is_sorted else "in the tracker, to sort by `dqi`"
    print_link(f"{which}{how}", view, print_line)


class Rows:
    """Rows on stdout as they come, or at the end as a table.

    Parameters
    ----------
    format : Format
    shown : sequence of str
        Columns of the table. JSON has all there is; CSV too, under `columns`.
    columns : sequence of str
        Columns of the CSV.
    spare : sequence of str
        Columns of the table that a narrow terminal does without, the first to go first.
    """

    def __init__(
        self,
        format: Format,  # noqa: A002
        shown: Sequence[str],
        columns: Sequence[str],
        spare: Sequence[str] = (),
    ) -> None:
        self._format = format
        self._shown = shown
        self._spare = spare
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
        if not self._kept:
            return
        left_out = print_table(self._kept, self._shown, self._spare)
        if left_out:
            talk(f"no room for {', '.join(left_out)}: widen the terminal, or use --csv")


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _csv(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return printable(value) if isinstance(value, str) else value
