"""Garbage collection as a process of our own wants it: late and seldom.

The trackers' clients are three thousand modules, whose half a million objects stay to the end.
Looking through them again and again takes a third of a second of a start, and a last time at the
exit as long once more.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

YOUNG = 200_000
"""New objects after which Python looks for garbage among them; by default it is some hundreds."""


def collect_seldom() -> None:
    """Look for garbage seldom from now on."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


@contextmanager
def collected_seldom() -> Generator[None]:
    """Look for garbage seldom while this runs, and not at all when the process then ends."""
    collect_seldom()
    try:
        yield
    finally:
        gc.freeze()
