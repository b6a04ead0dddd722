"""One page over an experiment or project, from what is written on its runs.

All of it comes from one listing; only the runs that are drawn are read.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from dqi_tracking.backfill.failures import failure_of_each
from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.backfill.scope import scope_of
from dqi_tracking.config import load_settings
from dqi_tracking.errors import DQIError, masked
from dqi_tracking.report.experiment import EXAMPLES, Drawn, Experiment, Linked, Unscored, extremes
from dqi_tracking.stamp import is_whole, iso_time
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import FAILED, RUNNING, Query, Reading
from dqi_tracking.trackers.series import missing_metric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dqi_tracking.backfill.failures import Failure
    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef

_EVERYTHING = Query(include_failed=True, include_running=True)


def report(address: str, *, scripts: bool | None = None, settings: Settings | None = None) -> str:
    """Return one page over the runs at an address.

    Parameters
    ----------
    address : str
        As in `open_tracker`.
    scripts : bool, optional
        Whether the plots are interactive, by plotly, which the extra ``[html]`` brings; where it
        is installed if left out. Without scripts they are drawings.
    settings : Settings, optional

    Returns
    -------
    str
        HTML that needs nothing but itself, in UTF-8.

    Raises
    ------
    ConfigError
        When scripts are asked for and plotly is not installed.
    TrackerError
        As `Tracker.find`.
    """
    from dqi_tracking.report.overview import overview_html

    return overview_html(experiment_at(address, settings=settings), scripts=scripts)


def experiment_at(address: str, *, settings: Settings | None = None) -> Experiment:
    """Return what the page shows of an address; see `report`."""
    settings = settings or load_settings()
    ledger = Ledger.of(settings, logging.getLogger(__name__).warning)
    failure_of = failure_of_each(ledger, scope_of(address, settings))
    tracker = open_tracker(address, settings=settings)
    try:
        return experiment_of(tracker, address, failure_of)
    finally:
        tracker.close()


def experiment_of(
    tracker: Tracker, address: str, failure_of: Callable[[RunRef], Failure | None]
) -> Experiment:
    """Gather what the page shows from an open tracker.

    Parameters
    ----------
    tracker : Tracker
        Asked for its listing once, and for the histories of at most twenty runs.
    address : str
    failure_of : callable
        Tells why a run failed when it was last tried, None where it did not.
    """
    scored: list[Linked] = []
    others: dict[tuple[str, str], list[RunRef]] = {}
    failed_since = 0
    for ref in tracker.find(_EVERYTHING):
        failure = failure_of(ref)
        if ref.stamp is not None and is_whole(ref.stamp):
            scored.append(Linked(ref, tracker.view(ref).url))
            failed_since += failure is not None
        else:
            others.setdefault(_why(ref, failure, address), []).append(ref)
    unscored = [
        Unscored(*why, len(refs), [Linked(ref, tracker.view(ref).url) for ref in refs[:EXAMPLES]])
        for why, refs in others.items()
    ]
    highest, lowest = extremes(scored)
    view = tracker.view()
    return Experiment(
        address=masked(address),
        url=view.url,
        command=view.command,
        scored=scored,
        unscored=sorted(unscored, key=lambda each: (-each.runs, each.reason)),
        failed_since=failed_since,
        highest=_drawn(tracker, highest),
        lowest=_drawn(tracker, lowest),
        made_at=iso_time(int(time.time() * 1000)),
    )


def _why(ref: RunRef, failure: Failure | None, address: str) -> tuple[str, str]:
    """Return why a run has no score, and what to do about it."""
    backfill = f"dqi backfill {masked(address)}"
    if failure is not None:
        # a reason may name its run, and would then stand alone
        reason = failure.reason.replace(ref.run_id, "…") if len(ref.run_id) >= 8 else failure.reason
        return f"failed: {reason}", failure.fix
    if ref.listed and not ref.loss_keys and not ref.grad_norm_keys:
        missing = missing_metric(ref)
        return missing.message, missing.fix
    if ref.status in RUNNING:
        return f"not ended yet ({ref.status})", f"{backfill} --include-running"
    if ref.status in FAILED:
        return f"ended as {ref.status}", f"{backfill} --include-failed"
    if ref.stamp is not None:
        return "the last write was not finished", backfill
    if address.endswith((".csv", ".parquet")):
        return "a file of curves holds no scores", f"dqi score {address}"
    return "not scored yet", backfill


def _drawn(tracker: Tracker, runs: Sequence[Linked]) -> list[Drawn]:
    drawn: list[Drawn] = []
    while len(drawn) < len(runs):
        batch = runs[len(drawn) : len(drawn) + tracker.batch]
        try:
            readings = tracker.read([run.ref for run in batch])
            for run in batch:
                reading = next(readings, None) or Reading(run.ref)
                drawn.append(Drawn(run, reading.history, _problem(reading)))
        except Exception as error:  # noqa: BLE001 - one bad curve must not cost the others
            problem = masked(str(error) or type(error).__name__)
            drawn.append(Drawn(runs[len(drawn)], problem=problem))
    return drawn


def _problem(reading: Reading) -> str:
    try:
        reading.found()
    except DQIError as error:
        return error.message
    return ""
