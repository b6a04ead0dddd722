"""What a pass did, in numbers that do not grow with the runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqi_tracking.backfill.cohort_ranking import Standings
    from dqi_tracking.trackers.base import View
    from dqi_tracking.types import Outcome, Outcomes

MAX_FAILURES = 1_000
MAX_REASONS = 100
OTHER_REASONS = "other reasons"


@dataclass(slots=True)
class Report:
    """The counts of one pass.

    Attributes
    ----------
    n_found : int
        Runs in the listing.
    counts : Counter
        Runs by outcome.
    reasons : Counter
        Runs by (outcome, reason), the reason empty where there is nothing to say; a score that is
        no number counts under its status, and what comes after 100 reasons under `other reasons`.
    failures : list of Outcome
        The first 1,000 failed runs.
    dry_run : bool
        Whether nothing was written.
    stopped : bool
        Whether a stop was asked for before the end.
    seconds : float
        How long the pass took.
    view : View or None
        Where the tracker shows the runs sorted, if it has a saved view that the pass kept, or
        would have had it been let.
    standings : Standings or None
        What came of ranking the runs at the end; None where that was not done.
    """

    n_found: int = 0
    counts: Counter[Outcomes] = field(default_factory=Counter["Outcomes"])
    reasons: Counter[tuple[Outcomes, str]] = field(default_factory=Counter["tuple[Outcomes, str]"])
    failures: list[Outcome] = field(default_factory=list["Outcome"])
    dry_run: bool = False
    stopped: bool = False
    seconds: float = 0.0
    view: View | None = None
    standings: Standings | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.counts[outcome.outcome] += 1
        reason = outcome.reason
        if outcome.score is not None and outcome.outcome == "scored":
            reason = "" if outcome.score.status == "ok" else f"status {outcome.score.status}"
        # reasons may name the run or a path, and then there are as many as runs
        known = (outcome.outcome, reason) in self.reasons or len(self.reasons) < MAX_REASONS
        self.reasons[outcome.outcome, reason if known else OTHER_REASONS] += 1
        if outcome.outcome == "failed" and len(self.failures) < MAX_FAILURES:
            self.failures.append(outcome)

    @property
    def n_left(self) -> int:
        """Runs that were found and not reached."""
        return self.n_found - sum(self.counts.values())
