"""A population made of the scored runs of an address: nothing is read but the listing."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.cohorts.place import label_of
from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.population import measures
from dqi_tracking.insight.saved_population import Population
from dqi_tracking.names import SCORES
from dqi_tracking.report.printable import printable
from dqi_tracking.stamp import is_whole
from dqi_tracking.trackers.base import Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef, Stamp

_SCORED = ("ok", "flat")


class Saved(NamedTuple):
    """What came of making a population.

    Attributes
    ----------
    population : Population
    n_listed, n_taken : int
        Runs in the listing, and those that the population is made of.
    members : mapping of str to list of RunRef
        Runs of each cohort, newest first.
    """

    population: Population
    n_listed: int
    n_taken: int
    members: Mapping[str, list[RunRef]]


def population_at(
    tracker: Tracker,
    *,
    cohort: str | None = None,
    where: str = "",
    name: str = "",
    weights: Sequence[float] = (0.5, 0.3, 0.2),
) -> Saved:
    """Make a population of the finished, scored runs at an open tracker.

    Parameters
    ----------
    tracker : Tracker
    cohort : str, optional
        Column whose value names the cohort; the experiment or project where left out.
    where : str
        Filter in the tracker's own language.
    name : str
        What the runs are.
    weights : sequence of three floats
        Of the phases, as the runs were scored with.

    Returns
    -------
    Saved
        Of runs scored with other options than most, none is taken: their scores do not compare.

    Raises
    ------
    ConfigError
        When no run is scored, none has the column, or no cohort is large enough.
    TrackerError
        As `Tracker.find`.
    """
    listed = list(tracker.find(Query(where, columns=(cohort,) if cohort else ())))
    scored = [(ref, ref.stamp) for ref in listed if ref.stamp and is_comparable(ref.stamp)]
    if not scored:
        raise ConfigError(
            f"none of {len(listed):,} runs is scored by engine version {ENGINE_VERSION}",
            fix="`dqi backfill` the address first",
        )
    labelled = [(ref, stamp) for ref, stamp in scored if label_of(ref, cohort)]
    if not labelled:
        raise ConfigError(
            f"no scored run has `{printable(cohort or '')}`",
            fix="name a column as in --cohort params.model, or on W&B config.model",
        )
    digests = Counter(map(_digest, labelled))
    digest = digests.most_common(1)[0][0]
    taken = [each for each in labelled if _digest(each) == digest]
    columns = {key: [stamp.metrics.get(key, math.nan) for _, stamp in taken] for key in SCORES}
    labels = [label_of(ref, cohort) for ref, _ in taken]
    population = Population.of(measures(columns, weights=weights), labels, name=name)
    members: dict[str, list[RunRef]] = {name: [] for name in population.cohorts}
    for label, (ref, _) in zip(labels, taken, strict=True):
        members[label].append(ref)
    n_taken = sum(each.size for each in population.cohorts.values())
    return Saved(population, len(listed), n_taken, members)


def is_comparable(stamp: Stamp) -> bool:
    """Tell whether a run's score is whole, a number, and of this engine version."""
    facts = stamp.facts
    is_number = facts.get("status") in _SCORED
    return is_whole(stamp) and facts.get("version") == ENGINE_VERSION and is_number


def _digest(scored: tuple[RunRef, Stamp]) -> str:
    return scored[1].facts["fingerprint"].partition("-")[0]
