"""Finished runs of an address in bulk, to calibrate a forecast on and to replay advice on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dqi_tracking.cohorts.place import label_of
from dqi_tracking.errors import MissingMetric
from dqi_tracking.insight.backtest import backtest
from dqi_tracking.insight.forecasting.calibration import calibrate
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dqi_tracking.errors import DQIError
    from dqi_tracking.insight.backtest import Backtest
    from dqi_tracking.insight.forecasting.calibration import Calibration
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef


@dataclass(slots=True)
class FinishedRuns:
    """The finished runs at an open tracker, read in chunks: their histories are never all held.

    Parameters
    ----------
    tracker : Tracker
    refs : sequence of RunRef
    on_run : callable
        Called as each run was read.

    Attributes
    ----------
    failed : list of (RunRef, DQIError)
        Runs that could not be read, once `histories` is drawn; those without a loss are no
        failures.
    """

    tracker: Tracker
    refs: Sequence[RunRef]
    on_run: Callable[[], None]
    failed: list[tuple[RunRef, DQIError]] = field(default_factory=list["tuple[RunRef, DQIError]"])

    @classmethod
    def find(
        cls, tracker: Tracker, *, where: str, limit: int | None, cohort: str | None = None
    ) -> FinishedRuns:
        """List the finished runs, with the column that tells their cohorts."""
        columns = (cohort,) if cohort else ()
        return cls(tracker, list(tracker.find(Query(where, limit=limit, columns=columns))), _pass)

    def histories(self) -> Iterator[History]:
        """Yield one history for each run, in order; an empty one where there is none to read."""
        size = max(self.tracker.batch, 1)
        for first in range(0, len(self.refs), size):
            for reading in self.tracker.read(self.refs[first : first + size]):
                if reading.error is not None and not isinstance(reading.error, MissingMetric):
                    self.failed.append((reading.ref, reading.error))
                self.on_run()
                yield reading.history or History([])

    def calibration(self, name: str, *, higher_is_better: bool) -> Calibration:
        """Calibrate on the runs; see `calibrate`."""
        return calibrate(self.histories(), higher_is_better=higher_is_better, name=name)

    def backtest(
        self, *, cohort: str | None, higher_is_better: bool, calibration: Calibration | None
    ) -> Backtest:
        """Replay stop advice on the runs; see `backtest`.

        Groups are the runs' experiments, or the values of a column; a run without it is alone.
        Where all runs share one, each is its own group.
        """
        labels = [label_of(ref, cohort) or ref.run_id for ref in self.refs]
        return backtest(
            self.histories(),
            groups=labels if len(set(labels)) > 1 else None,
            higher_is_better=higher_is_better,
            calibration=calibration,
        )


def _pass() -> None:
    """Do nothing."""
