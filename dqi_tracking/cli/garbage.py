"""Garbage collection as a short command wants it: late and seldom."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

YOUNG = 200_000
"""New objects after which Python looks for garbage among them; by default it is some hundreds."""


@contextmanager
def collected_seldom() -> Generator[None]:
    """Look for garbage seldom while this runs, and not at all when the process then ends.

    The trackers' clients are three thousand modules, whose half a million objects stay to the end.
    Looking through them again and again takes a third of a second of a start, and a last time at
    the exit as long once more. For a process that is the command's own.
    """
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    try:
        yield
    finally:
        gc.freeze()
