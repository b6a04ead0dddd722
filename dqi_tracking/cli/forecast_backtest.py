"""`dqi forecast --backtest`: what stop advice would have saved and cost on finished runs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.forecast_calibrate import told_failures
from dqi_tracking.cli.forecast_words import paragraph
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, say, talk
from dqi_tracking.cli.progress import progress_bar
from dqi_tracking.errors import masked
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.config import Settings
    from dqi_tracking.insight.backtest import Backtest
    from dqi_tracking.insight.forecasting.calibration import Calibration

COLUMNS = ("group", "runs", "stopped", "saved", "regret", "patience_regret")
MAX_GROUPS = 20
"""Groups that the table names; --json and --csv have all."""

WORTH = (
    "Regret is the best loss missed by stopping, as a share of the range of the loss; patience"
    " stops a run that had no new best loss for a while, the while that saves as much. On the"
    " validation losses of four public workloads the advice cost 37 % less than patience (95 %"
    " interval 11 to 60); three had a part in its making, and on the fourth it cost no less."
)


def backtest_on(
    address: str,
    calibration: Calibration | None,
    form: Format,
    settings: Settings,
    *,
    where: str,
    limit: int | None,
    rising: bool,
) -> ExitCode:
    """Replay the advice on the finished runs of an address, and print what came of it."""
    from dqi_tracking.cohorts.finished_runs import FinishedRuns
    from dqi_tracking.trackers import open_tracker

    tracker = open_tracker(address, settings=settings)
    try:
        runs = FinishedRuns.find(tracker, where=where, limit=limit, cohort=settings.cohort)
        with progress_bar("replaying") as bar:
            bar.plan(len(runs.refs), len(runs.refs))
            runs.on_run = bar.advance
            found = runs.backtest(
                cohort=settings.cohort, higher_is_better=rising, calibration=calibration
            )
    finally:
        tracker.close()
    if calibration is not None:
        talk("note: a calibration that was made on these same runs makes this too good")
    _print(found, len(runs.refs), address, form)
    return told_failures(runs)


def _print(found: Backtest, n_listed: int, address: str, form: Format) -> None:
    groups = [_row(each._asdict()) for each in found.groups]
    # without groups that were given, each run is one of its own
    groups = groups if len(groups) < found.runs else []
    if form is Format.JSON:
        whole = asdict(found) | {"listed": n_listed, "groups": groups}
        kept = {name: value for name, value in whole.items() if not name.startswith("each_")}
        Rows(form, (), ()).add(kept)
        return
    rows = Rows(form, COLUMNS, COLUMNS)
    percents = form is Format.TABLE
    shown = sorted(groups, key=lambda row: -row["runs"])[: MAX_GROUPS if percents else None]
    for row in [_row(asdict(found) | {"group": "all"}), *shown]:
        rows.add(_in_percent(row) if percents else row)
    if not percents:
        return
    say(f"{found.runs:,} of {n_listed:,} finished runs of {printable(masked(address))} replayed")
    rows.close()
    if len(shown) < len(groups):
        talk(f"… and {len(groups) - len(shown):,} more groups; --csv lists all")
    paragraph(f"{found.sentence}, a patience of {found.patience:.0%} of the run.")
    paragraph(_reduction(found))
    paragraph(WORTH)


def _row(values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in COLUMNS}


def _in_percent(row: dict[str, Any]) -> dict[str, Any]:
    shares = ("saved", "regret", "patience_regret")
    told = {name: f"{row[name]:.2%}" for name in shares}
    return row | told | {"group": printable(str(row["group"]))}


def _reduction(found: Backtest) -> str:
    if math.isnan(found.reduction):
        return "Neither the advice nor patience cost anything: there is nothing to compare."
    text = f"Regret against patience at equal savings: {-found.reduction:+.0%}"
    if math.isnan(found.reduction_low):
        return f"{text}; one group alone gives no interval."
    ends = f"{-found.reduction_high:+.0%} to {-found.reduction_low:+.0%}"
    sure = found.reduction_low > 0 or found.reduction_high < 0
    return f"{text} (95 % interval {ends})" + ("." if sure else ": not told apart.")
