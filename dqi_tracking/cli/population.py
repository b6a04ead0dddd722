"""`dqi population`: scored runs kept as a population, to hold other runs against."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, talk
from dqi_tracking.errors import ConfigError
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.insight.saved_population import Population

SHOWN = ("cohort", "runs", "note")

app = typer.Typer(
    help="Scored runs kept as a population, to hold other runs against.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


@app.callback()
def population() -> None:
    """Scored runs kept as a population, to hold other runs against."""


@app.command()
def save(
    file: Annotated[Path, typer.Argument(help="File to write, as JSON.")],
    address: options.Address,
    cohort: options.Cohort = None,
    name: Annotated[str, typer.Option(help="What the runs are, in a few words.")] = "",
    where: options.Where = "",
    weights: options.Weights = None,
    tracking_uri: options.TrackingUri = None,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Keep the finished, scored runs of an address as quantiles; nothing is read but the listing.

    `--population FILE` of `dqi rank` and `dqi show` then tells where other runs stand among them.
    """
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    path = file.expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"`{printable(str(file))}` is no file in a folder that is there",
            fix="name a file in one that is",
        )
    from dqi_tracking.populations import population_at
    from dqi_tracking.trackers import open_tracker

    tracker = open_tracker(address, settings=settings)
    try:
        saved = population_at(
            tracker,
            cohort=settings.cohort,
            where=where,
            name=name or f"runs of {tracker.address}",
            weights=settings.weights,
        )
    finally:
        tracker.close()
    _write(path, saved.population.to_json())
    _print(saved.population, form)
    talk(f"population of {saved.n_taken:,} of {saved.n_listed:,} runs: {printable(str(file))}")
    return ExitCode.DONE


def _print(population: Population, form: Format) -> None:
    from dqi_tracking.insight.population import MIN_COHORT

    rows = Rows(form, SHOWN, SHOWN)
    for name, cohort in population.cohorts.items():
        note = "" if cohort.size >= MIN_COHORT else f"only counted: {MIN_COHORT} are needed"
        rows.add({"cohort": name, "runs": cohort.size, "note": note})
    rows.close()


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all.

    Raises
    ------
    ConfigError
        When the disk does not take it.
    """
    target = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        target.write_text(text, encoding="utf-8")
        target.replace(path)
    except OSError as error:
        with suppress(OSError):
            target.unlink(missing_ok=True)
        raise ConfigError(
            f"`{printable(str(path))}` cannot be written: {error.strerror or error}",
            fix="free space, or name a folder that may be written to",
        ) from error
