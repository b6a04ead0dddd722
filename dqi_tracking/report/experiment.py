"""What the page over many runs shows: the scores that stand on them, and why others have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dqi_tracking.types import FloatArray, History, RunRef

MOST_DRAWN = 10
"""Runs of the highest DQI that get a small curve, and as many of the lowest."""
EXAMPLES = 3
"""Runs named for each reason why runs have no score."""


class Linked(NamedTuple):
    """A run of the listing, and its page in the tracker's own UI; empty where there is none."""

    ref: RunRef
    url: str = ""

    def metric(self, name: str) -> float:
        """Return a score that stands on the run, in [0, 1]; NaN for what is no such number."""
        value = self.ref.stamp.metrics.get(name, np.nan) if self.ref.stamp else np.nan
        return value if 0.0 <= value <= 1.0 else np.nan

    def fact(self, name: str) -> str:
        """Return a fact that stands on the run; empty where there is none."""
        return self.ref.stamp.facts.get(name, "") if self.ref.stamp else ""


class Drawn(NamedTuple):
    """A run that is shown with its curve, or with why it could not be read."""

    run: Linked
    history: History | None = None
    problem: str = ""


class Unscored(NamedTuple):
    """Runs without a score for one reason.

    Attributes
    ----------
    reason, fix : str
        Why, and what to do about it.
    runs : int
    examples : sequence of Linked
        The newest few of them.
    """

    reason: str
    fix: str
    runs: int
    examples: Sequence[Linked]


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """All runs of an address, as one listing tells them.

    Attributes
    ----------
    address : str
        As the person wrote it, without credentials.
    url, command : str
        The table in the tracker's own UI, and what starts the UI first; empty where there is none.
    scored : sequence of Linked
        Runs that a finished score stands on, those whose DQI is NaN included.
    unscored : sequence of Unscored
        The others by reason, the most frequent first.
    failed_since : int
        Scored runs that could not be scored again when it was last tried.
    highest, lowest : sequence of Drawn
        The runs with a curve, from the end inwards. All that have a DQI are in `highest` where
        there are no more than can be drawn.
    made_at : str
        ISO 8601, UTC.
    """

    address: str
    url: str
    command: str
    scored: Sequence[Linked]
    unscored: Sequence[Unscored]
    failed_since: int
    highest: Sequence[Drawn]
    lowest: Sequence[Drawn]
    made_at: str

    @property
    def n_runs(self) -> int:
        """Runs in the listing."""
        return len(self.scored) + sum(each.runs for each in self.unscored)


def column(runs: Sequence[Linked], name: str) -> FloatArray:
    """Return one score of all runs, shape (n,), in [0, 1]; NaN where a run has no such number."""
    return np.array([run.metric(name) for run in runs], dtype=np.float64)


def extremes(scored: Iterable[Linked]) -> tuple[list[Linked], list[Linked]]:
    """Return the runs of the highest and of the lowest DQI, each from the end inwards.

    All in the first list where they are at most twenty; equal scores in the order of names.
    """
    numbered = [run for run in scored if not np.isnan(run.metric("dqi"))]
    rising = sorted(numbered, key=lambda run: (run.metric("dqi"), run.ref.name, run.ref.run_id))
    falling = sorted(numbered, key=lambda run: (-run.metric("dqi"), run.ref.name, run.ref.run_id))
    if len(numbered) <= 2 * MOST_DRAWN:
        return falling, []
    return falling[:MOST_DRAWN], rising[:MOST_DRAWN]
