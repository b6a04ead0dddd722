"""What a pass tells the ledger while it runs: that it lives, how far it is, and what failed.

Nothing of it waits on the way of an outcome: a thread writes once a second what came meanwhile.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dqi_tracking.backfill.lease import Holder, Moment, Sign, holder, now
from dqi_tracking.backfill.ledger import storable
from dqi_tracking.errors import ConfigError, DQIError, masked

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator

    from dqi_tracking.backfill.ledger import Ledger
    from dqi_tracking.backfill.scope import Scope
    from dqi_tracking.types import Outcome, Outcomes

INTERVAL = 1.0
"""Seconds between two transactions."""
MAX_PASSES = 1_000
MAX_FAILURES = 100_000
"""Of one store; runs that fail beyond are tried again all the same, as they carry no score."""
FORGET_AFTER = 90 * 86_400_000
"""Milliseconds after which a failure that was not met again is forgotten: its run is gone."""
LONGEST = 500
"""Characters of a name or reason that are kept."""
OUTCOMES: tuple[Outcomes, ...] = ("scored", "unchanged", "skipped", "failed")

_BEGIN = """INSERT OR REPLACE INTO passes (
    id, token, address, store, kind, name, pid, born, host, started, heartbeat, beat, ended,
    seconds, state, reason, n_found, scored, unchanged, skipped, failed)
    VALUES ((SELECT id FROM passes WHERE token = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL,
    0, 'running', '', NULL, 0, 0, 0, 0)"""
_GO_ON = """UPDATE passes SET heartbeat = ?, beat = ?, seconds = ?, n_found = ?,
    scored = ?, unchanged = ?, skipped = ?, failed = ? WHERE token = ? AND state = 'running'"""
_FAIL = """INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?)
    ON CONFLICT (store, run) DO UPDATE SET name = excluded.name, grouped = excluded.grouped,
    reason = excluded.reason, fix = excluded.fix, transient = excluded.transient,
    attempts = attempts + 1, last = MAX(last, excluded.last)"""


class Recording:
    """One pass in the ledger.

    Parameters
    ----------
    ledger : Ledger
    scope : Scope
    address : str
        As the person wrote it.
    stop : Event
        Set where another backfill took over what this one covers.
    clock : callable
        Returns a `Moment`.
    """

    def __init__(
        self,
        ledger: Ledger,
        scope: Scope,
        address: str,
        stop: threading.Event,
        clock: Callable[[], Moment] = now,
    ) -> None:
        self.n_found: int | None = None
        self.in_the_way: Holder | None = None
        self._ledger = ledger
        self._scope = scope
        self._address = storable(masked(address))
        self._stop = stop
        self._clock = clock
        self._token = uuid.uuid4().hex
        self._start = clock()
        self._counts: Counter[Outcomes] = Counter()
        self._known: set[str] = set()
        self._failed: dict[str, Outcome] = {}
        self._mended: set[str] = set()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="dqi ledger", daemon=True)

    def begin(self) -> None:
        """Take the lease, where the ledger can be used at all.

        Raises
        ------
        LeaseHeld
            When a backfill that overlaps is at work.
        """

        def work(connection: sqlite3.Connection) -> Holder | None:
            # only now, as the ledger may have been waited for
            at = self._clock()
            if found := holder(connection, self._scope, self._token, at):
                return found
            self._insert(connection, at)
            self._forget_old(connection, at)
            store = storable(self._scope.store)
            runs = connection.execute("SELECT run FROM failures WHERE store = ?", (store,))
            self._known = {run for (run,) in runs}
            return None

        if found := self._ledger.attempt(work):
            raise found.error()
        self._thread.start()

    def add(self, outcome: Outcome) -> None:
        """Note what became of one run."""
        run = storable(outcome.ref.run_id)
        with self._lock:
            self._counts[outcome.outcome] += 1
            if outcome.outcome == "failed":
                if run in self._known or len(self._known) < MAX_FAILURES:
                    self._known.add(run)
                    self._mended.discard(run)
                    self._failed[run] = outcome
            elif run in self._known:
                self._known.discard(run)
                self._failed.pop(run, None)
                self._mended.add(run)

    def end(self, state: str, reason: str = "") -> None:
        """Write the last of it, and how the pass ended."""
        self._is_over.set()
        self._thread.join()
        self._write(state, reason)

    def forget(self) -> None:
        """Take the pass out of the ledger, as one that never began."""
        self._is_over.set()
        self._thread.join()
        self._ledger.attempt(
            lambda connection: connection.execute(
                "DELETE FROM passes WHERE token = ?", (self._token,)
            )
        )

    def _keep(self) -> None:
        while not self._is_over.wait(INTERVAL):
            self._write()

    def _write(self, state: str = "", reason: str = "") -> None:
        with self._lock:
            counts = [self._counts[outcome] for outcome in OUTCOMES]
            failed, self._failed = self._failed, {}
            mended, self._mended = self._mended, set()
        store = storable(self._scope.store)

        def work(connection: sqlite3.Connection) -> bool:
            at = self._clock()
            seconds = at.steady - self._start.steady
            goes_on = (at.wall, at.steady, seconds, self.n_found, *counts, self._token)
            gone = not connection.execute(_GO_ON, goes_on).rowcount
            if gone and self.in_the_way is None:
                # the file is a new one, or this process was taken for dead
                self.in_the_way = holder(connection, self._scope, self._token, at)
                if self.in_the_way is None:
                    self._insert(connection, at)
                    connection.execute(_GO_ON, goes_on)
            connection.executemany(
                "DELETE FROM failures WHERE store = ? AND run = ?", ((store, run) for run in mended)
            )
            rows = (_row(store, run, outcome, at) for run, outcome in failed.items())
            connection.executemany(_FAIL, rows)
            if state:
                connection.execute(
                    "UPDATE passes SET state = ?, reason = ?, ended = ? WHERE token = ?",
                    (state, storable(masked(reason))[:LONGEST], at.wall, self._token),
                )
            return True

        if not self._ledger.attempt(work):
            with self._lock:
                # the next second tries again; what came meanwhile is newer
                self._failed = {
                    run: outcome for run, outcome in failed.items() if run not in self._mended
                } | self._failed
                self._mended |= mended - self._failed.keys()
        elif self.in_the_way:
            self._stop.set()

    def _insert(self, connection: sqlite3.Connection, at: Moment) -> None:
        sign = Sign.of_this_process(at)
        scope = (self._scope.store, self._scope.kind, self._scope.name)
        connection.execute(
            _BEGIN,
            (
                self._token,
                self._token,
                self._address,
                *map(storable, scope),
                *(sign.pid, sign.born, sign.host),
                *(self._start.wall, at.wall, at.steady),
            ),
        )

    def _forget_old(self, connection: sqlite3.Connection, at: Moment) -> None:
        connection.execute(
            "DELETE FROM passes WHERE id <= (SELECT MAX(id) FROM passes) - ?", (MAX_PASSES,)
        )
        connection.execute("DELETE FROM failures WHERE last < ?", (at.wall - FORGET_AFTER,))


def _row(store: str, run: str, outcome: Outcome, at: Moment) -> tuple[str | int, ...]:
    ref = outcome.ref
    texts = (ref.name, ref.group, masked(outcome.reason), masked(outcome.fix))
    kept = (storable(text)[:LONGEST] for text in texts)
    return (store, run, *kept, outcome.transient, at.wall, at.wall)


@contextmanager
def recorded(recording: Recording, stop: threading.Event) -> Generator[Recording]:
    """Record a pass from its begin to its end, however it ends.

    Raises
    ------
    LeaseHeld
        When a backfill that overlaps is at work, or took over.
    """
    recording.begin()
    try:
        yield recording
    except ConfigError:
        recording.forget()
        raise
    except DQIError as error:
        recording.end("failed", error.message)
        raise
    except KeyboardInterrupt:
        recording.end("stopped")
        raise
    except BaseException as error:
        recording.end("failed", f"unexpected {type(error).__name__}: {error}")
        raise
    else:
        recording.end("stopped" if stop.is_set() else "done")
    if recording.in_the_way:
        raise recording.in_the_way.error()


@contextmanager
def leased(recording: Recording) -> Generator[None]:
    """Keep backfills off the runs while something else is done to them; no pass is remembered.

    Raises
    ------
    LeaseHeld
        When a backfill that overlaps is at work, or took over.
    """
    recording.begin()
    try:
        yield
    finally:
        recording.forget()
    if recording.in_the_way:
        raise recording.in_the_way.error()
