"""Early parts and outcomes of an address's runs: what a validation asks its question of."""

from __future__ import annotations

import math
import pickle
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import numpy as np

from dqi_tracking.errors import WriteRejected
from dqi_tracking.fitting.logged_columns import number_of, unknown_column
from dqi_tracking.insight.early_part import CONFOUNDS, SIGNALS, Features, features_many
from dqi_tracking.trackers.base import Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.cohorts.finished_runs import FinishedRuns
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import FloatArray, History, RunRef

_CHUNK = 256
"""Histories that are described at once."""
_IN_MEMORY = 1 << 26
"""Bytes of histories that are kept before they go to a temporary file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the runs, in columns by the tracker's own names.

    Attributes
    ----------
    outcome : str
        Holds a number, such as ``metrics.val_loss``.
    group : str
        Column that tells the groups; the experiment or project where empty.
    configurations : tuple of str
        Columns that are the same on repeats of one configuration.
    confounds : tuple of str
        Columns that hold numbers, or names of features, to be held fixed beside `CONFOUNDS`.
    share : float
        Of the run that is seen, in (0, 1].
    where : str
        Filter in the tracker's own language.
    include_failed : bool
        Also failed and killed runs.
    """

    outcome: str
    group: str = ""
    configurations: tuple[str, ...] = ()
    confounds: tuple[str, ...] = ()
    share: float = 0.6
    where: str = ""
    include_failed: bool = False

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that must hold numbers."""
        return (self.outcome, *self.logged_confounds)

    @property
    def logged_confounds(self) -> tuple[str, ...]:
        """Confounds that are columns, not features."""
        return tuple(c for c in self.confounds if c not in (*SIGNALS, *CONFOUNDS))

    @property
    def all_confounds(self) -> tuple[str, ...]:
        """All that is held fixed, each once."""
        return tuple(dict.fromkeys((*CONFOUNDS, *self.confounds)))

    @property
    def query(self) -> Query:
        """What lists the runs with these columns."""
        named = (self.outcome, self.group, *self.configurations, *self.logged_confounds)
        columns = tuple(dict.fromkeys(name for name in named if name))
        return Query(self.where, include_failed=self.include_failed, columns=columns)


@dataclass(frozen=True, slots=True, eq=False)
class EarlyRuns:
    """Runs as `dqi_tracking.insight.validation.validate` takes them, one row each.

    Attributes
    ----------
    features : Features
        Of the early part, then the confounds from columns. NaN on runs that were not read, since
        they have no outcome or no group.
    outcomes : ndarray of shape (runs,)
        NaN where there is none.
    groups : tuple of str
        Empty where there is none.
    configurations : tuple of (tuple of str or None), optional
        None on a run that lacks one of the columns; None altogether where no column was named.
    n_listed : int
        Runs that were listed.
    left_out : mapping of str to int
        How many of them have no row here, by the reason.
    """

    features: Features
    outcomes: FloatArray
    groups: tuple[str, ...]
    configurations: tuple[tuple[str, ...] | None, ...] | None
    n_listed: int
    left_out: dict[str, int] = field(default_factory=dict[str, int])


def listed_runs(tracker: Tracker, asked: Asked) -> list[RunRef]:
    """List the runs of a question, before any is read.

    Raises
    ------
    ConfigError
        When no run has one of the columns (the fix names those there are), or the share is
        outside of (0, 1].
    TrackerError
        As `Tracker.find`.
    """
    features_many([], asked.share)
    query = asked.query
    refs = list(tracker.find(query))
    for column in query.columns if refs else ():
        is_number = column in asked.numbers
        has = (column in ref.columns for ref in refs)
        if column in asked.logged_confounds:
            has = (not math.isnan(number_of(ref.columns.get(column))) for ref in refs)
        if not any(has):
            raise unknown_column(tracker, column, query, is_number=is_number)
    return refs


def can_take_part(ref: RunRef, asked: Asked) -> bool:
    """Tell whether a run has an outcome and a group, and is therefore read."""
    return math.isfinite(number_of(ref.columns.get(asked.outcome))) and bool(_group(ref, asked))


def early_runs(runs: FinishedRuns, refs: Sequence[RunRef], asked: Asked) -> EarlyRuns:
    """Read the runs of a question once, and describe their early parts.

    What is early in a run follows from the median last step of its group, which is known only
    when all were read: histories wait in a temporary file, not in memory.

    Parameters
    ----------
    runs : FinishedRuns
        Those of `refs` that can take part; `failed` tells afterwards which could not be read.
    refs : sequence of RunRef
        All that were listed.
    asked : Asked

    Raises
    ------
    WriteRejected
        When there is no room for the temporary file.
    """
    try:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
            lasts = _keep(runs, kept)
            kept.seek(0)
            read = [ref for ref in runs.refs if ref.run_id in lasts]
            table = _described(kept, _ends(read, lasts, asked), asked.share)
    except OSError as error:
        raise WriteRejected(
            f"histories cannot be kept in `{tempfile.gettempdir()}`: {error.strerror or error}",
            fix="free space there, or set TMPDIR to a folder with room",
        ) from error
    failed = {ref.run_id: f"could not be read ({type(e).__name__})" for ref, e in runs.failed}
    missing = {ref.run_id for ref in runs.refs if ref.run_id not in lasts}
    left_out = Counter(failed.get(run_id, "have no loss") for run_id in missing)
    shown = [ref for ref in refs if ref.run_id not in missing]
    rows = {ref.run_id: row for ref, row in zip(read, table.values, strict=True)}
    nothing = np.full(len(table.names), math.nan)
    values = np.array([rows.get(ref.run_id, nothing) for ref in shown])
    seen = Features(table.names, values.reshape(-1, len(table.names)))
    return EarlyRuns(
        features=seen.beside(_confounds(shown, asked)) if asked.logged_confounds else seen,
        outcomes=_numbers(shown, asked.outcome),
        groups=tuple(_group(ref, asked) for ref in shown),
        configurations=tuple(_configuration(ref, asked) for ref in shown)
        if asked.configurations
        else None,
        n_listed=len(refs),
        left_out=dict(left_out),
    )


def _keep(runs: FinishedRuns, kept: IO[bytes]) -> dict[str, float]:
    """Put the histories that hold a loss into a file, and return the last steps of those runs."""
    lasts: dict[str, float] = {}
    for ref, history in zip(runs.refs, runs.histories(), strict=True):
        if history.loss is not None and history.loss.size:
            lasts[ref.run_id] = float(history.step.max())
            pickle.dump(history, kept, pickle.HIGHEST_PROTOCOL)
    return lasts


def _ends(read: Sequence[RunRef], lasts: dict[str, float], asked: Asked) -> list[float]:
    """Return for each run the median last step of its group."""
    of_group: dict[str, list[float]] = {}
    for ref in read:
        of_group.setdefault(_group(ref, asked), []).append(lasts[ref.run_id])
    medians = {group: float(np.median(steps)) for group, steps in of_group.items()}
    return [medians[_group(ref, asked)] for ref in read]


def _described(kept: IO[bytes], ends: Sequence[float], share: float) -> Features:
    parts = [features_many([], share)]
    for first in range(0, len(ends), _CHUNK):
        chunk = ends[first : first + _CHUNK]
        # our own file, which nobody else can open
        histories: list[History] = [pickle.load(kept) for _ in chunk]  # noqa: S301
        parts.append(features_many(histories, share, end_steps=chunk))
    return Features(parts[0].names, np.concatenate([part.values for part in parts]))


def _confounds(refs: Sequence[RunRef], asked: Asked) -> Features:
    columns = [_numbers(refs, name) for name in asked.logged_confounds]
    return Features(asked.logged_confounds, np.column_stack(columns))


def _numbers(refs: Sequence[RunRef], column: str) -> FloatArray:
    return np.array([number_of(ref.columns.get(column)) for ref in refs], dtype=np.float64)


def _group(ref: RunRef, asked: Asked) -> str:
    return ref.columns.get(asked.group, "") if asked.group else ref.group


def _configuration(ref: RunRef, asked: Asked) -> tuple[str, ...] | None:
    found = tuple(ref.columns.get(name, "") for name in asked.configurations)
    return found if all(name in ref.columns for name in asked.configurations) else None
