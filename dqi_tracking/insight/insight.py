"""What a run says by itself beyond its score: its state, direct checks, cohort readings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dqi_tracking.insight.checks import check
from dqi_tracking.insight.cohort_reading import reading
from dqi_tracking.insight.convergence import state

if TYPE_CHECKING:
    from dqi_tracking.insight.checks import Finding
    from dqi_tracking.insight.cohort_reading import CohortReading
    from dqi_tracking.insight.convergence import State
    from dqi_tracking.types import History

INSIGHT_VERSION = "1"
"""Changes with any number or name that an insight holds; the digest of the options covers it."""


@dataclass(frozen=True, slots=True)
class Insight:
    """What one history says beyond its score.

    Attributes
    ----------
    state : State
        What the run is doing at its end.
    findings : tuple of Finding
        What is odd about its log or curve; empty for a clean run.
    cohort_reading : CohortReading
        What is ranked among similar runs.
    """

    state: State
    findings: tuple[Finding, ...]
    cohort_reading: CohortReading


def insight_of(history: History) -> Insight:
    """Read a run by itself, without its cohort and without a validation loss.

    The options of the score have no part in it: the last row of a step counts, and rows that are
    not finite are left out, so that runs compare whatever they were scored with.

    Parameters
    ----------
    history : History
        Loss and gradient norm as they were logged; rows in any order.

    Returns
    -------
    Insight
        For any history: too little data is the state `unknown`, no finding, or a reading of NaN.
        O(n log n).

    Examples
    --------
    >>> from dqi_tracking import History
    >>> from dqi_tracking.insight.insight import insight_of
    >>> found = insight_of(History(range(40), [1.0 - row / 80 for row in range(40)]))
    >>> found.state.name, found.findings, round(found.cohort_reading.lowest_loss, 3)
    ('learning', (), 0.512)
    """
    return Insight(state(history), check(history), reading(history))
