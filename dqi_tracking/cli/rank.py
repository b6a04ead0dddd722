"""`dqi rank`: the scored runs as a table, and the link to the tracker's own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, print_table_link, talk

SHOWN = (
    "#",
    "dqi",
    "dqi_early",
    "dqi_mid",
    "dqi_late",
    "dqi_weakest",
    "dqi_status",
    "name",
    "run",
)
SPARE = ("dqi_late", "dqi_mid", "dqi_early", "dqi_weakest", "dqi_status")


def rank(
    address: options.Address,
    sort: Annotated[str, typer.Option(help="Column to sort by.")] = "dqi",
    ascending: Annotated[bool, typer.Option("--ascending", help="Lowest first.")] = False,
    where: options.Where = "",
    top: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
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
    from dqi_tracking.ranking import COLUMNS, rank_runs
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.keeping import kept_view

    tracker = open_tracker(address, settings=settings)
    try:
        table = rank_runs(tracker, sort=sort, ascending=ascending, where=where, top=top)
        # the link is of the table alone, and a view of nothing is no use
        keeps = settings.view and form is Format.TABLE and not table.empty
        view = (kept_view(tracker) if keeps else None) or tracker.view()
    finally:
        tracker.close()
    rows = Rows(form, SHOWN, COLUMNS, SPARE)
    records: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    for position, row in enumerate(records, start=1):
        rows.add({"#": position} | row if form is Format.TABLE else row)
    rows.close()
    n_unscored = table.attrs["n_unscored"]
    if n_unscored:
        runs = "run is" if n_unscored == 1 else "runs are"
        # a file of curves takes no scores
        command = "score" if address.endswith((".csv", ".parquet")) else "backfill"
        talk(f"{n_unscored:,} {runs} not scored: `dqi {command} {address}`")
    if form is Format.TABLE:
        print_table_link(view, talk, "all runs, " if where else "")
    return ExitCode.DONE
