"""Where a run stands among others, in sentences: by what is written on it, or by a population."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.cohorts.place import optimizer_of, place_of
from dqi_tracking.insight.cohort import CohortRanks
from dqi_tracking.insight.population import MIN_COHORT, Standing
from dqi_tracking.names import STANDING
from dqi_tracking.report.printable import printable
from dqi_tracking.stamp import standing_mark

if TYPE_CHECKING:
    from dqi_tracking.cohorts.choice import Against
    from dqi_tracking.cohorts.place import Place
    from dqi_tracking.insight.comparison import Beside
    from dqi_tracking.insight.insight import Insight
    from dqi_tracking.types import RunRef

_DQI, _LOSS, _GRAD = STANDING


def written_standing(ref: RunRef, mark: str) -> list[str]:
    """Return what is written on a run about its place in its cohort.

    Parameters
    ----------
    ref : RunRef
        With the columns of its optimizer, where they are known.
    mark : str
        Fingerprint of the score that is explained: the place of another one is not told.
    """
    if standing_mark(ref) != mark:
        return []
    place = place_of(ref.stamp)
    if place is None:
        return [
            "among other runs: not written yet; `dqi backfill` of its experiment or project ranks "
            f"the finished runs of cohorts of {MIN_COHORT} or more"
        ]
    cohort = f"of cohort `{printable(place.cohort)}`"
    readings = CohortRanks(
        _of(place, _LOSS), _of(place, _GRAD), np.array([bool(optimizer_of(ref))])
    )
    told = [f"it stands at {_words(place.percentiles[_DQI], place.sizes[_DQI])} {cohort} by DQI"]
    sentences = (readings.loss_sentence(0), readings.grad_sentence(0))
    return [
        text
        for name, text in zip(STANDING, (*told, *sentences), strict=True)
        if math.isfinite(place.percentiles[name])
    ]


def population_standing(found: Against, name: str) -> list[str]:
    """Return where a run stands against a population of that name."""
    where = f"of `{printable(found.cohort)}` ({printable(name)})"
    if found.reason:
        runs = "1 run" if found.size == 1 else f"{found.size:,} runs"
        return [f"no percentile among {runs} {where}: {found.reason}"]
    told = [f"it stands at {_words(found.percentile, found.size)} {where} by DQI"]
    if found.weakest:
        told.append(
            f"against them, {found.weakest} is its weakest component, at percentile "
            f"{found.weakest_percentile:.0f}"
        )
    return told


def cohort_compared(beside: Beside, insight: Insight) -> str:
    """Return which runs a run was checked against, or why none."""
    if beside.comparison and not insight.compared_with:
        return "compared with no cohort: the run has no loss"
    return beside.told


def _words(percentile: float, size: int) -> str:
    return f"percentile {percentile:.0f} of {size:,} runs"


def _of(place: Place, name: str) -> Standing:
    return Standing(
        np.array([place.percentiles[name]]), np.array([place.sizes[name]]), np.array([True])
    )
