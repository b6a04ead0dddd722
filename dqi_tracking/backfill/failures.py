"""Which runs failed in the backfills of this machine, each with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.backfill.ledger import storable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from dqi_tracking.backfill.ledger import Ledger
    from dqi_tracking.backfill.scope import Scope
    from dqi_tracking.types import RunRef


class Failure(NamedTuple):
    """Why a run was not scored when it was last tried, and what to do about it."""

    reason: str
    fix: str


def failure_of_each(ledger: Ledger, scope: Scope) -> Callable[[RunRef], Failure | None]:
    """Return what tells why a run failed, None where it did not, or was scored since.

    Parameters
    ----------
    ledger : Ledger
    scope : Scope
        Failures of its whole store are known.

    Returns
    -------
    callable
        None of any run where the ledger is not there or cannot be read.
    """

    def work(connection: sqlite3.Connection) -> dict[str, Failure]:
        select = "SELECT run, reason, fix FROM failures WHERE store = ?"
        rows = connection.execute(select, (storable(scope.store),))
        return {run: Failure(reason, fix) for run, reason, fix in rows}

    known = ledger.attempt(work, writing=False) or {}
    return lambda ref: known.get(storable(ref.run_id))
