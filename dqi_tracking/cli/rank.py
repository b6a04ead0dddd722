"""`dqi rank`: the scored runs as a table, and the link to the tracker's own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, print_link, talk

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
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Rank runs by what is written on them; nothing is read or scored."""
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.config import load_settings
    from dqi_tracking.ranking import COLUMNS, rank_runs
    from dqi_tracking.trackers import open_tracker

    tracker = open_tracker(address, settings=load_settings(tracking_uri=tracking_uri))
    try:
        table = rank_runs(tracker, sort=sort, ascending=ascending, where=where, top=top)
        view = tracker.view()
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
        how = "sorted in the tracker" if view.is_sorted else "in the tracker, to sort by `dqi`"
        print_link(how, view, talk)
    return ExitCode.DONE
