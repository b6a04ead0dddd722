"""Exact series of one run: nothing sampled, nothing from a cache, and counted.

The client loses rows without a word: where metrics are not named, where an export keeps nested
dictionaries as columns of another form, where a page comes empty. So what is read is held against
what the listing promised, `historyKeys` for the metric and `historyLineCount` for the run.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dqi_tracking.errors import ReadRejected, RunNotFound
from dqi_tracking.trackers.limits import Deadline
from dqi_tracking.trackers.series import history_of
from dqi_tracking.trackers.wandb.failures import translated
from dqi_tracking.trackers.wandb.listing import (
    LAST_STEP,
    counts_of,
    histograms_of,
    n_listed,
    ref_of,
)
from dqi_tracking.trackers.wandb.rows import series_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.trackers.keys import KeyResolver
    from dqi_tracking.trackers.limits import Pace
    from dqi_tracking.trackers.series import Series
    from dqi_tracking.trackers.wandb.client import Client
    from dqi_tracking.types import History, RunRef

REQUESTS_A_SCAN = 3
"""What the client sends for a series that comes in one page."""
PAGE_ROWS = 250_000
"""Rows of one page: what bounds the memory."""
PAGE_WHOLE_ROWS = 10_000
"""Rows of one page where whole rows are read, with all their metrics."""
PAGE_HISTOGRAMS = 20_000
"""Histograms of one page, 1.7 kB each: a row of `wandb.watch` has one for each parameter."""
MOST_HISTOGRAMS = 250_000
"""Histograms of a run above which they are refused rather than read."""
LARGEST_PAGE = 2**31 - 1
"""Steps of one page of whole rows: GraphQL's largest integer."""
MOST_PAGES = 1_000
"""Requests for one series after which it is refused rather than read."""

OWN = frozenset({"_step", "_runtime", "_timestamp"})
"""Columns that the client adds to each row."""


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

        Of a gradient's histogram the norm is read, as `logged_norm` estimates it.

        Raises
        ------
        ReadRejected, RunNotFound, AuthError, TransientTrackerError, TrackerError
            As `read`.
        """
        deadline = Deadline(self._seconds, "read the history", ref.run_id)
        with translated("read the history", self._client.address, run=ref.run_id):
            histograms: dict[str, int] = {}
            # whole rows of a run with layers may be heavy with histograms: learn how many there are
            is_heavy = len(keys) > 1 and bool(ref.layer_metrics)
            if is_heavy or any(key not in ref.latest for key in keys):
                run = self._run_now(ref, deadline)
                listed, histograms = ref_of(run, self._resolver), histograms_of(run)
                ref = replace(listed, latest={**counts_of(run, histograms=True), **listed.latest})
            wanted = [key for key in keys if key in ref.latest and key not in OWN]
            if len(wanted) < 2 and histograms.keys().isdisjoint(wanted):
                return {key: self._series(ref, key, deadline) for key in wanted}
            # rows that are asked for by names come only where all of the names are
            n_histograms = sum(histograms.values())
            found = self._scan(ref, wanted, deadline, whole_rows=True, n_histograms=n_histograms)
            for key in wanted:
                _check_complete(found[key], ref, key)
            return found

    def names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the names of a run's series, gradients' histograms among them."""
        deadline = Deadline(self._seconds, "read the history", ref.run_id)
        with translated("read the history", self._client.address, run=ref.run_id):
            listed = counts_of(self._run_now(ref, deadline), histograms=True)
            return tuple(sorted(listed.keys() - OWN))

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
        self,
        ref: RunRef,
        keys: Sequence[str],
        deadline: Deadline,
        *,
        whole_rows: bool,
        n_histograms: int = 0,
    ) -> dict[str, Series]:
        steps = max(int(ref.latest[LAST_STEP]) + 1, 1)
        # pages are ranges of steps: as many as there are rows to be held at once, however sparse
        size = math.ceil(steps / _n_pages(ref, keys, n_histograms, whole_rows=whole_rows))
        size = min(size, LARGEST_PAGE) if whole_rows else size
        pages = math.ceil(steps / size)
        if whole_rows and pages > MOST_PAGES:
            raise ReadRejected(
                f"reading `{keys[0]}` would take {pages:,} requests, so far apart are its steps",
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
            return series_of(rows, keys, ref.run_id, norms=n_histograms > 0)

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


def _n_pages(ref: RunRef, keys: Sequence[str], n_histograms: int, *, whole_rows: bool) -> int:
    """Return in how many pages a scan comes, so that one of them goes into memory."""
    if n_histograms > MOST_HISTOGRAMS:
        raise ReadRejected(
            f"{n_histograms:,} histograms were logged, and not more than {MOST_HISTOGRAMS:,} are"
            " read",
            fix="log them less often: `log_freq` of `wandb.watch`",
            run=ref.run_id,
        )
    # whole rows come where only other metrics were logged, too
    listed = {*keys, *(ref.latest if whole_rows else ())} - {LAST_STEP}
    n_rows = max((n_listed(ref, key) or 1 for key in listed), default=1)
    at_once = PAGE_WHOLE_ROWS if whole_rows else PAGE_ROWS
    return max(math.ceil(n_rows / at_once), math.ceil(n_histograms / PAGE_HISTOGRAMS))


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
