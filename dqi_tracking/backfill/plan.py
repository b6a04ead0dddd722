"""What there is to do: the listing, sorted into runs to read and outcomes known at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.pipeline import Pass, without_reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from dqi_tracking.trackers.base import Query, Tracker
    from dqi_tracking.types import Outcome, RunRef


def make_plan(
    tracker: Tracker, query: Query, current: Pass, note: Callable[[Outcome], None]
) -> list[RunRef]:
    """List the runs to the end before any is written, and return those that must be read.

    Trackers page their listings by offset, so writing while walking one would skip runs.

    Parameters
    ----------
    tracker : Tracker
    query : Query
    current : Pass
    note : callable
        Called with the outcome of each run that needs no reading; it is not kept, so that a store
        of scored runs costs no memory.

    Returns
    -------
    list of RunRef
        A line a run, never a history.

    Raises
    ------
    TrackerError
        As `Tracker.find`.
    """
    todo: list[RunRef] = []
    for ref in tracker.find(query):
        outcome = without_reading(ref, current)
        if outcome is None:
            todo.append(ref)
        else:
            note(outcome)
    return todo
