"""`dqi backfill`: find what is not scored, score it, write it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import stop_on_signals
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, outcome_row, print_table_link, say, talk
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.cli.status import print_status
from dqi_tracking.cli.summary import (
    exit_code,
    print_failures,
    print_report,
    sentence,
    standings_sentence,
)
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from threading import Event

    from dqi_tracking.backfill.report import Report
    from dqi_tracking.types import Outcome


def backfill(
    address: options.Address,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and score, but write nothing.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-n", help="Runs worked on at the same time.")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="What works on the runs: threads, processes, dask, or joblib's active backend."
        ),
    ] = "threads",
    scheduler: Annotated[
        str | None,
        typer.Option(envvar="DASK_SCHEDULER_ADDRESS", help="Of the dask cluster: tcp://HOST:8786."),
    ] = None,
    reprocess: Annotated[
        str,
        typer.Option(
            help="missing: what is new or changed; failed: of that, what failed before on this "
            "machine; all: everything again."
        ),
    ] = "missing",
    verify: Annotated[
        bool, typer.Option("--verify", help="Read even runs that look unchanged, and compare.")
    ] = False,
    status: Annotated[
        bool,
        typer.Option(
            "--status",
            help="Only say what this machine knows of earlier and running backfills of the "
            "address; asks no tracker.",
        ),
    ] = False,
    every: Annotated[
        str | None,
        typer.Option(help="Do a pass every 15m, 2h, 1d, …, one at a time, until a signal comes."),
    ] = None,
    forecast: Annotated[
        bool,
        typer.Option(
            "--forecast",
            help="Also running runs; on those and other unfinished ones write the loss to expect "
            "(dqi_forecast, _gain, _step) at the end that their params or config plan, or at twice "
            "their steps. `dqi forecast` tells more.",
        ),
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
    validation_key: options.ValidationKey = None,
    step_key: options.StepKey = None,
    nan_policy: options.NanPolicyName = None,
    units: options.UnitsName = None,
    duplicates: options.DuplicatesName = None,
    weights: options.Weights = None,
    phases: options.PhasesName = None,
    population: options.AgainstPopulation = None,
    percentiles: Annotated[
        bool,
        typer.Option(
            "--percentiles",
            help="Also write where each run stands in its cohort (dqi_percentile …), which is one "
            "more write for each run whose percentile moved.",
        ),
    ] = False,
    cohort: options.Cohort = None,
    no_files: options.NoFiles = False,
    no_artifact: options.NoArtifact = False,
    no_view: options.NoView = False,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Find the runs that are not scored yet, score them, and write the scores back."""
    options.speak(verbose)
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    if status:
        return print_status(address, settings, form)
    from dqi_tracking.backfill import backfill as run_backfill
    from dqi_tracking.backfill.schedule import interval_of, repeat
    from dqi_tracking.errors import ConfigError
    from dqi_tracking.names import FORECAST
    from dqi_tracking.ranking import SCORE_COLUMNS
    from dqi_tracking.trackers.base import Query

    seconds = None if every is None else interval_of(every)
    if seconds and reprocess == "all":
        raise ConfigError(
            "--every with --reprocess all would write every score again at each turn",
            fix="leave one of them out",
        )
    ahead = FORECAST if forecast else ()
    rows = Rows(form, (), ("outcome", "reason", "warnings", *SCORE_COLUMNS, *ahead))
    nothing = "no failed runs are known here" if reprocess == "failed" else "no runs found"

    def one_pass(stop: Event) -> Report:
        # an age such as 7d is one of now, not of the first pass
        query = Query(where, include_failed, include_running, options.since_of(since), limit)
        with progress_bar("scoring") as bar:

            def note(outcome: Outcome) -> None:
                if form is not Format.TABLE:
                    rows.add(outcome_row(outcome))
                bar.advance(outcome.outcome)

            return run_backfill(
                address,
                query=query,
                dry_run=dry_run,
                reprocess=reprocess,
                verify=verify,
                files=not no_files,
                forecast=forecast,
                population=population,
                engine=engine,
                scheduler=scheduler if engine == "dask" else None,
                settings=settings,
                on_plan=bar.plan,
                on_outcome=note,
                on_note=lambda text: talk(f"note: {printable(text)}"),
                stop=stop,
            )

    def told(stop: Event) -> str:
        report = one_pass(stop)
        print_failures(report)
        return "; ".join(
            filter(None, (sentence(report, nothing=nothing), standings_sentence(report)))
        )

    with stop_on_signals() as stop:
        if seconds:
            repeat(seconds, told, stop, tell=lambda line: talk(printable(line)))
            return stop.code
        report = one_pass(stop)
    print_report(report, form, nothing=nothing)
    if report.view and form is Format.TABLE:
        print_table_link(report.view, say)
    return exit_code(report, stop)
