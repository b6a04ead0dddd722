"""`dqi rank`: the scored runs as a table, and the link to the tracker's own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, print_table_link, talk
from dqi_tracking.errors import ConfigError
from dqi_tracking.names import STANDING

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOWN = (
    "#",
    "dqi",
    "dqi_early",
    "dqi_mid",
    "dqi_late",
    "dqi_weakest",
    "dqi_state",
    "dqi_status",
    "name",
    "run",
)
SPARE = ("dqi_state", "dqi_late", "dqi_mid", "dqi_early", "dqi_weakest", "dqi_status")
PLACES = (
    "#",
    "dqi",
    "dqi_percentile",
    "dqi_loss_percentile",
    "dqi_grad_percentile",
    "dqi_cohort",
    "dqi_cohort_size",
    "dqi_status",
    "name",
    "run",
)
SPARE_PLACES = ("dqi_status", "dqi_grad_percentile", "dqi_loss_percentile", "dqi_cohort")


def rank(
    address: options.Address,
    sort: Annotated[str, typer.Option(help="Column to sort by.")] = "dqi",
    ascending: Annotated[bool, typer.Option("--ascending", help="Lowest first.")] = False,
    where: options.Where = "",
    top: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    percentile: Annotated[
        bool,
        typer.Option("--percentile", help="Show where each run stands in its cohort."),
    ] = False,
    population: options.PopulationName = None,
    cohort: options.Cohort = None,
    tracking_uri: options.TrackingUri = None,
    no_view: options.NoView = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Rank runs by what is written on them; nothing is read or scored.

    On MLflow, the saved view "DQI" is kept on the experiment.
    """
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.cohorts.choice import Scale
    from dqi_tracking.ranking import COLUMNS, rank_runs
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.keeping import kept_view

    if cohort and population is None:
        raise ConfigError(
            "--cohort chooses from a --population here; the percentiles of runs are written by a "
            "backfill",
            fix="name a --population, or `dqi backfill` with this --cohort",
        )
    scale = None if population is None else Scale.of(population, settings)
    tracker = open_tracker(address, settings=settings)
    try:
        table = rank_runs(
            tracker, sort=sort, ascending=ascending, where=where, top=top, scale=scale
        )
        # the link is of the table alone, and a view of nothing is no use
        keeps = settings.view and form is Format.TABLE and not table.empty
        view = (kept_view(tracker) if keeps else None) or tracker.view()
    finally:
        tracker.close()
    is_placed = percentile or scale is not None
    shown, spare = (PLACES, SPARE_PLACES) if is_placed else (SHOWN, SPARE)
    if scale:
        # a population holds no readings
        shown = tuple(column for column in shown if column not in STANDING[1:])
    rows = Rows(form, shown, COLUMNS, spare)
    records: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    for position, row in enumerate(records, start=1):
        rows.add({"#": position} | row | _points(row) if form is Format.TABLE else row)
    rows.close()
    if is_placed and not table.empty and table["dqi_percentile"].isna().all():
        talk("no percentiles: `dqi backfill --percentiles` writes them, to 8 scored runs or more")
    n_unscored = table.attrs["n_unscored"]
    if n_unscored:
        runs = "run is" if n_unscored == 1 else "runs are"
        # a file of curves takes no scores
        command = "score" if address.endswith((".csv", ".parquet")) else "backfill"
        talk(f"{n_unscored:,} {runs} not scored: `dqi {command} {address}`")
    if form is Format.TABLE:
        print_table_link(view, talk, "all runs, " if where else "")
    return ExitCode.DONE


def _points(row: Mapping[str, Any]) -> dict[str, str]:
    """Return percentiles and sizes as a table shows them: whole."""
    return {
        key: "–" if math.isnan(row[key]) else f"{row[key]:.0f}"
        for key in (*STANDING, "dqi_cohort_size")
    }
