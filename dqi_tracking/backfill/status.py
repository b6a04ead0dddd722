"""What the ledger knows of an address: its last passes, and what failed. No tracker is asked."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.backfill.lease import Moment, Sign
from dqi_tracking.backfill.ledger import storable
from dqi_tracking.backfill.scope import Scope

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from dqi_tracking.backfill.ledger import Ledger
    from dqi_tracking.types import RunRef

MAX_PASSES = 10
"""Passes that are told, the last ones."""


@dataclass(frozen=True, slots=True)
class PassStatus:
    """One pass.

    Attributes
    ----------
    address : str
        As the person wrote it.
    state : {"running", "done", "stopped", "failed", "died"}
        `done`: it came to its end, though runs may have failed. `failed`: an error ended it,
        `reason` says which. `died`: its process is gone without a word.
    reason : str
    started : int
        Milliseconds since the epoch.
    seconds : float
        How long it took, or until its last sign.
    pid : int
    host : str
    age : float
        Seconds since its last sign; NaN where it is over.
    n_found : int or None
        Runs in the listing; None before its end.
    scored, unchanged, skipped, failed : int
        Runs by outcome.
    """

    address: str
    state: str
    reason: str
    started: int
    seconds: float
    pid: int
    host: str
    age: float
    n_found: int | None
    scored: int
    unchanged: int
    skipped: int
    failed: int


@dataclass(frozen=True, slots=True)
class Failures:
    """The runs that failed for one reason and were not scored since.

    Attributes
    ----------
    reason, fix : str
    runs : int
    attempts : int
        Most that one of them had.
    run, name : str
        The one that failed last.
    first, last : int
        Milliseconds since the epoch of the earliest first and the latest last failure.
    transient : bool
        Whether another try may help.
    """

    reason: str
    fix: str
    runs: int
    attempts: int
    run: str
    name: str
    first: int
    last: int
    transient: bool


class Status(NamedTuple):
    """What is known of an address: passes, the last first, and failures, the most first."""

    passes: list[PassStatus]
    failures: list[Failures]


def status_of(ledger: Ledger, scope: Scope, at: Moment) -> Status:
    """Return what is known of what a scope covers; nothing where there is no ledger.

    Raises
    ------
    Unusable
        When the ledger cannot be read.
    """
    passes = ledger.read(lambda connection: _passes(connection, scope, at))
    failures = ledger.read(lambda connection: _failures(connection, scope))
    return Status(passes or [], failures or [])


def failed_before(ledger: Ledger, scope: Scope) -> Callable[[RunRef], bool]:
    """Return what tells whether a run failed in an earlier pass and was not scored since.

    None is known to have where the ledger cannot be read.
    """

    def work(connection: sqlite3.Connection) -> frozenset[str]:
        select = "SELECT run FROM failures WHERE store = ?"
        runs = connection.execute(select, (storable(scope.store),))
        return frozenset(run for (run,) in runs)

    known = ledger.attempt(work, writing=False) or frozenset()
    return lambda ref: storable(ref.run_id) in known


def _passes(connection: sqlite3.Connection, scope: Scope, at: Moment) -> list[PassStatus]:
    rows = connection.execute(
        "SELECT store, kind, name, born, heartbeat, beat, address, state, reason, started, "
        "seconds, pid, host, n_found, scored, unchanged, skipped, failed "
        "FROM passes WHERE store = ? ORDER BY id DESC",
        (storable(scope.store),),
    )
    found: list[PassStatus] = []
    for store, kind, name, born, heartbeat, beat, *told in rows:
        address, state, reason, started, seconds, pid, host, *counts = told
        if len(found) == MAX_PASSES or not scope.overlaps(Scope(store, kind, name)):
            continue
        sign = Sign(pid, born, host, Moment(heartbeat, beat))
        age = float("nan")
        if state == "running":
            state, age = ("running", max(0.0, sign.age(at))) if sign.is_alive(at) else ("died", age)
        found.append(PassStatus(address, state, reason, started, seconds, pid, host, age, *counts))
    return found


def _failures(connection: sqlite3.Connection, scope: Scope) -> list[Failures]:
    rows = connection.execute(
        "SELECT reason, fix, run, name, grouped, attempts, first, last, transient FROM failures "
        "WHERE store = ? ORDER BY last",
        (storable(scope.store),),
    )
    by_reason: defaultdict[tuple[str, str], list[Failures]] = defaultdict(list)
    for reason, fix, run, name, grouped, attempts, first, last, transient in rows:
        if _concerns(scope, run, grouped):
            one = Failures(reason, fix, 1, attempts, run, name, first, last, bool(transient))
            # a reason may name its run, and would then stand alone
            by_reason[_without(reason, run), fix].append(one)
    found = [_together(reason, fix, each) for (reason, fix), each in by_reason.items()]
    return sorted(found, key=lambda failures: (-failures.runs, failures.reason))


def _together(reason: str, fix: str, each: list[Failures]) -> Failures:
    latest = each[-1]
    return Failures(
        latest.reason if len(each) == 1 else reason,
        fix,
        runs=len(each),
        attempts=max(one.attempts for one in each),
        run=latest.run,
        name=latest.name,
        first=min(one.first for one in each),
        last=latest.last,
        transient=latest.transient,
    )


def _without(reason: str, run: str) -> str:
    # a short id may be part of any word
    return reason.replace(run, "…") if len(run) >= 8 else reason


def _concerns(scope: Scope, run: str, grouped: str) -> bool:
    if scope.kind == "run":
        return run == storable(scope.name)
    if scope.kind == "experiment" and not scope.name.isdigit():
        return grouped == storable(scope.name)
    # an id of an experiment, or a folder, is nowhere on the run
    return True
