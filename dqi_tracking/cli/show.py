"""`dqi show`: one run explained, and drawn into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.explain import Ahead, Explained, explain
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, outcome_row, talk
from dqi_tracking.cli.plot_file import PlotFile
from dqi_tracking.errors import ConfigError, HistoryError
from dqi_tracking.report.printable import printable
from dqi_tracking.types import Outcome

if TYPE_CHECKING:
    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import History, RunRef


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
    forecast: Annotated[
        bool | None,
        typer.Option(
            "--forecast/--no-forecast",
            help="Draw where the run is going, with 80 and 90 % intervals; by itself for a run "
            "that is not finished, --no-forecast not even then.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        bool,
        typer.Option(
            "--layers",
            help="Also show each layer whose gradient norm the run logs; through an MLflow server "
            "that is a request for each.",
        ),
    ] = False,
    layer_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="RE",
            help="Names of the layers' gradient norms, with one group for the layer: "
            "'grad_norm/(.+)'. Shows them, as --layers does.",
        ),
    ] = None,
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
    population: options.PopulationName = None,
    against_cohort: Annotated[
        bool,
        typer.Option(
            "--against-cohort",
            help="Also check the run against the curves of its cohort (noise, scale, distance, "
            "logging interval), which reads up to 40 other finished runs, the newest.",
        ),
    ] = False,
    cohort: options.Cohort = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Explain one run: its curve, its phases, its components and what is weak."""
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    file = None if plot is None else PlotFile.of(plot, plot_size)
    from dqi_tracking.cli.layer_map import announce_requests, print_layers
    from dqi_tracking.cli.standing import (
        cohort_compared,
        population_standing,
        written_standing,
    )
    from dqi_tracking.cohorts.checks import CohortChecks
    from dqi_tracking.cohorts.choice import Scale
    from dqi_tracking.cohorts.histories import read_beside
    from dqi_tracking.cohorts.place import columns_for, place_columns
    from dqi_tracking.context.layer_reading import read_layers
    from dqi_tracking.context.phase_plan import phase_columns
    from dqi_tracking.context.plans import planned_columns
    from dqi_tracking.insight.layers import layers_json
    from dqi_tracking.pipeline import ScoringOptions, begin, examine
    from dqi_tracking.ranking import COLUMNS
    from dqi_tracking.stamp import fingerprint_of, stamp_of, standing_mark
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.base import RUNNING
    from dqi_tracking.trackers.single import single_run

    scoring = ScoringOptions.of(settings)
    scale = None if population is None else Scale.of(population, settings)
    checks = CohortChecks.of(scale.chosen, settings.cohort) if scale else None
    if checks and against_cohort:
        raise ConfigError(
            "--against-cohort and --population FILE are two cohorts to check the run against",
            fix="leave one of them out",
        )
    tracker = open_tracker(run, settings=settings)
    try:
        columns = columns_for(settings.cohort) + planned_columns() + phase_columns(scoring.phases)
        ref = single_run(tracker, run, columns)
        beside = checks.beside(ref) if checks else None
        if against_cohort:
            beside = read_beside(run, ref, settings)
        history, score, insight, plan = examine(tracker, ref, scoring, beside and beside.comparison)
        wanted = ref.status in RUNNING if forecast is None else forecast
        ahead = _ahead(tracker, ref, history, settings) if wanted else None
        of_layers = (
            read_layers(
                tracker,
                ref,
                tracker.metric_names(ref),
                boundaries=score.boundary_steps,
                pattern=layer_pattern,
                announce=announce_requests,
            )
            if layers or layer_pattern is not None
            else None
        )
        view = tracker.view(ref)
    finally:
        tracker.close()
    mark = fingerprint_of(history, scoring.digest, plan.boundaries)
    checked = fingerprint_of(history, scoring.checked_against(checks).digest, plan.boundaries)
    # written with the checks of the population or without them, the score is this one
    mark = checked if standing_mark(ref) == checked else mark
    stamp = stamp_of(score, insight, ref, mark, begin(scoring).started, plan.told)
    if scale:
        found = scale.against(ref, stamp.metrics)
        told, place = population_standing(found, scale.name), scale.place(ref, stamp)
    else:
        told = written_standing(ref, mark)
        place = place_columns(ref.stamp if standing_mark(ref) == mark else None)
    if beside:
        told.append(cohort_compared(beside, insight))
    explained = Explained(
        ref, history, score, insight, mark, scoring.duplicates, tuple(told), ahead, plan.told
    )
    if form is Format.TABLE:
        explain(explained, view)
        if of_layers:
            print_layers(of_layers)
    else:
        rows = Rows(form, (), (*COLUMNS, "outcome", "reason", "warnings"))
        row = outcome_row(Outcome(ref, "scored", stamp=stamp, score=score)) | place
        rows.add(row | (json.loads(layers_json(of_layers)) if of_layers else {}))
    if file is not None:
        _draw(explained, file)
    return ExitCode.DONE


def _ahead(tracker: Tracker, ref: RunRef, history: History, settings: Settings) -> Ahead | None:
    """Forecast a run; None where there is no loss to foretell."""
    from dqi_tracking.insight.fan import fan
    from dqi_tracking.outlook import outlook_of

    if history.loss is None or not history.loss.size:
        return None
    found = outlook_of(tracker, ref, history, settings=settings)
    return Ahead(found, fan(history, found.horizon.step, learning_rate=found.learning_rate))


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
        fan=run.ahead and run.ahead.fan,
    )
    if picture is None:
        raise HistoryError(
            f"nothing to draw into `{file.path}`: no finite value was logged",
            fix="leave --plot out",
            run=run.ref.run_id,
        )
    file.write(picture)
    talk(f"plot: {printable(str(file.path))}")
