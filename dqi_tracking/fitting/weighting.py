"""Phase scores and outcomes of an address's runs, from what the listing tells: nothing is read."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.engine import ENGINE_VERSION
from dqi_tracking.errors import ConfigError
from dqi_tracking.fitting.logged_columns import number_of, unknown_column
from dqi_tracking.stamp import is_whole
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import PHASES

if TYPE_CHECKING:
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import FloatArray, RunRef, Stamp

NO_OUTCOME = "without the outcome"
"""Reason why a run is left out."""

_UNSCORED = "not scored"
_SCORED = ("ok", "flat")
"""Statuses whose phase scores say something of a curve."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Runs that have both a score and an outcome.

    Attributes
    ----------
    phases : ndarray of shape (n, 3)
        Early, mid, late, in [0, 1].
    outcomes : ndarray of shape (n,)
        As logged; never NaN.
    groups : tuple of str
        Label of each run.
    n_listed : int
        Runs that were listed.
    left_out : mapping of str to int
        How many of them are not here, by the reason.
    n_options : int
        Scoring options among the runs here; phase scores of different ones do not compare.
    """

    phases: FloatArray
    outcomes: FloatArray
    groups: tuple[str, ...]
    n_listed: int
    left_out: dict[str, int] = field(default_factory=dict[str, int])
    n_options: int = 1


def scored_runs(
    tracker: Tracker,
    outcome: str,
    *,
    group: str = "",
    where: str = "",
    include_failed: bool = False,
) -> Scored:
    """Collect the phase scores and outcomes of the runs at an open tracker.

    Parameters
    ----------
    tracker : Tracker
    outcome : str
        Column of the tracker that holds a number, such as ``metrics.val_loss``.
    group : str
        Column whose value is the same on runs that can be compared; the experiment or project
        where left out.
    where : str
        Filter in the tracker's own language.
    include_failed : bool
        Also failed and killed runs.

    Raises
    ------
    ConfigError
        When no run has the outcome or the group (the fix names those there are), or none is
        scored.
    TrackerError
        As `Tracker.find`.
    """
    columns = (outcome, group) if group else (outcome,)
    query = Query(where, include_failed=include_failed, columns=columns)
    kept: list[tuple[list[float], float, str]] = []
    options: set[str] = set()
    left_out: Counter[str] = Counter()
    met: Counter[str] = Counter()
    n_listed = 0
    for ref in tracker.find(query):
        n_listed += 1
        met.update(ref.columns.keys())
        reason, stamp = _why_not(ref, outcome, group), ref.stamp
        if reason or stamp is None:
            left_out[reason] += 1
            continue
        label = ref.columns[group] if group else ref.group
        kept.append((_phases(stamp), float(ref.columns[outcome]), label))
        options.add(stamp.facts["fingerprint"].partition("-")[0])
    for column in columns if n_listed else ():
        if not met[column]:
            raise unknown_column(tracker, column, query, is_number=column == outcome)
    if left_out[_UNSCORED] == n_listed:
        raise ConfigError(
            f"none of {n_listed:,} runs is scored",
            fix="`dqi backfill` the address first; a file of curves holds no scores",
        )
    return Scored(
        np.array([phases for phases, _, _ in kept]).reshape(-1, len(PHASES)),
        np.array([value for _, value, _ in kept]),
        tuple(label for _, _, label in kept),
        n_listed,
        dict(left_out),
        len(options),
    )


def _why_not(ref: RunRef, outcome: str, group: str) -> str:
    """Say why a run cannot take part; empty where it can."""
    if ref.stamp is None or not is_whole(ref.stamp):
        return _UNSCORED
    if ref.stamp.facts.get("version") != ENGINE_VERSION:
        return "scored by another engine version"
    if ref.stamp.facts.get("status") not in _SCORED:
        return "without a score that is a number"
    if not all(map(math.isfinite, _phases(ref.stamp))):
        return "without a score that is a number"
    if outcome not in ref.columns:
        return NO_OUTCOME
    if math.isnan(number_of(ref.columns[outcome])):
        return "with an outcome that is no number"
    if group and group not in ref.columns:
        return "without a group"
    return ""


def _phases(stamp: Stamp) -> list[float]:
    return [stamp.metrics.get(f"dqi_{phase}", math.nan) for phase in PHASES]
