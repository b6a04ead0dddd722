"""`dqi forecast --calibrate`: intervals from finished runs of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, complain, say, talk
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.errors import ConfigError, masked
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from dqi_tracking.cohorts.finished_runs import FinishedRuns
    from dqi_tracking.config import Settings

COLUMNS = ("ahead", "curves", "low80", "high80", "low90", "high90")
MAX_FAILURES = 10


def calibrate_on(
    address: str,
    out: Path,
    form: Format,
    settings: Settings,
    *,
    where: str,
    limit: int | None,
    rising: bool,
) -> ExitCode:
    """Calibrate on the finished runs of an address, and write the file."""
    out = out.expanduser()
    if out.is_dir() or not out.parent.is_dir():
        raise ConfigError(
            f"`{out}` is no file in a folder that is there", fix="name a file in one that is"
        )
    from dqi_tracking.cohorts.finished_runs import FinishedRuns
    from dqi_tracking.fitting.calibration_file import write_calibration
    from dqi_tracking.insight.forecasting import conformal
    from dqi_tracking.trackers import open_tracker

    tracker = open_tracker(address, settings=settings)
    try:
        runs = FinishedRuns.find(tracker, where=where, limit=limit)
        with progress_bar("reading") as bar:
            bar.plan(len(runs.refs), len(runs.refs))
            runs.on_run = bar.advance
            name = f"the finished runs of {masked(address)}"
            table = runs.calibration(name, higher_is_better=rising)
    finally:
        tracker.close()
    write_calibration(table, out)
    rows = Rows(form, COLUMNS, COLUMNS)
    for knot, size, ends in zip(conformal.KNOTS, table.sizes, table.table, strict=True):
        at = {tail: ends[row] for row, tail in enumerate(conformal.TAILS)}
        (low80, high80), (low90, high90) = at[0.1].tolist(), at[0.05].tolist()
        values = (f"{knot:g} times", size, low80, high80, low90, high90)
        rows.add(dict(zip(COLUMNS, values, strict=True)))
    if form is Format.TABLE:
        say(f"{len(runs.refs):,} finished runs of {printable(masked(address))}")
        say("errors of their forecasts, in difficulties of the forecast, by how far was foretold:")
        rows.close()
        say("The intervals hold for runs that are like these. Use them with --calibration.")
    talk(f"calibration: {printable(str(out))}")
    return told_failures(runs)


def told_failures(runs: FinishedRuns) -> ExitCode:
    """Tell which runs could not be read, and return the exit code that says so."""
    for ref, error in runs.failed[:MAX_FAILURES]:
        complain(f"{ref.run_id}: {error.message}", error.fix)
    if len(runs.failed) > MAX_FAILURES:
        talk(f"… and {len(runs.failed) - MAX_FAILURES:,} more runs that could not be read")
    return ExitCode.SOME_FAILED if runs.failed else ExitCode.DONE
