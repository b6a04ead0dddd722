"""`dqi show`: one run explained."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, outcome_row, print_link, say
from dqi_tracking.cli.table import cell, print_table
from dqi_tracking.errors import ConfigError, RunNotFound
from dqi_tracking.report.printable import printable
from dqi_tracking.types import COMPONENTS, Outcome

if TYPE_CHECKING:
    from dqi_tracking.trackers.base import View
    from dqi_tracking.types import Duplicates, History, RunRef, Score

MAX_WIDTH = 100
BAR = 6


def show(
    run: Annotated[
        str,
        typer.Argument(
            help="runs:/RUN_ID, wandb:ENTITY/PROJECT/RUN_ID, or a file that holds one run."
        ),
    ],
    tracking_uri: options.TrackingUri = None,
    loss_key: options.LossKey = None,
    grad_norm_key: options.GradNormKey = None,
    step_key: options.StepKey = None,
    nan_policy: options.NanPolicyName = None,
    units: options.UnitsName = None,
    duplicates: options.DuplicatesName = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Explain one run: its curve, its phases, its components and what is weak."""
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.pipeline import ScoringOptions, begin, examine
    from dqi_tracking.ranking import COLUMNS
    from dqi_tracking.stamp import fingerprint_of, stamp_of
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.base import Query

    scoring = ScoringOptions.of(settings)
    tracker = open_tracker(run, settings=settings)
    try:
        refs = list(tracker.find(Query(include_failed=True, include_running=True, limit=2)))
        if not refs:
            raise RunNotFound(f"no run at `{run}`", fix="check the address")
        if len(refs) > 1:
            raise ConfigError(
                f"`{run}` holds several runs",
                fix="name one: runs:/RUN_ID, wandb:ENTITY/PROJECT/RUN_ID, or its own folder",
            )
        ref = refs[0]
        history, score = examine(tracker, ref, scoring)
        view = tracker.view(ref)
    finally:
        tracker.close()
    mark = fingerprint_of(history, score, scoring.digest)
    if form is Format.TABLE:
        _explain(ref, history, score, view, mark, scoring.duplicates)
        return ExitCode.DONE
    stamp = stamp_of(score, ref, mark, begin(scoring).started)
    rows = Rows(form, (), (*COLUMNS, "outcome", "reason", "warnings"))
    rows.add(outcome_row(Outcome(ref, "scored", stamp=stamp, score=score)))
    return ExitCode.DONE


def _explain(
    ref: RunRef, history: History, score: Score, view: View, mark: str, duplicates: Duplicates
) -> None:
    from dqi_tracking.report.meaning import STATUSES, WEAKEST, WHAT_IT_IS
    from dqi_tracking.report.terminal import draw

    where = ", ".join(printable(text) for text in (ref.group, ref.status, ref.run_id))
    say(f"{printable(ref.name)}  ({where})")
    say(
        f"DQI {cell(score.dqi)}   in logged units {cell(score.dqi_raw)}   status {score.status}   "
        f"{score.n_points:,} points of `{printable(score.signal)}`"
    )
    width = min(shutil.get_terminal_size((MAX_WIDTH, 24)).columns, MAX_WIDTH)
    say("")
    for line in draw(history, score, width=width, duplicates=duplicates):
        say(line)
    if score.status in ("ok", "flat"):
        _print_phases(score)
    else:
        say("")
    sentences = [STATUSES[score.status]]
    if score.weakest and score.status == "ok":
        sentences.append(f"weakest: {score.weakest}. {WEAKEST[score.weakest]}")
    sentences.extend(f"note: {warning}" for warning in score.warnings)
    sentences.extend((f"on the run: {_standing(ref, mark)}", WHAT_IT_IS))
    for sentence in filter(None, sentences):
        say(textwrap.fill(sentence, width, subsequent_indent="  "))
    print_link("in the tracker", view, say)


def _print_phases(score: Score) -> None:
    from dqi_tracking.report.terminal import bar

    rows = [
        {
            "phase": name,
            "dqi": phase.dqi,
            **{
                component: f"{value:.2f} {bar(value, BAR)}"
                for component in COMPONENTS
                for value in (getattr(phase, component),)
            },
            "steps": f"{phase.start_step:g} to {phase.stop_step:g}" if phase.n_points else "–",
            "points": f"{phase.n_points:,}",
        }
        for name, phase in score.phases.items()
    ]
    print_table(rows, ("phase", "dqi", *COMPONENTS, "steps", "points"))


def _standing(ref: RunRef, mark: str) -> str:
    from dqi_tracking.stamp import standing_mark

    written = standing_mark(ref)
    if written is None:
        return "nothing written yet; `dqi score --write` or `dqi backfill` does"
    if written == mark:
        return "this score is written"
    return "a score of other points or options is written; `dqi backfill` brings it up to date"
