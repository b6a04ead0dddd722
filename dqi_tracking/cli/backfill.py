"""`dqi backfill`: find what is not scored, score it, write it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import stop_on_signals
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, outcome_row
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.cli.summary import exit_code, print_report

if TYPE_CHECKING:
    from dqi_tracking.types import Outcome


def backfill(
    address: options.Address,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and score, but write nothing.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-n", help="Runs worked on at the same time.")
    ] = None,
    reprocess: Annotated[
        str, typer.Option(help="missing: what is new or changed; all: everything again.")
    ] = "missing",
    verify: Annotated[
        bool, typer.Option("--verify", help="Read even runs that look unchanged, and compare.")
    ] = False,
    where: options.Where = "",
    since: Annotated[
        str | None, typer.Option(help="Runs that ended since: 7d, 12h, or 2026-01-31.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, newest first.")] = None,
    include_failed: options.IncludeFailed = False,
    include_running: options.IncludeRunning = False,
    tracking_uri: options.TrackingUri = None,
    loss_key: options.LossKey = None,
    grad_norm_key: options.GradNormKey = None,
    step_key: options.StepKey = None,
    nan_policy: options.NanPolicyName = None,
    units: options.UnitsName = None,
    duplicates: options.DuplicatesName = None,
    no_files: options.NoFiles = False,
    no_artifact: options.NoArtifact = False,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Find the runs that are not scored yet, score them, and write the scores back."""
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.backfill import backfill as run_backfill
    from dqi_tracking.ranking import COLUMNS
    from dqi_tracking.trackers.base import Query

    query = Query(where, include_failed, include_running, options.since_of(since), limit)
    rows = Rows(form, (), ("outcome", "reason", "warnings", *COLUMNS))
    with stop_on_signals() as stop, progress_bar("scoring") as bar:

        def note(outcome: Outcome) -> None:
            if form is not Format.TABLE:
                rows.add(outcome_row(outcome))
            bar.advance()

        report = run_backfill(
            address,
            query=query,
            dry_run=dry_run,
            reprocess=reprocess,
            verify=verify,
            files=not no_files,
            settings=settings,
            on_plan=bar.plan,
            on_outcome=note,
            stop=stop,
        )
    print_report(report, form)
    return exit_code(report, stop)
