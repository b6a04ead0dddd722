"""`dqi population`: scored runs kept as a population, to hold other runs against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, talk
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.errors import ConfigError
from dqi_tracking.report.printable import printable
from dqi_tracking.whole_file import write_whole

if TYPE_CHECKING:
    from dqi_tracking.insight.saved_population import Population

MOST_CURVES = 60
"""Runs of each cohort whose curves are kept. Ours: some 50 kB, and their medians are steady."""
SHOWN = ("cohort", "runs", "curves", "note")

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
    curves: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Runs of each cohort whose histories are read and kept as curves, evenly spread "
            "in time; 0 for none, and then nothing is read but the listing.",
        ),
    ] = MOST_CURVES,
    loss_key: options.LossKey = None,
    step_key: options.StepKey = None,
    tracking_uri: options.TrackingUri = None,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Keep the finished, scored runs of an address: quantiles of their scores, and their curves.

    `--population FILE` of `dqi rank` and `dqi show` then tells where other runs stand among them;
    that of `dqi show`, `dqi score` and `dqi backfill` also checks other runs against the curves.
    Scores come from the listing; for the curves, up to 60 runs of each cohort are read.
    """
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    path = file.expanduser()
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(
            f"`{printable(str(file))}` is no file in a folder that is there",
            fix="name a file in one that is",
        )
    from dqi_tracking.cohorts.histories import for_losses, sampled, with_curves
    from dqi_tracking.cohorts.populations import population_at
    from dqi_tracking.insight.population import MIN_COHORT
    from dqi_tracking.trackers import open_tracker

    if 0 < curves < MIN_COHORT:
        raise ConfigError(
            f"--curves {curves} are too few to compare with",
            fix=f"use {MIN_COHORT} or more, or 0 for none",
        )
    tracker = open_tracker(address, settings=for_losses(settings))
    try:
        saved = population_at(
            tracker,
            cohort=settings.cohort,
            where=where,
            name=name or f"runs of {tracker.address}",
            weights=settings.weights,
        )
        members = sampled(saved, curves)
        with progress_bar("reading") as bar:
            n_members = sum(map(len, members.values()))
            bar.plan(n_members, n_members)
            kept = with_curves(tracker, saved.population, members, bar.advance)
    finally:
        tracker.close()
    _write(path, kept.population.to_json())
    _print(kept.population, form)
    talk(f"population of {saved.n_taken:,} of {saved.n_listed:,} runs: {printable(str(file))}")
    if n_members:
        lost = f"; {kept.n_failed:,} could not be read" if kept.n_failed else ""
        talk(f"curves of {kept.n_runs:,} of {n_members:,} runs that were read{lost}")
    return ExitCode.DONE


def _print(population: Population, form: Format) -> None:
    from dqi_tracking.insight.population import MIN_COHORT

    rows = Rows(form, SHOWN, SHOWN)
    for name, cohort in population.cohorts.items():
        note = "" if cohort.size >= MIN_COHORT else f"only counted: {MIN_COHORT} are needed"
        n_curves = len(population.curves[name].noise) if name in population.curves else 0
        rows.add({"cohort": name, "runs": cohort.size, "curves": n_curves, "note": note})
    rows.close()


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all.

    Raises
    ------
    ConfigError
        When the disk does not take it.
    """
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise ConfigError(
            f"`{printable(str(path))}` cannot be written: {error.strerror or error}",
            fix="free space, or name a folder that may be written to",
        ) from error
