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
    from dqi_tracking.insight.comparison import Comparison
    from dqi_tracking.insight.convergence import State
    from dqi_tracking.types import History

INSIGHT_VERSION = "2"
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
    validation_key : str
        Name of the validation loss that was read for the state; empty where none was. Data, never
        trusted.
    compared_with : str
        Runs that it was checked against, in words; empty where it was looked at by itself. Data,
        never trusted.
    """

    state: State
    findings: tuple[Finding, ...]
    cohort_reading: CohortReading
    validation_key: str = ""
    compared_with: str = ""


def insight_of(history: History, comparison: Comparison | None = None) -> Insight:
    """Read a run by itself, or beside the curves of its cohort.

    The options of the score have no part in it: the last row of a step counts, and rows that are
    not finite are left out, so that runs compare whatever they were scored with.

    Parameters
    ----------
    history : History
        Loss, gradient norm and validation loss as they were logged; rows in any order. The state
        alone is judged with the validation loss.
    comparison : Comparison, optional
        Curves that the run is checked against, if it has a loss.

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
    validation = history.validation
    # a cohort is one of losses: a gradient norm has no place in it
    beside = comparison if history.loss is not None and history.loss.size else None
    return Insight(
        state(history, validation=validation),
        check(history, cohort=beside and beside.curves),
        reading(history),
        "" if validation is None else validation.loss_key,
        beside.told if beside else "",
    )
