"""`dqi view`: a view with DQI's columns, kept in the tracker itself."""

from __future__ import annotations

from typing import Annotated

import typer

from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, print_link, say
from dqi_tracking.errors import ConfigError

COLUMNS = ("address", "url", "command")


def view(
    address: Annotated[str, typer.Argument(help="mlflow:EXPERIMENT or wandb:ENTITY/PROJECT")],
    tracking_uri: options.TrackingUri = None,
    max_requests_per_minute: options.MaxRequestsPerMinute = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Save a view with DQI's columns, sorted by it, in the tracker, and print its link.

    The same view is brought up to date each time, and no other is touched. On W&B this takes the
    extra `workspaces`.
    """
    settings = options.settings_of(locals())
    form = options.format_of(as_json, as_csv)
    from dqi_tracking.trackers import open_tracker

    tracker = open_tracker(address, settings=settings)
    try:
        saved = tracker.save_view()
    finally:
        tracker.close()
    if not saved.url:
        raise ConfigError(
            f"`{address}` has no UI that could keep a view",
            fix="use mlflow:EXPERIMENT or wandb:ENTITY/PROJECT",
        )
    if form is Format.TABLE:
        print_link("saved view", saved, say)
        return ExitCode.DONE
    rows = Rows(form, COLUMNS, COLUMNS)
    rows.add({"address": address, "url": saved.url, "command": saved.command})
    rows.close()
    return ExitCode.DONE
