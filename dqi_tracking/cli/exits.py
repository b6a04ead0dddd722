"""Exit codes of `dqi`, and the signals that end it cleanly."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from enum import IntEnum
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType


class ExitCode(IntEnum):
    """What the caller of `dqi` is told."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    TRACKER = 3
    LEASE_HELD = 75
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class Stop(Event):
    """An event that remembers which exit code it stands for."""

    code = ExitCode.DONE


@contextmanager
def stop_on_signals() -> Generator[Stop]:
    """Set an event on SIGINT or SIGTERM, so that running work ends and no new one begins.

    A second signal ends the process as it would have without this.
    """
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        stop.code = ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
