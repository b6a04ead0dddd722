"""A bar with rate and remaining time, on a terminal only."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dqi_tracking.cli.table import color_system

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.progress import Task
    from rich.text import Text


UNUSUAL = ("failed", "skipped")
"""Outcomes that the bar counts by themselves."""


class Bar:
    """Counts runs; the listing is not part of what is counted."""

    def plan(self, n_found: int, n_todo: int) -> None:
        """Start counting `n_todo` runs of the `n_found` in the listing."""

    def advance(self, outcome: str = "") -> None:
        """Count one run, and what became of it."""


@contextmanager
def progress_bar(doing: str) -> Generator[Bar]:
    """Show a bar on stderr while inside; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class RateColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.1f} runs/s")

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True, color_system=color_system()),
        # runs differ in length: the remaining time follows the last minute, not the first
        speed_estimate_period=60,
    )

    class TerminalBar(Bar):
        def __init__(self) -> None:
            self._task = progress.add_task("listing runs", total=None)
            self._counts: Counter[str] = Counter()

        def plan(self, n_found: int, n_todo: int) -> None:
            del n_found
            # what the listing alone decided was no work
            self._counts.clear()
            progress.reset(self._task, total=n_todo, description=doing, visible=n_todo > 0)

        def advance(self, outcome: str = "") -> None:
            self._counts[outcome] += 1
            progress.advance(self._task)
            # what goes as it should needs no count of its own: the bar has it
            told = [f"{self._counts[each]:,} {each}" for each in UNUSUAL if self._counts[each]]
            if told and outcome in UNUSUAL:
                progress.update(self._task, description=f"{doing} ({', '.join(told)})")

    with progress:
        yield TerminalBar()
