"""Exact series of one run: nothing sampled, nothing from a cache, and counted.

The client loses rows without a word: where metrics are not named, where an export keeps nested
dictionaries as columns of another form, where a page comes empty. So what is read is held against
what the listing promised, `historyKeys` for the metric and `historyLineCount` for the run.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.errors import ReadRejected, RunNotFound
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.series import Series, history_of
from dqi_tracking.trackers.wandb.failures import translated
from dqi_tracking.trackers.wandb.listing import LAST_STEP, counts_of, n_listed, ref_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dqi_tracking.trackers.keys import KeyResolver
    from dqi_tracking.trackers.limits import Pace
    from dqi_tracking.trackers.wandb.client import Client
    from dqi_tracking.types import History, RunRef

REQUESTS_A_SCAN = 3
"""What the client sends for a series that comes in one page."""
PAGE_ROWS = 250_000
"""Rows of one page: what bounds the memory."""
PAGE_WHOLE_ROWS = 10_000
"""Rows of one page where whole rows are read, with all their metrics."""
LARGEST_PAGE = 2**31 - 1
"""Steps of one page of whole rows: GraphQL's largest integer."""
MOST_PAGES = 1_000
"""Requests for one series after which it is refused rather than read."""

OWN = frozenset({"_step", "_runtime", "_timestamp"})
"""Columns that the client adds to each row."""

_WORDS = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf}


class HistoryReader:
    """Reads the histories of a project's runs.

    Parameters
    ----------
    client : Client
    resolver : KeyResolver
    pace : Pace
    seconds : float
        Deadline of one run.
    """

    def __init__(self, client: Client, resolver: KeyResolver, pace: Pace, seconds: float) -> None:
        self._client = client
        self._resolver = resolver
        self._pace = pace
        self._seconds = seconds

    def read(self, ref: RunRef) -> History:
        """Return the history of a run.

        Raises
        ------
        MissingMetric
            When no loss and no gradient norm was logged.
        ReadRejected
            When fewer points come than were logged, or something that is no number.
        RunNotFound, AuthError, TransientTrackerError, TrackerError
            As W&B answers.
        """
        if not ref.listed:
            raise ReadRejected(
                "W&B counts rows of this run and names none of its metrics",
                fix="open the run in W&B; if it shows curves, run this again later",
                run=ref.run_id,
            )
        deadline = Deadline(self._seconds, "read the history", ref.run_id)
        with translated("read the history", self._client.address, run=ref.run_id):
            return history_of(ref, lambda key: self._series(ref, key, deadline))

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        """Return those of some metrics that hold a point, in the order of `keys`.

        Raises
        ------
        ReadRejected, RunNotFound, AuthError, TransientTrackerError, TrackerError
            As `read`.
        """
        deadline = Deadline(self._seconds, "read the history", ref.run_id)
        with translated("read the history", self._client.address, run=ref.run_id):
            if any(key not in ref.latest for key in keys):
                run = self._run_now(ref, deadline)
                listed = ref_of(run, self._resolver)
                ref = replace(listed, latest={**counts_of(run), **listed.latest})
            wanted = [key for key in keys if key in ref.latest and key not in OWN]
            if len(wanted) < 2:
                return {key: self._series(ref, key, deadline) for key in wanted}
            # rows that are asked for by names come only where all of the names are
            found = self._scan(ref, wanted, deadline, whole_rows=True)
            for key in wanted:
                _check_complete(found[key], ref, key)
            return found

    def names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the names of a run's series."""
        deadline = Deadline(self._seconds, "read the history", ref.run_id)
        with translated("read the history", self._client.address, run=ref.run_id):
            return tuple(sorted(counts_of(self._run_now(ref, deadline)).keys() - OWN))

    def _series(self, ref: RunRef, key: str, deadline: Deadline) -> Series:
        series = self._scan(ref, [key], deadline, whole_rows=False)[key]
        if _is_complete(series, ref, key):
            return series
        # the listing may be older than the rows, and the run may be gone since
        now = self._listed_now(ref, deadline)
        if _is_complete(series, now, key):
            return series
        # an export keeps nested dictionaries so that only whole rows show what is in them
        series = self._scan(now, [key], deadline, whole_rows=True)[key]
        _check_complete(series, now, key)
        return series

    def _scan(
        self, ref: RunRef, keys: Sequence[str], deadline: Deadline, *, whole_rows: bool
    ) -> dict[str, Series]:
        at_once = PAGE_WHOLE_ROWS if whole_rows else PAGE_ROWS
        steps = max(int(ref.latest[LAST_STEP]) + 1, 1)
        # pages are ranges of steps: as many as there are rows to be held at once, however sparse
        pages = math.ceil(max(n_listed(ref, key) or 1 for key in keys) / at_once)
        size = math.ceil(steps / pages)
        if whole_rows:
            size = min(size, LARGEST_PAGE)
            pages = math.ceil(steps / size)
            if pages > MOST_PAGES:
                raise ReadRejected(
                    f"reading `{keys[0]}` would take {pages:,} requests, so far apart are its"
                    " steps",
                    fix="log it under a name without nesting, or over smaller steps",
                    run=ref.run_id,
                )
        self._pace.wait(REQUESTS_A_SCAN + pages - 1)
        run = self._client.run(ref.run_id)

        def scanned() -> dict[str, Series]:
            rows = run.scan_history(
                keys=None if whole_rows else list(keys),
                page_size=size,
                use_cache=False,
            )
            return series_of(rows, keys, ref.run_id)

        return deadline.call(scanned)

    def _listed_now(self, ref: RunRef, deadline: Deadline) -> RunRef:
        return ref_of(self._run_now(ref, deadline), self._resolver)

    def _run_now(self, ref: RunRef, deadline: Deadline) -> Any:
        self._pace.wait(1)
        found = deadline.call(lambda: list(self._client.runs({"name": ref.run_id}, per_page=1))[:1])
        if not found:
            raise RunNotFound(
                f"run `{ref.run_id}` is gone", fix="leave it out: it was deleted", run=ref.run_id
            )
        return found[0]


