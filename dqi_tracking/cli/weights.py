"""`dqi weights fit`: phase weights learned from outcomes, and whether the data support them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import talk
from dqi_tracking.errors import ConfigError
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.fitting.weights_file import WeightsFile
    from dqi_tracking.insight.weighing.result import WeightFit

app = typer.Typer(
    help="Weights of the phases, learned from outcomes.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


@app.callback()
def weights() -> None:
    """Weights of the phases, learned from outcomes."""


@app.command()
def fit(
    address: options.Address,
    outcome: Annotated[
        str,
        typer.Option(
            help="What a good run is told by, in the tracker's own names: metrics.val_loss, or on "
            "W&B summary.val_loss."
        ),
    ],
    lower_is_better: Annotated[
        bool,
        typer.Option(
            "--lower-is-better/--higher-is-better",
            help="Whether a good outcome is a low one, as of a loss, or a high one.",
        ),
    ] = True,
    group: Annotated[
        str,
        typer.Option(
            help="What is the same on runs whose outcomes can be compared: params.dataset, "
            "config.dataset. The experiment or project where left out."
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Write the weights, if the data support them."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write them even if the data do not.")
    ] = False,
    where: options.Where = "",
    include_failed: options.IncludeFailed = False,
    tracking_uri: options.TrackingUri = None,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Learn phase weights from the outcomes of scored runs, and hold them against the default.

    Nothing is read but the listing. Outcomes are ranked within groups; what is told of the learned
    weights is their worth on groups that they were not learned on. Exit code 1: there is no file
    though -o asked for one, since the data do not support other weights than the default.
    """
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    if output is not None and not output.expanduser().parent.is_dir():
        raise ConfigError(f"no folder `{output.parent}` for the weights", fix="make it first")
    from dqi_tracking.cli.weights_table import print_fit, print_rows
    from dqi_tracking.fitting.weighting import scored_runs
    from dqi_tracking.fitting.weights_file import WeightsFile
    from dqi_tracking.insight.weights import fit_weights
    from dqi_tracking.trackers import open_tracker

    tracker = open_tracker(address, settings=settings)
    try:
        runs = scored_runs(
            tracker, outcome, group=group, where=where, include_failed=include_failed
        )
    finally:
        tracker.close()
    found = fit_weights(runs.phases, runs.outcomes, runs.groups, lower_is_better=lower_is_better)
    file = WeightsFile.of(found, outcome=outcome, lower_is_better=lower_is_better, group=group)
    if form is Format.TABLE:
        print_fit(found, runs, file)
    else:
        print_rows(found, runs, file, form)
    return ExitCode.DONE if output is None else _write(found, file, output.expanduser(), force)


def _write(found: WeightFit, file: WeightsFile, path: Path, force: bool) -> ExitCode:
    shown = printable(str(path))
    if not found.is_fitted:
        talk(f"no file `{shown}`: there are no weights to write")
        return ExitCode.SOME_FAILED
    if not found.is_supported and not force:
        talk(f"no file `{shown}`: the data do not support the weights; --force writes them")
        return ExitCode.SOME_FAILED
    file.write(path)
    talk(f"weights: {shown}")
    return ExitCode.DONE
