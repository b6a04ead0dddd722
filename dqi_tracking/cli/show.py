"""`dqi show`: one run explained, and drawn into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.explain import Explained, explain
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, outcome_row, talk
from dqi_tracking.cli.plot_file import PlotFile
from dqi_tracking.errors import ConfigError, HistoryError, RunNotFound
from dqi_tracking.report.printable import printable
from dqi_tracking.types import Outcome

if TYPE_CHECKING:
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef


def show(
    run: Annotated[
        str,
        typer.Argument(
            help="runs:/RUN_ID, wandb:ENTITY/PROJECT/RUN_ID, or a file that holds one run."
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also draw the run into FILE: .png, .svg or .pdf."),
    ] = None,
    plot_size: Annotated[
        str, typer.Option(metavar="W,H", help="Width and height of the drawing in inches.")
    ] = "3.5,2.6",
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
    file = None if plot is None else PlotFile.of(plot, plot_size)
    from dqi_tracking.pipeline import ScoringOptions, begin, examine
    from dqi_tracking.ranking import COLUMNS
    from dqi_tracking.stamp import fingerprint_of, stamp_of
    from dqi_tracking.trackers import open_tracker

    scoring = ScoringOptions.of(settings)
    tracker = open_tracker(run, settings=settings)
    try:
        ref = _the_one(tracker, run)
        history, score = examine(tracker, ref, scoring)
        view = tracker.view(ref)
    finally:
        tracker.close()
    mark = fingerprint_of(history, score, scoring.digest)
    explained = Explained(ref, history, score, mark, scoring.duplicates)
    if form is Format.TABLE:
        explain(explained, view)
    else:
        stamp = stamp_of(score, ref, mark, begin(scoring).started)
        rows = Rows(form, (), (*COLUMNS, "outcome", "reason", "warnings"))
        rows.add(outcome_row(Outcome(ref, "scored", stamp=stamp, score=score)))
    if file is not None:
        _draw(explained, file)
    return ExitCode.DONE


def _the_one(tracker: Tracker, address: str) -> RunRef:
    from dqi_tracking.trackers.base import Query

    refs = list(tracker.find(Query(include_failed=True, include_running=True, limit=2)))
    if not refs:
        raise RunNotFound(f"no run at `{address}`", fix="check the address")
    if len(refs) > 1:
        raise ConfigError(
            f"`{address}` holds several runs",
            fix="name one: runs:/RUN_ID, wandb:ENTITY/PROJECT/RUN_ID, or a folder or file of its "
            "own",
        )
    return refs[0]


def _draw(run: Explained, file: PlotFile) -> None:
    from dqi_tracking.report.plots import plot

    picture = plot(
        run.history,
        run.score,
        name=run.ref.name,
        format=file.format,
        size=file.size,
        duplicates=run.duplicates,
        step_label=run.ref.step_key or "step",
    )
    if picture is None:
        raise HistoryError(
            f"nothing to draw into `{file.path}`: no finite value was logged",
            fix="leave --plot out",
            run=run.ref.run_id,
        )
    file.write(picture)
    talk(f"plot: {printable(str(file.path))}")
