"""`dqi validate`: whether early signals tell how runs end, by a test that may say no."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.forecast_calibrate import told_failures
from dqi_tracking.cli.output import say, talk
from dqi_tracking.cli.output_file import checked, write_checked
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.cli.validation_tables import print_validation
from dqi_tracking.errors import ConfigError
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from dqi_tracking.config import Settings
    from dqi_tracking.fitting.early_runs import Asked, EarlyRuns
    from dqi_tracking.insight.validation import ValidationReport

_LONG = 100
"""Runs from which on the shuffles take a while worth a word."""
_COLUMN = "COLUMN"
_FILE = "FILE"


def validate(
    address: options.Address,
    outcome: Annotated[
        str,
        typer.Option(
            metavar=_COLUMN,
            help="How a run ended, a number by the tracker's own name: metrics.val_loss, or on "
            "W&B summary.val_loss.",
        ),
    ],
    group: Annotated[
        str,
        typer.Option(
            metavar=_COLUMN,
            help="What the answer is to carry over to: params.dataset, config.dataset. The "
            "experiment or project where left out.",
        ),
    ] = "",
    configuration: Annotated[
        list[str] | None,
        typer.Option(
            metavar=_COLUMN,
            help="What is the same on repeats, such as params.lr; may be given several times. "
            "Repeats end alike, and counted as single runs they make noise look like evidence.",
        ),
    ] = None,
    at: Annotated[
        float, typer.Option(help="Share of the run that is seen, in (0, 1].", metavar="SHARE")
    ] = 0.6,
    signals: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME",
            help="What to tell the outcome by, such as dqi,loss_level; all signals where left out.",
        ),
    ] = None,
    confound: Annotated[
        list[str] | None,
        typer.Option(
            metavar=_COLUMN,
            help="A number to hold fixed beside the length of the run and its logging interval: a "
            "column, or the name of a signal; may be given several times.",
        ),
    ] = None,
    questions: Annotated[
        int,
        typer.Option(
            min=1, help="Questions asked of these runs in all, by which p-values are multiplied."
        ),
    ] = 1,
    html: Annotated[
        str | None, typer.Option(metavar=_FILE, help="Write the report as a page too.")
    ] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar=_FILE, help="Write the report as Markdown too.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of tables.")
    ] = False,
    where: options.Where = "",
    include_failed: options.IncludeFailed = False,
    loss_key: options.LossKey = None,
    grad_norm_key: options.GradNormKey = None,
    step_key: options.StepKey = None,
    tracking_uri: options.TrackingUri = None,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
) -> int:
    """Test whether the early part of runs tells how they end, and say so where it does not.

    Runs are ordered within groups that were left out, against baselines, shuffles, confounds and
    controls whose answer is known. The report goes to stdout, as Markdown. Exit code 0 whatever
    the verdict.
    """
    settings = options.settings_of(locals())
    files = {
        option: checked(name, option, f"validation.{ending}")
        for option, name, ending in (("--html", html, "html"), ("--markdown", markdown, "md"))
        if name is not None
    }
    from dqi_tracking.fitting.early_runs import Asked

    asked = Asked(
        outcome=outcome,
        group=group,
        configurations=tuple(configuration or ()),
        confounds=tuple(confound or ()),
        share=at,
        where=where,
        include_failed=include_failed,
    )
    chosen = None if signals is None else _signals(signals)
    runs = _gathered(address, asked, settings)
    report = _validated(runs, asked, chosen, questions)
    _write(report, files)
    _print(report, as_json=as_json)
    return ExitCode.DONE


def _signals(text: str) -> tuple[str, ...]:
    from dqi_tracking.insight.early_part import CONFOUNDS, SIGNALS

    chosen = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = (*SIGNALS, *CONFOUNDS)
    for name in chosen:
        if name not in known:
            raise ConfigError(
                f"there is no signal `{name}`", fix=f"name some of {', '.join(known)}"
            )
    if not chosen:
        raise ConfigError("--signals names none", fix=f"name some of {', '.join(known)}")
    return chosen


def _gathered(address: str, asked: Asked, settings: Settings) -> EarlyRuns:
    from dqi_tracking.cohorts.finished_runs import FinishedRuns
    from dqi_tracking.fitting.early_runs import can_take_part, early_runs, listed_runs
    from dqi_tracking.trackers import open_tracker

    tracker = open_tracker(address, settings=settings)
    try:
        with progress_bar("reading") as bar:
            refs = listed_runs(tracker, asked)
            todo = [ref for ref in refs if can_take_part(ref, asked)]
            bar.plan(len(refs), len(todo))
            reading = FinishedRuns(tracker, todo, bar.advance)
            found = early_runs(reading, refs, asked)
    finally:
        tracker.close()
    told_failures(reading)
    return found


def _validated(
    runs: EarlyRuns, asked: Asked, signals: tuple[str, ...] | None, questions: int
) -> ValidationReport:
    from dqi_tracking.insight.validation import validate as ask

    if sys.stderr.isatty() and len(runs.outcomes) >= _LONG:
        talk("shuffling: some ten seconds for 200 runs, two minutes for 1,500")
    told = "all signals" if signals is None else ", ".join(signals)
    within = asked.group or "the experiment or project"
    report = ask(
        runs.features,
        runs.outcomes,
        runs.groups,
        configurations=runs.configurations,
        signals=signals,
        confounds=asked.all_confounds,
        question=f"Does the first {100 * asked.share:g} % of a run ({told}) tell "
        f"{asked.outcome} within {within}?",
        n_questions=questions,
    )
    left_out = tuple(
        f"Left out: {number:,} of {runs.n_listed:,} runs that {why}."
        for why, number in sorted(runs.left_out.items())
    )
    return replace(report, cautions=(*left_out, *report.cautions))


def _write(report: ValidationReport, files: dict[str, Path]) -> None:
    from dqi_tracking.report.validation import validation_html, validation_markdown

    makers = {"--html": validation_html, "--markdown": validation_markdown}
    for option, path in files.items():
        write_checked(path, makers[option](report).encode(), option)
        talk(f"report: {printable(str(path))}")


def _print(report: ValidationReport, *, as_json: bool) -> None:
    if as_json:
        from dqi_tracking.report.validation import validation_json

        say(validation_json(report).rstrip("\n"))
    else:
        print_validation(report)
