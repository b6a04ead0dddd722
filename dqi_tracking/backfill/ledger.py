"""The memory of backfills on this machine: one SQLite file in the user's state folder.

Only a cache: what is scored stands on the runs. So the file may vanish, break or be out of reach
at any moment; it is then begun anew or done without, and a line says so.

::

    passes    one row a backfill; one that is running is the lease on what it covers
    failures  one row a run that failed and was not scored since
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dqi_tracking.config import Settings

T = TypeVar("T")

VERSION = 1
"""Of the tables; a file of another version is begun anew."""
PATIENCE = 2.0
"""Seconds to wait for another process that holds the file."""

_SCHEMA = (
    """CREATE TABLE passes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL, store TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    pid INTEGER NOT NULL, born TEXT NOT NULL, host TEXT NOT NULL,
    started INTEGER NOT NULL, heartbeat INTEGER NOT NULL, beat REAL NOT NULL, ended INTEGER,
    seconds REAL NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, n_found INTEGER,
    scored INTEGER NOT NULL, unchanged INTEGER NOT NULL, skipped INTEGER NOT NULL,
    failed INTEGER NOT NULL)""",
    """CREATE TABLE failures (
    store TEXT NOT NULL, run TEXT NOT NULL, name TEXT NOT NULL, grouped TEXT NOT NULL,
    reason TEXT NOT NULL, fix TEXT NOT NULL, transient INTEGER NOT NULL,
    attempts INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (store, run)) WITHOUT ROWID""",
)
# SQLite's own words, since Python 3.10 does not tell its codes
_OUT_OF_REACH = ("locked", "readonly", "is full", "unable to open", "disk i/o", "access")


class Unusable(Exception):
    """The ledger cannot be used now; the text says why."""


class Ledger:
    """The file, opened for each transaction, so that it may be replaced at any time.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    tell : callable
        Called with one line when the file was begun anew, and with one when it cannot be used;
        possibly from another thread.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.path = folder / "ledger.db"
        self._tell = tell
        self._is_rebuilt = False
        self._has_told = False

    @classmethod
    def of(cls, settings: Settings, tell: Callable[[str], None]) -> Ledger:
        """Return the ledger that the settings mean; nothing is opened or made."""
        if settings.state_dir is not None:
            folder = Path(settings.state_dir)
        else:
            import platformdirs

            folder = platformdirs.user_state_path("dqi", appauthor=False)
        # where nobody of that name has a home, the folder is what was written
        with suppress(RuntimeError):
            folder = folder.expanduser()
        return cls(folder, tell)

    def attempt(self, work: Callable[[sqlite3.Connection], T], *, writing: bool = True) -> T | None:
        """Do `write` or `read`, or say once that the ledger is done without, and return None."""
        try:
            return self.write(work) if writing else self.read(work)
        except Unusable as trouble:
            if not self._has_told:
                self._has_told = True
                self._tell(
                    f"the ledger {self.path} cannot be used ({trouble}): going on without its "
                    "memory and its lease"
                )
            return None

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work in one transaction that no other writer can come between.

        Parameters
        ----------
        work : callable
            Given a connection; called again where the file had to be begun anew.

        Raises
        ------
        Unusable
            When the file is locked for long, full, read-only or not to be opened.
        """
        try:
            try:
                return self._once(work)
            except (sqlite3.Error, OSError) as error:
                if "locked" in str(error):
                    raise
                self._mend(error)
            return self._once(work)
        except (sqlite3.Error, OSError) as error:
            raise Unusable(_said(error)) from error

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do work that changes nothing; None where there is no ledger yet.

        Raises
        ------
        Unusable
            When the file is there and cannot be read.
        """
        try:
            if not self.path.exists() or not self.path.stat().st_size:
                return None
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as connection:
                connection.execute("BEGIN")
                _check(connection)
                return work(connection)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise Unusable(_said(error)) from error

    def _once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        # closing without a commit rolls back
        with closing(opened) as connection:
            # a power cut may cost this file, which is a cache, so no write waits for the disk
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            if not _is_begun(connection):
                for statement in _SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {VERSION}")
            _check(connection)
            done = work(connection)
            connection.execute("COMMIT")
            return done

    def _mend(self, error: sqlite3.Error | OSError) -> None:
        if isinstance(error, OSError) or _is_out_of_reach(error):
            # another process may just have put a new file in its place: that is tried once more
            return
        if self._is_rebuilt:
            raise error
        self._is_rebuilt = True
        with _alone(self.path.with_name("ledger.lock")):
            if self._is_sound():
                # another process was first
                return
            # SQLite deletes a journal that it finds beside an empty file
            with suppress(FileNotFoundError):
                self.path.replace(self.path.with_name("ledger.db.broken"))
        self._tell(f"the ledger {self.path} was begun anew, the old one is beside it: {error}")

    def _is_sound(self) -> bool:
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE)) as connection:
                if not _is_begun(connection):
                    return True
                _check(connection)
                made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
                return {*_SCHEMA} <= {sql for (sql,) in made} and connection.execute(
                    "PRAGMA quick_check(1)"
                ).fetchone() == ("ok",)
        except sqlite3.Error as error:
            if _is_out_of_reach(error):
                raise
            return False


def storable(text: str) -> str:
    """Return text that SQLite takes: halves of surrogate pairs, as file names have, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_begun(connection: sqlite3.Connection) -> bool:
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    return bool(tables or _version(connection))


def _check(connection: sqlite3.Connection) -> None:
    if (version := _version(connection)) != VERSION:
        raise sqlite3.DatabaseError(f"it has version {version}, this is {VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _is_out_of_reach(error: sqlite3.Error) -> bool:
    return any(words in str(error).lower() for words in _OUT_OF_REACH)


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    """Keep other processes from replacing the file at the same time, where the system can."""
    with lock.open("w") as file:
        if sys.platform != "win32":
            import fcntl

            # given back with the file, also by a process that is killed
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
