"""The error tree: what went wrong, on which run, and what to do about it.

::

    DQIError
    ├── ConfigError                an option, setting or address that cannot be meant
    ├── HistoryError
    │   ├── MalformedHistory       arrays that are no history
    │   └── MissingMetric          a run without any loss or gradient norm
    ├── LeaseHeld                  another backfill of the same runs is at work
    └── TrackerError
        ├── StoreNotFound          nothing at the address
        ├── SchemaMismatch         a store of another MLflow version
        ├── ExperimentNotFound
        ├── RunNotFound
        ├── AuthError              refused: who you are, or what you may do
        ├── ReadRejected           the tracker answered, with something unreadable
        ├── WriteRejected          the tracker or the disk does not take the write
        └── TransientTrackerError  worth another try (the only class that is retried)

Every error carries `fix`: one line that says what to do next.
"""

from __future__ import annotations

import re
from typing import ClassVar

# a password may hold slashes and at-signs: rather too much is hidden than too little
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@:]*(?::\S*)?(?=@)")

_SECRET_PARAMETER = re.compile(r"(?<=[?&])(\w*(?:password|token|secret|key)\w*)=[^&\s'\"]+", re.I)


def masked(text: str) -> str:
    """Return the text with the credentials of every URL in it replaced by ``***``."""
    return _SECRET_PARAMETER.sub(r"\1=***", _CREDENTIALS.sub("***", text))


class DQIError(Exception):
    """Root of all errors of this package.

    Parameters
    ----------
    message : str
        What happened, lower case, one line.
    fix : str
        What the person can do about it, one line.
    run : str, optional
        Identifier of the run it happened on.
    """

    transient: ClassVar[bool] = False

    def __init__(self, message: str, *, fix: str, run: str | None = None) -> None:
        # drivers and HTTP clients quote the URL they were given
        self.message = masked(message)
        self.fix = masked(fix)
        super().__init__(self.message)
        self.run = run

    def __reduce__(self) -> tuple[object, ...]:
        # keyword-only parameters do not survive the default pickling between worker processes
        return _rebuild, (type(self), self.message, self.fix, self.run)


def _rebuild(kind: type[DQIError], message: str, fix: str, run: str | None) -> DQIError:
    return kind(message, fix=fix, run=run)


class ConfigError(DQIError):
    """An option, a setting or an address that cannot be meant."""


class HistoryError(DQIError):
    """A history that cannot be scored."""


class MalformedHistory(HistoryError):
    """Arrays that are no history: not one-dimensional, of unequal length, steps not finite."""


class MissingMetric(HistoryError):
    """A run without any loss or gradient norm."""


class LeaseHeld(DQIError):
    """Another backfill on this machine is at work on the same runs."""


class TrackerError(DQIError):
    """The tracker did not do what was asked; trying again would not help."""


class StoreNotFound(TrackerError):
    """Nothing at the address."""


class SchemaMismatch(TrackerError):
    """The store was written by another MLflow version than the one installed."""


class ExperimentNotFound(TrackerError):
    """The store holds no such experiment."""


class RunNotFound(TrackerError):
    """The store holds no such run, or it was deleted."""


class AuthError(TrackerError):
    """The tracker refused: wrong credentials, or not allowed."""


class ReadRejected(TrackerError):
    """The tracker answered, but not with something that can be read."""


class WriteRejected(TrackerError):
    """The tracker or its disk does not take the write."""


class TransientTrackerError(TrackerError):
    """The tracker is down, busy or slow; worth another try."""

    transient: ClassVar[bool] = True
