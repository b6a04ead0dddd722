"""`dqi report`: an experiment or project on one page."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.output import say, talk
from dqi_tracking.errors import ConfigError
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
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
    path = None if output == STDOUT else _checked(output)
    from dqi_tracking.report.overview import overview_html
    from dqi_tracking.reporting import experiment_at

    experiment = experiment_at(address, settings=settings)
    page = overview_html(
        experiment, scripts=False if no_scripts else None, duplicates=settings.duplicates
    ).encode()
    if path is None:
        sys.stdout.buffer.write(page)
        return ExitCode.DONE
    _write(path, page)
    _tell(experiment, path, page, no_scripts=no_scripts)
    return ExitCode.DONE


def _checked(output: str) -> Path:
    """Return where to write, before anything is asked of a tracker.

    Raises
    ------
    ConfigError
        When nothing can be written there.
    """
    try:
        # what a link points to is replaced, not the link
        path = Path(output).expanduser().resolve()
        is_folder, has_folder = path.is_dir(), path.parent.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"`{output}` is no path: {error}", fix="name a file with --output"
        ) from error
    if not output or is_folder:
        raise ConfigError(
            f"`{output}` is a folder", fix=f"name a file in it: -o {path / 'dqi-report.html'}"
        )
    if not has_folder:
        raise ConfigError(
            f"there is no folder `{path.parent}`", fix="make it first, or name another with -o"
        )
    return path


def _write(path: Path, page: bytes) -> None:
    """Write the page whole or not at all, so that nobody opens half of it.

    Raises
    ------
    ConfigError
        When the disk does not take it.
    """
    # a pipe or device is written to, never replaced
    special = path.exists() and not path.is_file()
    target = path if special else path.with_name(f".{path.name}.{os.getpid()}")
    try:
        target.write_bytes(page)
        if target != path:
            target.replace(path)
    except OSError as error:
        if target != path:
            with suppress(OSError):
                target.unlink(missing_ok=True)
        raise ConfigError(
            f"`{path}` cannot be written: {error.strerror or error}",
            fix="free space, or name a folder that may be written to with -o",
        ) from error


def _tell(experiment: Experiment, path: Path, page: bytes, *, no_scripts: bool) -> None:
    runs = "run" if experiment.n_runs == 1 else "runs"
    say(
        f"{experiment.n_runs:,} {runs}, {len(experiment.scored):,} of them scored: "
        f"{printable(str(path))} ({len(page) / 1e6:.1f} MB)"
    )
    say(f"open it in a browser: {path.as_uri()}")
    if not no_scripts and b'id="plotly"' not in page and experiment.highest:
        talk("its plots are drawings: pip install 'dqi-tracking[html]' makes them interactive")
