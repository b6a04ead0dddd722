"""One backfill at a time for what overlaps, on one machine.

A pass that is running in the ledger is the lease on what it covers. It ends with its process: a
process that is gone, or gave no sign for a minute, holds nothing.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.backfill.scope import Scope
from dqi_tracking.errors import LeaseHeld
from dqi_tracking.stamp import iso_time

if TYPE_CHECKING:
    import sqlite3

STALE = 60.0
"""Seconds without a heartbeat after which a process counts as dead."""


class Moment(NamedTuple):
    """Now, on the clock that people set and on the one that nobody does.

    Attributes
    ----------
    wall : int
        Milliseconds since the epoch, to be shown.
    steady : float
        Seconds of the clock that all processes of the machine share, to be compared.
    """

    wall: int
    steady: float


def now() -> Moment:
    """Return this moment."""
    return Moment(int(time.time() * 1000), time.monotonic())


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life that a process gave.

    Attributes
    ----------
    pid : int
    born : str
        Start of the process, by the kernel's count; empty where that is not told. It tells a
        process from a later one with its number.
    host : str
    at : Moment
    """

    pid: int
    born: str
    host: str
    at: Moment

    @classmethod
    def of_this_process(cls, at: Moment) -> Sign:
        """Return a sign of this process."""
        pid = os.getpid()
        return cls(pid, _born(pid) or "", platform.node(), at)

    def age(self, at: Moment) -> float:
        """Return how many seconds ago it was given; the clocks of other machines are taken."""
        if self.host == platform.node():
            return at.steady - self.at.steady
        return (at.wall - self.at.wall) / 1000

    def is_alive(self, at: Moment) -> bool:
        """Tell whether its process still works."""
        # a steady clock that is far back is that of a machine that started again
        if abs(self.age(at)) > STALE:
            return False
        return self.host != platform.node() or _runs(self.pid, self.born)


class Holder(NamedTuple):
    """The running pass that is in the way."""

    address: str
    pid: int
    started: int

    def error(self) -> LeaseHeld:
        """Return what the one that has to stand back is told."""
        return LeaseHeld(
            f"another backfill or unscore of these runs is at work: pid {self.pid} since "
            f"{iso_time(self.started)}, `{self.address}`",
            fix=f"wait until it ends (`dqi backfill {self.address} --status`), or stop it: "
            f"`kill {self.pid}`",
        )


def holder(connection: sqlite3.Connection, scope: Scope, token: str, at: Moment) -> Holder | None:
    """Return who holds what a scope covers; passes of dead processes are noted as died.

    Parameters
    ----------
    connection : sqlite3.Connection
        In a transaction that no other writer can come between, so that of two that ask in the
        same instant one comes first.
    scope : Scope
    token : str
        Of the pass that asks.
    at : Moment
        Now.
    """
    running = connection.execute(
        "SELECT token, address, pid, born, host, started, heartbeat, beat, store, kind, name "
        "FROM passes WHERE state = 'running' AND host = ? AND token != ? ORDER BY id",
        (platform.node(), token),
    ).fetchall()
    found: Holder | None = None
    for its_token, address, pid, born, host, started, heartbeat, beat, *covers in running:
        if not Sign(pid, born, host, Moment(heartbeat, beat)).is_alive(at):
            connection.execute("UPDATE passes SET state = 'died' WHERE token = ?", (its_token,))
        elif found is None and scope.overlaps(Scope(*covers)):
            found = Holder(address, pid, started)
    return found


def _runs(pid: int, born: str) -> bool:
    if sys.platform == "win32":
        # no signal asks whether a process is there; the heartbeat tells
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return not born or _born(pid) in (born, None)


def _born(pid: int) -> str | None:
    """Return the start of a process, empty once it ended; None where the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the name of the program, in brackets, may hold anything
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
