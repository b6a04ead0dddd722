"""What a run is compared with: the curves of a cohort, and which runs those are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dqi_tracking.insight.checks import CohortCurves


class Comparison(NamedTuple):
    """A cohort to check a run against.

    Attributes
    ----------
    curves : CohortCurves
        Losses of its runs.
    told : str
        Which runs they are, in words. Holds names from a tracker: data, never trusted.
    """

    curves: CohortCurves
    told: str


class Beside(NamedTuple):
    """What there is beside one run.

    Attributes
    ----------
    comparison : Comparison or None
        None where there is nothing to compare with.
    told : str
        What was read, or why nothing is compared, in one sentence. Data, never trusted.
    """

    comparison: Comparison | None
    told: str