def _check_complete(series: Series, ref: RunRef, key: str) -> None:
    if _is_complete(series, ref, key):
        return
    promised = n_listed(ref, key)
    of = "its" if promised is None else f"{promised:,}"
    raise ReadRejected(
        f"`{key}` came with {series.step.size:,} of {of} points",
        fix="run this again later; if it stays so, tell whoever runs the W&B server",
        run=ref.run_id,
    )


def _is_complete(series: Series, ref: RunRef, key: str) -> bool:
    promised = n_listed(ref, key)
    return series.step.size >= (1 if promised is None else promised)


def series_of(
    rows: Iterable[Mapping[str, Any]], keys: Sequence[str], run: str
) -> dict[str, Series]:
    """Return some metrics of rows of a history.

    Parameters
    ----------
    rows : iterable of mapping
        Each with its `_step`; rows without a value are passed over.
    keys : sequence of str
        Names of the metrics; dots lead into nested dictionaries.
    run : str
        For the message.

    Returns
    -------
    dict of str to Series
        For each of them, in the order of the rows.

    Raises
    ------
    ReadRejected
        When a value is no number.
    """
    columns = {key: (array("d"), array("d")) for key in keys}
    for row in rows:
        for key, (step, value) in columns.items():
            found = _lookup(row, key)
            if found is None:
                continue
            try:
                value.append(as_number(found))
                step.append(float(row["_step"]))
            except (TypeError, ValueError, KeyError) as error:
                raise ReadRejected(
                    f"`{key}` holds something that is no number at step {row.get('_step')}: "
                    f"{str(found)[:40]!r}",
                    fix="name another metric with --loss-key or --grad-norm-key",
                    run=run,
                ) from error
    return {
        key: Series(np.frombuffer(step), np.frombuffer(value)) if step else _EMPTY
        for key, (step, value) in columns.items()
    }


_EMPTY = Series(np.empty(0), np.empty(0))


def as_number(value: Any) -> float:
    """Return a logged value as a number: whole floats come as int, NaN and infinities as text.

    Raises
    ------
    TypeError, ValueError
        When it is none.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        return _WORDS[word] if word in _WORDS else float(word)
    return float(value)


def _lookup(row: Mapping[str, Any], key: str) -> Any:
    if key in row:
        return row[key]
    head, dot, rest = key.partition(".")
    while dot:
        inside = row.get(head)
        if isinstance(inside, dict) and (found := _lookup(inside, rest)) is not None:  # pyright: ignore[reportUnknownArgumentType]
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None
