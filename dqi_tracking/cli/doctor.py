"""`dqi doctor`: what is installed, what is set, and whether the tracker answers."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Protocol

import typer

import dqi_tracking
from dqi_tracking.cli import options
from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.output import Rows
from dqi_tracking.errors import DQIError, HistoryError, masked

PACKAGES = ("mlflow", "wandb", "numpy", "scipy", "pandas", "pyarrow", "sqlalchemy", "pydantic")
SECRET = ("TOKEN", "PASSWORD", "SECRET", "KEY")


class Found(Protocol):
    """Takes one finding."""

    def __call__(self, check: str, result: object, fix: str = "") -> None:
        """Note a check, its result, and what to do about it."""


def doctor(
    address: Annotated[str, typer.Argument(help="What to probe.")] = "mlflow:",
    tracking_uri: options.TrackingUri = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
) -> int:
    """Show versions, settings and what the tracker answers; secrets are masked."""
    columns = ("check", "result", "fix")
    rows = Rows(options.format_of(as_json, as_csv), columns, columns)

    def found(check: str, result: object, fix: str = "") -> None:
        rows.add({"check": check, "result": str(result), "fix": fix})

    found("dqi", dqi_tracking.__version__)
    found("python", platform.python_version())
    for package in PACKAGES:
        try:
            found(package, version(package))
        except PackageNotFoundError:
            found(package, "missing", f"pip install {package}")
    for name in sorted(os.environ):
        if name.startswith(("DQI_", "MLFLOW_", "WANDB_")):
            is_secret = not name.startswith("DQI_") and any(part in name for part in SECRET)
            found(name, "***" if is_secret else masked(os.environ[name]), _misspelt(name))
    code = _probe(address, tracking_uri, found)
    rows.close()
    return code


def _misspelt(name: str) -> str:
    from dqi_tracking.config import Settings

    known = not name.startswith("DQI_") or name[4:].lower() in Settings.model_fields
    return "" if known else "no setting has this name: it does nothing"


def _probe(address: str, tracking_uri: str | None, found: Found) -> ExitCode:
    from dqi_tracking.config import load_settings
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.base import Query

    try:
        settings = load_settings(tracking_uri=tracking_uri)
        found("settings", "read")
        tracker = open_tracker(address, settings=settings)
        try:
            found("address", tracker.address)
            query = Query(include_failed=True, include_running=True, limit=1)
            ref = next(iter(tracker.find(query)), None)
            found("listing", "no runs" if ref is None else f"answers, newest run {ref.run_id}")
            if ref is not None:
                reading = next(iter(tracker.read([ref])))
                if isinstance(reading.error, HistoryError):
                    found("history", reading.error, reading.error.fix)
                else:
                    found("history", f"{reading.found().step.size:,} points read")
        finally:
            tracker.close()
    except DQIError as error:
        found("tracker", error.message, error.fix)
        return ExitCode.TRACKER
    return ExitCode.DONE
