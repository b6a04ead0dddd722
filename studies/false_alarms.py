"""How often the direct checks have a finding on runs without a fault."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from injected_faults import cleaned
from real_curves import Run, markdown

from dqi_tracking import History
from dqi_tracking.insight.checks import CohortCurves, check

MIN_ROWS = 30


def usable(run: Run) -> History | None:
    """Return the finite rows of a run's loss, in order; None for too few."""
    ok = np.isfinite(run.history.loss)
    if ok.sum() < MIN_ROWS:
        return None
    step, first = np.unique(run.history.step[ok], return_index=True)
    return History(step, run.history.loss[ok][first])


def false_alarms(runs: list[Run]) -> str:
    """Return the share of runs with any finding: events taken out, and as published."""
    cohorts: dict[str, list[History]] = defaultdict(list)
    for run in runs:
        if np.isfinite(run.history.loss).any():
            cohorts[run.cohort].append(run.history)
    curves = {name: CohortCurves.of(each) for name, each in cohorts.items() if len(each) >= 8}
    counts: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    names: Counter[str] = Counter()
    for place, run in enumerate(runs):
        history = usable(run)
        eventless = False
        if history is not None:
            rng = np.random.default_rng([77, place])
            eventless = bool(check(History(*cleaned(history.step, history.loss, rng))))
        alone = check(run.history)
        both = check(run.history, cohort=curves.get(run.cohort))
        names.update({finding.name for finding in both})
        for key in (run.family, "all of these"):
            counts[key].append((eventless, bool(alone), bool(both)))
    rows = [
        [family, len(each), *(f"{100 * share:.1f}" for share in np.mean(each, axis=0))]
        for family, each in counts.items()
    ]
    told = ", ".join(f"{name} {n}" for name, n in names.most_common())
    head = ["family", "runs", "events taken out %", "as published %", "with cohort %"]
    return f"{markdown(head, rows)}\n\nRuns by finding: {told}"
