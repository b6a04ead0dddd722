"""`dqi report`: an experiment or project on one page."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.output import say, talk
from dqi_tracking.cli.output_file import checked, write_checked
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from dqi_tracking.report.experiment import Experiment

STDOUT = "-"


def report(
    address: options.Address,
    output: Annotated[
        str, typer.Option("--output", "-o", help="File to write; - for standard output.")
    ] = "dqi-report.html",
    no_scripts: Annotated[
        bool,
        typer.Option(
            "--no-scripts", help="Leave plotly out: drawings in place of interactive plots."
        ),
    ] = False,
    loss_key: options.LossKey = None,
    grad_norm_key: options.GradNormKey = None,
    step_key: options.StepKey = None,
    tracking_uri: options.TrackingUri = None,
) -> int:
    """Write one page over many runs, from what is written on them: a self-contained HTML file."""
    settings = options.settings_of(locals())
    path = None if output == STDOUT else checked(output, "-o", "dqi-report.html")
    from dqi_tracking.report.overview import overview_html
    from dqi_tracking.reporting import experiment_at

    experiment = experiment_at(address, settings=settings)
    page = overview_html(
        experiment, scripts=False if no_scripts else None, duplicates=settings.duplicates
    ).encode()
    if path is None:
        sys.stdout.buffer.write(page)
        return ExitCode.DONE
    write_checked(path, page, "-o")
    _tell(experiment, path, page, no_scripts=no_scripts)
    return ExitCode.DONE


def _tell(experiment: Experiment, path: Path, page: bytes, *, no_scripts: bool) -> None:
    runs = "run" if experiment.n_runs == 1 else "runs"
    say(
        f"{experiment.n_runs:,} {runs}, {len(experiment.scored):,} of them scored: "
        f"{printable(str(path))} ({len(page) / 1e6:.1f} MB)"
    )
    say(f"open it in a browser: {path.as_uri()}")
    if not no_scripts and b'id="plotly"' not in page and experiment.highest:
        talk("its plots are drawings: pip install 'dqi-tracking[html]' makes them interactive")
