"""What would stand on a run, for comparison with what does."""

from __future__ import annotations

from dqi_tracking import History, RunRef, Score, Stamp, score
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.stamp import stamp_of


def stamp_for(
    history: History,
    ref: RunRef,
    mark: str = "",
    started: int = 0,
    *,
    scored: Score | None = None,
) -> Stamp:
    """Return the stamp of a history by the engine's own defaults, or with a score of its own."""
    return stamp_of(scored or score(history), insight_of(history), ref, mark, started)
