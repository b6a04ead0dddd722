"""`dqi score`: score runs and print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.output import Rows, complain, outcome_row, talk
from dqi_tracking.errors import ConfigError, DQIError
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.types import Outcome

MAX_NOTES = 10

SHOWN = (
    "name",
    "dqi",
    "dqi_early",
    "dqi_mid",
    "dqi_late",
    "dqi_weakest",
    "dqi_status",
    "dqi_signal",
    "outcome",
    "reason",
    "run",
)
SPARE = ("dqi_late", "dqi_mid", "dqi_early", "outcome", "dqi_signal", "dqi_weakest")


def score(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="What to score.")],
    write: Annotated[bool, typer.Option("--write", help="Write the scores onto the runs.")] = False,
    tracking_uri: options.TrackingUri = None,
    where: options.Where = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, newest first.")] = None,
    include_failed: options.IncludeFailed = False,
    include_running: options.IncludeRunning = False,
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
    cohort: options.Cohort = None,
    no_files: options.NoFiles = False,
    no_artifact: options.NoArtifact = False,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    verbose: options.Verbose = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Score runs and print them; --write also writes the scores back."""
    options.speak(verbose)
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.cohorts.checks import CohortChecks
    from dqi_tracking.context.phase_plan import phase_columns
    from dqi_tracking.pipeline import ScoringOptions, begin, process
    from dqi_tracking.ranking import SCORE_COLUMNS
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.base import Query

    checks = None if population is None else CohortChecks.named(population, settings)
    current = begin(
        ScoringOptions.of(settings),
        population=checks,
        write=write,
        rescore=not write,
        verify=True,
        files=not no_files,
    )
    query = Query(
        where,
        include_failed,
        include_running,
        limit=limit,
        columns=phase_columns(settings.phases) + (checks.columns if checks else ()),
    )
    code = ExitCode.DONE
    notes: list[str] = []
    rows = Rows(form, SHOWN, (*SCORE_COLUMNS, "outcome", "reason", "warnings"), SPARE)
    for address in addresses:
        try:
            tracker = open_tracker(address, settings=settings)
            try:
                for outcome in process(tracker, list(tracker.find(query)), current):
                    rows.add(outcome_row(outcome))
                    notes.extend(_notes(outcome))
                    if outcome.outcome == "failed":
                        complain(f"{outcome.ref.run_id}: {outcome.reason}", outcome.fix)
                        code = max(code, ExitCode.SOME_FAILED)
            finally:
                tracker.close()
        except DQIError as error:
            complain(error.message, error.fix)
            is_usage = isinstance(error, ConfigError)
            code = max(code, ExitCode.USAGE if is_usage else ExitCode.TRACKER)
    rows.close()
    if form is options.Format.TABLE:
        _tell(notes)
    return code


def _notes(outcome: Outcome) -> list[str]:
    warnings = outcome.score.warnings if outcome.score else ()
    return [f"{printable(outcome.ref.run_id)}: {printable(warning)}" for warning in warnings]


def _tell(notes: list[str]) -> None:
    """Print what to bear in mind about single runs, where the table has no room for it."""
    for note in notes[:MAX_NOTES]:
        talk(f"note: {note}")
    if len(notes) > MAX_NOTES:
        talk(f"… and {len(notes) - MAX_NOTES:,} more notes; --json lists all")
