"""`dqi backfill --status`: what this machine remembers of an address."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dqi_tracking.cli.exits import ExitCode
from dqi_tracking.cli.options import Format
from dqi_tracking.cli.output import Rows, complain, say, talk
from dqi_tracking.cli.table import print_table
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.backfill.status import Failures, PassStatus, Status
    from dqi_tracking.config import Settings

MAX_REASONS_SHOWN = 20
LONGEST = 160
"""Characters of a reason in the table; the other forms have all of it."""

COLUMNS = (
    "kind",
    "address",
    "state",
    "started",
    "seconds",
    "heartbeat_age",
    "pid",
    "host",
    "found",
    "scored",
    "unchanged",
    "skipped",
    "failed",
    "left",
    "reason",
    "fix",
    "runs",
    "attempts",
    "transient",
    "first",
    "last",
    "run",
    "name",
)
_PASSES = ("started", "state", "took", "found", "scored", "unchanged", "skipped", "failed", "left")
_FAILURES = ("runs", "reason", "attempts", "last", "example", "name")


def print_status(address: str, settings: Settings, form: Format) -> ExitCode:
    """Print the last passes and what failed, from the ledger alone; no tracker is opened."""
    from dqi_tracking.backfill.lease import now
    from dqi_tracking.backfill.ledger import Ledger, Unusable
    from dqi_tracking.backfill.scope import scope_of
    from dqi_tracking.backfill.status import status_of

    ledger = Ledger.of(settings, talk)
    try:
        status = status_of(ledger, scope_of(address, settings), now())
    except Unusable as trouble:
        complain(
            f"the ledger {ledger.path} cannot be read ({trouble}): nothing is known here",
            "the next backfill begins it anew where it is broken; the scores stand on the runs",
        )
        return ExitCode.DONE
    if not status.passes and not status.failures:
        (say if form is Format.TABLE else talk)(
            f"nothing is known here of `{printable(address)}`: no backfill of it ran on this "
            "machine, or its ledger was removed"
        )
    if form is Format.TABLE:
        _print_tables(status)
    else:
        rows = Rows(form, (), COLUMNS)
        for each in (*map(_pass_row, status.passes), *map(_failures_row, status.failures)):
            rows.add(each)
    return ExitCode.DONE


def _pass_row(each: PassStatus) -> dict[str, Any]:
    counts = {name: getattr(each, name) for name in ("scored", "unchanged", "skipped", "failed")}
    return {
        "kind": "pass",
        "address": each.address,
        "state": each.state,
        "started": _time(each.started),
        "seconds": round(each.seconds, 1),
        "heartbeat_age": round(each.age, 1),
        "pid": each.pid,
        "host": each.host,
        "found": each.n_found,
        **counts,
        "left": None if each.n_found is None else each.n_found - sum(counts.values()),
        "reason": each.reason,
    }


def _failures_row(each: Failures) -> dict[str, Any]:
    return {
        "kind": "failures",
        "reason": each.reason,
        "fix": each.fix,
        "runs": each.runs,
        "attempts": each.attempts,
        "transient": each.transient,
        "first": _time(each.first),
        "last": _time(each.last),
        "run": each.run,
        "name": each.name,
    }


def _print_tables(status: Status) -> None:
    rows: list[dict[str, Any]] = []
    for each in status.passes:
        counts = {
            name: "–" if value is None else f"{value:,}"
            for name, value in _pass_row(each).items()
            if name in _PASSES[3:]
        }
        took = {"took": _span(each.seconds), "started": _time(each.started), "state": each.state}
        rows.append({**counts, **took, "address": each.address})
    if rows:
        print_table(rows, (*_PASSES, "address"))
    for each in status.passes:
        started = _time(each.started)
        if each.state == "running":
            say(f"running: pid {each.pid}, last sign of life {_span(each.age)} ago")
        elif each.state == "died" and each is status.passes[0]:
            say(f"died: pid {each.pid} of {started}; the next backfill goes on from there")
        elif each.reason:
            say(f"{each.state}: {started}, {printable(each.reason)}")
    if status.failures:
        say("\nfailed and not scored since, by reason:")
        print_table([_shown(each) for each in status.failures[:MAX_REASONS_SHOWN]], _FAILURES)
        say("`--reprocess failed` tries these runs again, and no others")
    hidden = len(status.failures) - MAX_REASONS_SHOWN
    if hidden > 0:
        talk(f"… and {hidden:,} more reasons; --json lists all")


def _shown(each: Failures) -> dict[str, Any]:
    return {
        "runs": each.runs,
        "reason": printable(each.reason, limit=LONGEST),
        "attempts": each.attempts,
        "last": _time(each.last),
        "example": each.run,
        "name": each.name,
    }


def _time(milliseconds: int) -> str:
    from dqi_tracking.stamp import iso_time

    return iso_time(milliseconds)[:19] + "Z"


def _span(seconds: float) -> str:
    """Return a length of time, as exact as a person wants it."""
    if math.isnan(seconds) or seconds < 100:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"
