"""How long one run may take, and how many requests a minute are sent."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from dqi_tracking.errors import TransientTrackerError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Pace:
    """Requests, evenly spread: never more than so many in any minute.

    Parameters
    ----------
    per_minute : int or None
        None lets all pass at once.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._interval = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, requests: int) -> None:
        """Wait for the turn of so many requests that are sent together."""
        if not self._interval:
            return
        with self._lock:
            now = time.monotonic()
            # the turn of several is that of the last of them, so that no minute holds too many
            turn = max(now, self._next) + (requests - 1) * self._interval
            self._next = turn + self._interval
        time.sleep(turn - now)


class Deadline:
    """Time for the calls that read or write one run; waiting for one's turn does not count.

    The client has waits without an end (a history that is scanned has no timeout), so each call
    goes on a thread of its own, which is left behind once the time is over. Calls that are made
    one after the other stop there: nothing is begun after the deadline.

    Parameters
    ----------
    seconds : float or None
        None waits for ever, on no other thread.
    what, run : str
        For the message: what is being done, and to which run.
    """

    def __init__(self, seconds: float | None, what: str, run: str) -> None:
        self._seconds = seconds
        self._left = seconds or 0.0
        self._what = what
        self._run = run

    def call(self, work: Callable[[], T]) -> T:
        """Return what the call returns, or raise what it raises.

        Raises
        ------
        TransientTrackerError
            When the time is over. What was asked for may still happen.
        """
        if self._seconds is None:
            return work()
        if self._left <= 0:
            raise self._over()
        answer: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()

        def answered() -> None:
            try:
                answer.put((work(), None))
            except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
                answer.put((None, error))

        started = time.monotonic()
        threading.Thread(target=answered, name=f"dqi {self._what}", daemon=True).start()
        try:
            result, error = answer.get(timeout=self._left)
        except Empty:
            raise self._over() from None
        finally:
            self._left -= time.monotonic() - started
        if error is not None:
            raise error
        return result  # pyright: ignore[reportReturnType] - no error, so there is a result

    def _over(self) -> TransientTrackerError:
        return TransientTrackerError(
            f"could not {self._what} within {self._seconds:g} seconds",
            fix="run this again; DQI_DEADLINE sets the seconds for a run",
            run=self._run,
        )
