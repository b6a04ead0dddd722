"""`dqi unscore`: take off runs what DQI wrote on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import stop_on_signals
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, outcome_row, talk
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.cli.summary import exit_code, print_report
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.types import Outcome

COLUMNS = ("run", "name", "group", "outcome", "reason")


def unscore(
    address: options.Address,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be taken off, but take off nothing.")
    ] = False,
    where: options.Where = "",
    tracking_uri: options.TrackingUri = None,
    no_artifact: options.NoArtifact = False,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Take the scores off runs of any status again; on MLflow, metrics cannot be deleted."""
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.unscoring import unscore as run_unscore

    rows = Rows(form, (), COLUMNS)
    with stop_on_signals() as stop, progress_bar("unscoring") as bar:

        def note(outcome: Outcome) -> None:
            if form is not Format.TABLE:
                rows.add(outcome_row(outcome))
            bar.advance(outcome.outcome)

        report = run_unscore(
            address,
            where=where,
            dry_run=dry_run,
            settings=settings,
            on_plan=bar.plan,
            on_outcome=note,
            on_note=lambda text: talk(f"note: {printable(text)}"),
            stop=stop,
        )
    if form is not Format.TABLE:
        # the table has a line for it
        for (outcome, reason), count in sorted(report.reasons.items()):
            if outcome == "unscored" and reason:
                talk(f"{count:,} {'run' if count == 1 else 'runs'}: {reason}")
    print_report(report, form, "unscored")
    return exit_code(report, stop)
