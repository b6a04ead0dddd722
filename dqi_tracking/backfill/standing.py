"""The end of a pass: where each scored run stands in its cohort, written where that moved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dqi_tracking.backfill.cohort_ranking import Cohorts, Standings
from dqi_tracking.backfill.executor import carry_out
from dqi_tracking.backfill.schedule import PassStop
from dqi_tracking.cohorts.place import columns_for
from dqi_tracking.errors import DQIError, RunNotFound, TransientTrackerError, masked
from dqi_tracking.trackers.base import Query
from dqi_tracking.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from threading import Event

    from dqi_tracking.backfill.scope import Kind
    from dqi_tracking.pipeline import Pass
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef, Stamp


class RankingAtEnd:
    """Takes note of a pass's runs, and ranks them when all are done.

    Where the query means all finished runs, the listing of the plan is the one that is ranked; a
    narrower one is followed by a listing of all, if anything was scored.

    Parameters
    ----------
    current : Pass
    query : Query
    kind : {"all", "experiment", "run", "path"}
        Of the address; a single run has no cohort to be seen.
    column : str or None
        Column whose value names the cohort.
    is_wanted : bool
        Whether runs are ranked at all: a percentile costs each run one more write.
    is_part : bool
        Whether the pass is over some of the query's runs alone.
    """

    def __init__(
        self,
        current: Pass,
        query: Query,
        kind: Kind,
        column: str | None,
        *,
        is_wanted: bool,
        is_part: bool,
    ) -> None:
        self._current = current
        self._kind = kind
        self._is_on = is_wanted and current.write and kind != "run"
        self._is_all = not (is_part or query.where or query.since or query.limit)
        self._cohorts = Cohorts(current.options.digest, column)
        self._is_scored = False
        # offline runs are read to their ends for a column: only for one that was asked for
        columns = columns_for(column, optimizer=kind != "path") if self._is_on else ()
        self._whole = Query(columns=columns)
        self.query = replace(query, columns=(*query.columns, *columns))

    def note(self, outcome: Outcome) -> None:
        """Take note of what became of a run."""
        self._is_scored |= outcome.outcome == "scored"
        if self._is_on and self._is_all:
            self._cohorts.add(outcome.ref, outcome.stamp or outcome.ref.stamp)

    def write(self, tracker: Tracker, *, jobs: int | None, stop: Event) -> Standings | None:
        """Rank the runs, and write percentiles and cohort where they moved by a point or more.

        What is not written, be it by a stop, a crash or a refusal, is by the next pass: the score
        of a run stands whatever becomes of this.

        Parameters
        ----------
        tracker : Tracker
        jobs : int, optional
            Runs worked on at the same time; as it suits the tracker where left out.
        stop : Event
            Once set, runs that are being worked on are finished and no others begun.

        Returns
        -------
        Standings or None
            None where nothing was ranked.
        """
        if not self._is_on or stop.is_set() or not (self._is_all or self._is_scored):
            return None
        try:
            if not self._is_all:
                for ref in tracker.find(self._whole):
                    self._cohorts.add(ref, ref.stamp)
            # one file of a folder of runs: its cohort is not to be seen from here
            if not len(self._cohorts) or (len(self._cohorts) == 1 and self._kind == "path"):
                return None
            return _write(tracker, self._cohorts, self._current.started, jobs, stop)
        except DQIError as error:
            return Standings(n_failed=len(self._cohorts), reason=error.message, fix=error.fix)


def _write(
    tracker: Tracker, cohorts: Cohorts, started: int, jobs: int | None, stop: Event
) -> Standings:
    found = Standings()
    changes = cohorts.changes(started, found)
    refs = [ref for ref, _ in changes]
    stamps = {ref.run_id: stamp for ref, stamp in changes}

    def work(chunk: Sequence[RunRef]) -> Iterator[Outcome]:
        return _written(tracker, chunk, stamps)

    # a tracker that is down ends this, and leaves the report of the scores
    here = PassStop(stop)
    try:
        for outcome in carry_out(
            work, refs, batch=tracker.batch, jobs=jobs or tracker.jobs, stop=here
        ):
            found.n_written += outcome.outcome == "scored"
            if outcome.outcome == "failed":
                found.n_failed += 1
                found.reason, found.fix = outcome.reason, outcome.fix
    except TransientTrackerError as error:
        found.n_failed = len(refs) - found.n_written
        found.reason, found.fix = error.message, error.fix
    return found


def _written(
    tracker: Tracker, refs: Sequence[RunRef], stamps: Mapping[str, Stamp]
) -> Iterator[Outcome]:
    for ref in refs:
        try:
            tracker.amend(ref, stamps[ref.run_id])
            yield Outcome(ref, "scored")
        except RunNotFound as error:
            yield Outcome(ref, "skipped", error.message)
        except DQIError as error:
            yield Outcome(ref, "failed", error.message, error.fix, transient=error.transient)
        except Exception as error:  # noqa: BLE001 - a defect met on one run must not stop the rest
            reason = masked(f"unexpected {type(error).__name__}: {error}")
            yield Outcome(ref, "failed", reason, "report this as a bug")
