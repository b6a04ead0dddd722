"""One pass after the other on one box: never two at once, no pile-up, and a clean stop."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from random import SystemRandom
from threading import Event
from typing import TYPE_CHECKING

from dqi_tracking.errors import ConfigError, DQIError, LeaseHeld, TrackerError

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 10
LONGEST = 30 * 86_400
JITTER = 0.1

NAP = 0.05
"""Seconds between two looks at the stop while waiting."""

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

_draw = SystemRandom().random


def interval_of(text: str) -> int:
    """Return the seconds of an interval.

    Parameters
    ----------
    text : str
        A whole number and a unit: ``90s``, ``15m``, ``2h``, ``1d``, ``1w``.

    Returns
    -------
    int
        In [10, 2,592,000].

    Raises
    ------
    ConfigError
        When it is no interval, shorter than 10 seconds (a pass of nothing to do takes about as
        long) or longer than 30 days.
    """
    given = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if not given:
        raise ConfigError(f"--every `{text}` is no interval", fix="use one such as 90s, 15m or 2h")
    seconds = int(given[1]) * _SECONDS[given[2]]
    if seconds < SHORTEST:
        raise ConfigError(
            f"--every `{text}` leaves the tracker no rest", fix=f"use {SHORTEST}s or more"
        )
    if seconds > LONGEST:
        raise ConfigError(
            f"--every `{text}` is more than a process lives",
            fix="use 30d or less, or let cron start a pass (deploy/)",
        )
    return seconds


def until_next(seconds: float, jitter: float, drawn: float) -> float:
    """Return the seconds from the start of a pass to that of the next.

    Parameters
    ----------
    seconds : float
        The interval, > 0; the mean of what is returned.
    jitter : float
        How far the result may lie from it, as a fraction in [0, 1).
    drawn : float
        A uniform random number in [0, 1).

    Returns
    -------
    float
        In [(1 − jitter) seconds, (1 + jitter) seconds].
    """
    return seconds * (1 + jitter * (2 * drawn - 1))


class PassStop(Event):
    """The stop of one pass: set when that of the whole is.

    Setting it, as a pass does when its tracker is down, ends that pass and no later one.
    """

    def __init__(self, whole: Event) -> None:
        super().__init__()
        self._whole = whole

    def is_set(self) -> bool:
        """Return whether the pass is to end."""
        return super().is_set() or self._whole.is_set()


def repeat(
    seconds: float,
    one_pass: Callable[[Event], str],
    stop: Event,
    *,
    tell: Callable[[str], None],
    passing: tuple[type[DQIError], ...] = (TrackerError, LeaseHeld),
    jitter: float = JITTER,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = datetime.now,
    draw: Callable[[], float] = _draw,
) -> int:
    """Do a pass, wait for the next turn, and so on, until a stop is asked for.

    Turns are counted from the start of the pass before, give or take the jitter. A pass that takes
    longer is followed at once, by one pass, however many turns it missed.

    Parameters
    ----------
    seconds : float
        From the start of one pass to that of the next, > 0.
    one_pass : callable
        Does a pass and returns in one sentence what it did. It is given the stop of that pass,
        which it asks with `is_set`.
    stop : threading.Event
        Set it to end the wait at once, or the pass as soon as the runs that are worked on are done.
    tell : callable
        Called with a line for people: what a pass did, and when the next one starts.
    passing : tuple of type
        Errors that may be gone by the next turn: they are told. All others are raised, at the
        first pass as at any other.
    jitter : float
        As in `until_next`: machines that were started together drift apart.
    clock : callable
        Seconds that only go forward. Where they stand still while the machine is suspended, the
        rest of the wait comes after that.
    sleep : callable
        Lets seconds go by; called with 0.05 at most, so that a stop is seen soon.
    now : callable
        The time of day, for the lines alone.
    draw : callable
        Uniform random numbers in [0, 1).

    Returns
    -------
    int
        The number of passes that were begun.

    Raises
    ------
    ConfigError
        As `one_pass`: what cannot be meant now cannot be meant later.
    """
    n = 0
    while not stop.is_set():
        n += 1
        turn = clock() + until_next(seconds, jitter, draw())
        try:
            done = one_pass(PassStop(stop))
        except passing as error:
            done = f"failed: {error.message} (fix: {error.fix})"
        line = f"{now():%Y-%m-%d %H:%M:%S} pass {n}: {done}"
        if stop.is_set():
            tell(line)
            break
        left = turn - clock()
        if left > 0:
            tell(f"{line}; next at {_at(now(), left)}")
        else:
            tell(f"{line}; took longer than its turn, next at once")
        if _stopped_before(turn, stop, clock, sleep):
            tell(f"{now():%Y-%m-%d %H:%M:%S} stopped between two passes")
    return n


def _stopped_before(
    turn: float, stop: Event, clock: Callable[[], float], sleep: Callable[[float], None]
) -> bool:
    # `stop.wait` in the main thread never returns when a signal's handler sets the event inside it
    while not stop.is_set() and (left := turn - clock()) > 0:
        sleep(min(left, NAP))
    return stop.is_set()


def _at(now: datetime, left: float) -> str:
    then = now + timedelta(seconds=left)
    return f"{then:%H:%M:%S}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M:%S}"
