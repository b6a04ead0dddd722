"""`dqi forecast`: where a run is going, and whether more training pays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.errors import ConfigError
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.insight.forecasting.calibration import Calibration

HigherIsBetter = Annotated[
    bool, typer.Option("--higher-is-better", help="The metric should rise, as accuracy does.")
]
CalibrationFile = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        help="Intervals from runs of your own: a file that --calibrate wrote.",
    ),
]


def forecast(
    run: Annotated[
        str | None,
        typer.Argument(
            help="runs:/RUN_ID, wandb:ENTITY/PROJECT/RUN_ID, or a file that holds one run. It may "
            "still be running."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="STEP|+STEPS|+N%",
            help="Where to look: a step, so many steps from now, or so much of the run so far. "
            "Where left out, the end that the run's params or config plan, or twice the run so "
            "far.",
        ),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCH|+EPOCHS",
            help="The same in epochs, by the `epoch` that the run logs, or with --step-key epoch.",
        ),
    ] = None,
    level: Annotated[
        float,
        typer.Option(min=0.5, max=0.98, help="One more interval, beside those of 80 and 90 %."),
    ] = 0.9,
    higher_is_better: HigherIsBetter = False,
    loss_key: Annotated[
        str | None,
        typer.Option("--metric", "--loss-key", metavar="KEY", help="Metric to foretell."),
    ] = None,
    calibration: CalibrationFile = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Measure the intervals on an address's finished runs, into the file of --out.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where the calibration goes.")
    ] = None,
    backtest: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Replay the stop advice on the finished runs of an address: what it would have "
            "saved and cost, against patience.",
        ),
    ] = None,
    where: options.Where = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Of --calibrate and --backtest: at most so many.")
    ] = None,
    cohort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Of --backtest: what is the same on runs of one group, such as params.model.",
        ),
    ] = None,
    tracking_uri: options.TrackingUri = None,
    step_key: options.StepKey = None,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Tell where a run's loss is going: the loss to expect, intervals, and what more training pays.

    A forecast is no promise. On families of public runs that were left out of the calibration, 90 %
    intervals held 75 to 100 % of the time, family by family. The stop advice is advice: nothing is
    ever stopped.
    """
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    _one_of(run, calibrate, backtest)
    if calibrate is not None:
        from dqi_tracking.cli.forecast_calibrate import calibrate_on

        if out is None:
            raise ConfigError("--calibrate has nowhere to write to", fix="name a file with --out")
        return calibrate_on(
            calibrate, out, form, settings, where=where, limit=limit, rising=higher_is_better
        )
    if out is not None:
        raise ConfigError("--out is the file of --calibrate", fix="leave it out")
    table = calibration_of(calibration)
    if backtest is not None:
        from dqi_tracking.cli.forecast_backtest import backtest_on

        return backtest_on(
            backtest, table, form, settings, where=where, limit=limit, rising=higher_is_better
        )
    if where or limit is not None:
        raise ConfigError(
            "--where and --limit choose among many runs, and a forecast is of one",
            fix="leave them out, or give --calibrate or --backtest",
        )
    from dqi_tracking.cli.forecast_words import print_outlook
    from dqi_tracking.context.horizons import ahead_of
    from dqi_tracking.outlook import look_ahead

    if at is not None and epochs is not None:
        raise ConfigError("--at and --epochs exclude each other", fix="leave one of them out")
    found = look_ahead(
        run or "",
        at=None if at is None else ahead_of(at, "--at"),
        epochs=None if epochs is None else ahead_of(epochs, "--epochs"),
        level=level,
        higher_is_better=higher_is_better,
        calibration=table,
        settings=settings,
    )
    print_outlook(found, form)
    return ExitCode.DONE


def calibration_of(path: Path | None) -> Calibration | None:
    """Return the calibration of a file, or None for that of the package."""
    if path is None:
        return None
    from dqi_tracking.fitting.calibration_file import read_calibration

    return read_calibration(path)


def _one_of(run: str | None, calibrate: str | None, backtest: str | None) -> None:
    given = [text for text in (run, calibrate, backtest) if text is not None]
    if len(given) == 1:
        return
    if not given:
        raise ConfigError(
            "no run to forecast",
            fix="name one: dqi forecast runs:/RUN_ID; or give --calibrate or --backtest an address",
        )
    raise ConfigError(
        f"RUN, --calibrate and --backtest exclude each other: {printable(', '.join(given))}",
        fix="leave all but one of them out",
    )
