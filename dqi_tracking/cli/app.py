"""The command line as a whole: its commands, its errors and its exit codes."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

import dqi_tracking
from dqi_tracking.cli import (
    backfill,
    demo,
    doctor,
    forecast,
    population,
    rank,
    report,
    score,
    show,
    unscore,
    validate,
    view,
    weights,
)
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.output import complain
from dqi_tracking.errors import ConfigError, DQIError, HistoryError, LeaseHeld
from dqi_tracking.garbage import collected_seldom

app = typer.Typer(
    name="dqi",
    help="Score training runs by their loss curves, and write the scores onto the runs.",
    epilog="Addresses: mlflow:EXPERIMENT, mlflow: (all experiments), runs:/RUN_ID, "
    "wandb:ENTITY/PROJECT, wandb:ENTITY/PROJECT/RUN_ID, a folder of offline W&B runs, FILE.csv, "
    "FILE.parquet.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo.demo)
app.command()(score.score)
app.command()(backfill.backfill)
app.command()(unscore.unscore)
app.command()(rank.rank)
app.command()(view.view)
app.command()(report.report)
app.command()(show.show)
app.command()(forecast.forecast)
app.command()(validate.validate)
app.command()(doctor.doctor)
app.add_typer(population.app, name="population")
app.add_typer(weights.app, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dqi {dqi_tracking.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Score training runs by their loss curves, and write the scores onto the runs."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process where left out.

    Returns
    -------
    int
        See `dqi_tracking.cli.exits`.
    """
    if arguments is not None:
        return _run(arguments)
    with collected_seldom():
        return _run(sys.argv[1:])


def _run(arguments: list[str]) -> int:
    # MLflow logs a stack trace of its own for errors that are told here in two lines
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # names hold what not every terminal's encoding has
        sys.stdout.reconfigure(errors="replace")
    try:
        code = app(arguments or ["--help"], prog_name="dqi", standalone_mode=False)
        sys.stdout.flush()
    except DQIError as error:
        complain(error.message, error.fix)
        return _exit_code(error)
    except TyperException as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "dqi")
        complain(error.format_message(), f"see `{command} --help`")
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # the reader (`| head`) has enough; what is left in the buffer has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.BROKEN_PIPE
    except SystemExit as end:
        # typer and rich turn a broken pipe into exit code 1, which is taken
        broken = isinstance(end.__context__, BrokenPipeError)
        return ExitCode.BROKEN_PIPE if broken else int(end.code or 0)
    return int(code or 0)


def _exit_code(error: DQIError) -> ExitCode:
    kinds = {
        HistoryError: ExitCode.SOME_FAILED,
        ConfigError: ExitCode.USAGE,
        LeaseHeld: ExitCode.LEASE_HELD,
    }
    found = (code for kind, code in kinds.items() if isinstance(error, kind))
    return next(found, ExitCode.TRACKER)
