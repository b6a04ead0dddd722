"""A tracker's exceptions on their way into ours; how they are sorted, each tracker knows itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dqi_tracking.errors import DQIError, ReadRejected, TrackerError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

Rejected = tuple[type[TrackerError], str]


@contextmanager
def sorted_by(
    sort: Callable[[Exception, str, str, str | None, Rejected], TrackerError],
    what: str,
    address: str,
    *,
    run: str | None = None,
    rejected: Rejected = (ReadRejected, "correct what was asked for"),
) -> Generator[None]:
    """Turn whatever a tracker's client raises inside into one of our errors.

    Parameters
    ----------
    sort : callable
        Returns our error for one of the client's, from all that follows here.
    what : str
        What was being done, for the message: ``"read a history"``.
    address : str
        The tracker, for the message.
    run : str, optional
        The run it was done to.
    rejected : tuple of type and str
        Error, and what to do, where the tracker finds the request invalid.
    """
    try:
        yield
    except DQIError:
        raise
    except Exception as error:
        raise sort(error, what, address, run, rejected) from error


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that led to it."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
