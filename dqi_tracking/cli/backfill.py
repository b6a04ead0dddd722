"""`dqi backfill`: find what is not scored, score it, write it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode, stop_on_signals
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, complain, outcome_row, say, talk
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.cli.table import print_table

if TYPE_CHECKING:
    from dqi_tracking.backfill.report import Report
    from dqi_tracking.types import Outcome

MAX_FAILURES_SHOWN = 20


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
    nan_policy: options.NanPolicyName = None,
    units: options.UnitsName = None,
    duplicates: options.DuplicatesName = None,
    no_artifact: options.NoArtifact = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Find the runs that are not scored yet, score them, and write the scores back."""
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.backfill import backfill as run_backfill
    from dqi_tracking.config import load_settings
    from dqi_tracking.ranking import COLUMNS
    from dqi_tracking.trackers.base import Query

    settings = load_settings(
        tracking_uri=tracking_uri,
        loss_key=loss_key,
        grad_norm_key=grad_norm_key,
        nan_policy=nan_policy,
        units=units,
        duplicates=duplicates,
        jobs=jobs,
    )
    query = Query(where, include_failed, include_running, options.since_of(since), limit)
    rows = Rows(form, (), ("outcome", "reason", "warnings", *COLUMNS))
    with stop_on_signals() as stop, progress_bar() as bar:

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
            files=not no_artifact,
            settings=settings,
            on_plan=bar.plan,
            on_outcome=note,
            stop=stop,
        )
    print_report(report, form)
    if report.stopped:
        return stop.code
    return ExitCode.SOME_FAILED if report.counts["failed"] else ExitCode.DONE


def print_report(report: Report, form: Format) -> None:
    """Print what a pass did: the counts, the first failures, and one sentence."""
    if form is Format.TABLE and report.reasons:
        print_table(
            [
                {"outcome": outcome, "reason": reason, "runs": count}
                for (outcome, reason), count in sorted(report.reasons.items())
            ],
            ("outcome", "reason", "runs"),
        )
    for failure in report.failures[:MAX_FAILURES_SHOWN]:
        complain(f"{failure.ref.run_id} ({failure.ref.name}): {failure.reason}", failure.fix)
    hidden = report.counts["failed"] - MAX_FAILURES_SHOWN
    if hidden > 0:
        talk(f"… and {hidden:,} more failed; --json lists all")
    (say if form is Format.TABLE else talk)(sentence(report))


def sentence(report: Report) -> str:
    """Return the pass in one sentence."""
    scored = report.counts["scored"]
    took = f"in {report.seconds:.1f} s"
    if report.stopped:
        return f"stopped: {scored:,} scored, {report.n_left:,} left for the next pass ({took})"
    if not report.n_found:
        return "no runs found"
    if not scored and not report.counts["failed"]:
        return f"nothing left to do: {report.n_found:,} runs, {took}"
    verb = "would be scored (dry run: nothing was written)" if report.dry_run else "scored"
    return f"{scored:,} of {report.n_found:,} runs {verb} {took}"
