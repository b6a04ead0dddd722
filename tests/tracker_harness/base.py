"""What every store does for the tests, and what some of them cannot hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from dqi_tracking import History, Outcome, Query, Report, backfill, open_tracker, rank
from dqi_tracking.config import Settings, load_settings
from dqi_tracking.trackers.base import Reading, Tracker
from dqi_tracking.types import RunRef

Points = Sequence[tuple[int, float | str]]


class Harness(ABC):
    """Runs in one store behind one tracker.

    `cannot` says of what the store does not hold why that is so; a test that needs it is skipped.
    The columns say under which names a listing brings metrics and params along.
    """

    address: str
    cannot: Mapping[str, str] = {}
    metric_column = "metrics.{}"
    param_column = "params.{}"
    given: Mapping[str, Any] = {}

    @abstractmethod
    def add(
        self,
        name: str,
        metrics: Mapping[str, Points],
        *,
        status: str = "FINISHED",
        params: Mapping[str, str] | None = None,
    ) -> str:
        """Put a run in, younger than those before, with things of a person's; return its id."""

    @abstractmethod
    def extend(self, run: str, key: str, points: Points) -> None:
        """Log more points of a metric, as a script that goes on does."""

    @abstractmethod
    def delete(self, run: str) -> None:
        """Delete a run, as somebody else does."""

    @abstractmethod
    def owned(self, run: str) -> object:
        """Return everything on a run that is not of DQI, to be compared."""

    @abstractmethod
    def files(self, run: str) -> dict[str, bytes]:
        """Return the files of DQI on a run, by name."""

    @abstractmethod
    def writes(self) -> object:
        """Return what is the same as before only where nothing was written since."""

    def n_histories(self) -> int:
        """Return how many histories were asked for so far."""
        return pytest.skip("nothing stands between this tracker and its files to count")

    def n_requests(self) -> int:
        """Return how often the store was asked for anything so far."""
        return pytest.skip("nothing stands between this tracker and its files to count")

    def filter_for(self, name: str) -> str | None:
        """Return a filter that means one run; None where the tracker has no filters."""
        del name
        return None

    def needs(self, *what: str) -> None:
        """Skip the test where the store cannot hold something."""
        for each in what:
            if each in self.cannot:
                pytest.skip(f"no {each}: {self.cannot[each]}")

    def settings(self, **given: Any) -> Settings:
        return load_settings(**{**self.given, **given})

    @contextmanager
    def opened(self, **given: Any) -> Iterator[Tracker]:
        """Open the tracker at the store, and close it at the end."""
        tracker = open_tracker(self.address, settings=self.settings(**given))
        try:
            yield tracker
        finally:
            tracker.close()

    def find(self, query: Query | None = None, **given: Any) -> list[RunRef]:
        with self.opened(**given) as tracker:
            return list(tracker.find(query or Query()))

    def ref(self, run: str) -> RunRef:
        """Return one run as the tracker lists it."""
        everything = Query(include_failed=True, include_running=True)
        (found,) = [ref for ref in self.find(everything) if ref.run_id == run]
        return found

    def read(self, refs: Iterable[RunRef], **given: Any) -> list[Reading]:
        with self.opened(**given) as tracker:
            return list(tracker.read(list(refs)))

    def history(self, run: str, **given: Any) -> History:
        """Return the history of one run as the tracker reads it."""
        with self.opened(**given) as tracker:
            refs = [ref for ref in tracker.find(Query()) if ref.run_id == run]
            (reading,) = tracker.read(refs)
            return reading.found()

    def backfill(self, **given: Any) -> tuple[Report, dict[str, Outcome]]:
        """Run one pass; return its report, and the outcome of each run by id."""
        outcomes: list[Outcome] = []
        report = backfill(
            self.address, settings=self.settings(), on_outcome=outcomes.append, **given
        )
        by_run = {outcome.ref.run_id: outcome for outcome in outcomes}
        assert len(by_run) == len(outcomes), "a run came twice"
        return report, by_run

    def rank(self) -> Any:
        return rank(self.address, settings=self.settings())


def rows_of(metrics: Mapping[str, Points]) -> list[dict[str, Any]]:
    """Return metrics as rows of steps; the second value of a metric at a step has a second row."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for key, points in metrics.items():
        seen: dict[int, int] = {}
        for step, value in points:
            seen[step] = seen.get(step, 0) + 1
            rows.setdefault((step, seen[step]), {"_step": step})[key] = value
    return [rows[place] for place in sorted(rows)]
