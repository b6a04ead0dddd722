"""A validation in a terminal: verdict first, then what it rests on, in the tables of its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.cli.table import console, ruled_table
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from dqi_tracking.insight.validation import ValidationReport
    from dqi_tracking.report.validation_tables import Table


def print_validation(report: ValidationReport) -> None:
    """Print a validation on stdout; in a terminal its lines are folded at words."""
    from dqi_tracking.report.validation import QUESTION, TITLE, facts
    from dqi_tracking.report.validation_tables import tables

    out = console()
    out.print(f"{TITLE}: {printable(report.question) or QUESTION}\n")
    out.print(f"Verdict: {report.verdict}.", style="bold", end=" ")
    out.print(printable(report.sentence))
    for caution in report.cautions:
        out.print(f"- {printable(caution)}")
    for table in tables(report):
        out.print(f"\n{table.title}", style="bold")
        if table.note:
            out.print(table.note)
        out.print(_drawn(table))
    out.print()
    for name, text in facts(report):
        out.print(f"{name}: {text}")


def _drawn(table: Table) -> RichTable:
    from rich.text import Text

    drawn = ruled_table()
    for at, heading in enumerate(table.head):
        drawn.add_column(heading, justify="right" if at in table.numbers else "left")
    for row in table.rows:
        drawn.add_row(*(Text(printable(cell.text)) for cell in row))
    return drawn
