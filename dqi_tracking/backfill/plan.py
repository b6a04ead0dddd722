"""What there is to do: the listing, sorted into runs to read and outcomes known at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from dqi_tracking.pipeline import Pass, without_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dqi_tracking.trackers.base import Query, Tracker
    from dqi_tracking.types import Outcome, RunRef


def make_plan(
    tracker: Tracker,
    query: Query,
    current: Pass,
    note: Callable[[Outcome], None],
    wanted: Callable[[RunRef], bool] | None = None,
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
    wanted : callable, optional
        Tells which of the runs are part of the pass, and of `query.limit`; all where left out.

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
    for ref in tracker.find(query) if wanted is None else _only(wanted, tracker, query):
        outcome = without_reading(ref, current)
        if outcome is None:
            todo.append(ref)
        else:
            note(outcome)
    return todo


def _only(wanted: Callable[[RunRef], bool], tracker: Tracker, query: Query) -> Iterator[RunRef]:
    found = (ref for ref in tracker.find(replace(query, limit=None)) if wanted(ref))
    return islice(found, query.limit)
