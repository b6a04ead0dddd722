"""All checks of one run in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.engine.signal import extract
from dqi_tracking.insight.checks.against_cohort import against_cohort
from dqi_tracking.insight.checks.finding import CheckName, Finding, Measure
from dqi_tracking.insight.checks.rows import duplicated_steps, intervals, steps_go_back
from dqi_tracking.insight.checks.values import constant_stretch, levels_and_spikes

if TYPE_CHECKING:
    from dqi_tracking.insight.checks.cohort_curves import CohortCurves
    from dqi_tracking.types import History


def check(history: History, *, cohort: CohortCurves | None = None) -> tuple[Finding, ...]:
    """Say what is odd about a run's log or curve.

    The limits were read off published runs of three workload families; how often runs of each
    family have a finding, and which faults are found, is what `studies/checks_study.py` measures.

    Parameters
    ----------
    history : History
        Loss, or the gradient norm where there is no loss. Rows in any order, though the order of
        logging tells more. Non-finite values are left out, and their rows count as logged.
    cohort : CohortCurves, optional
        Similar runs; without them only the run itself is looked at.

    Returns
    -------
    tuple of Finding
        Empty for a clean run, and for one with too few rows to say. In the order of the checks.
        O(n log n).

    Examples
    --------
    >>> from dqi_tracking import History
    >>> from dqi_tracking.insight.checks import check
    >>> [finding.name for finding in check(History([0, 1, 2, 2, 3], [5.0, 4.0, 3.0, 3.5, 2.0]))]
    ['duplicated_steps']
    """
    measures = measure(history, cohort=cohort)
    found: dict[CheckName, Measure] = {
        name: each for name, each in measures.items() if each.size >= each.limit
    }
    splice, jump = found.get("resume_splice"), found.get("jump")
    if splice is not None and jump is not None and splice.stop_step == jump.stop_step:
        del found["jump"]
    return tuple(
        Finding(name, each.start_step, each.stop_step, each.size, each.words)
        for name, each in found.items()
    )


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # 1e300 saturates
def measure(history: History, *, cohort: CohortCurves | None = None) -> dict[CheckName, Measure]:
    """Return what each check measured, finding or not.

    Parameters
    ----------
    history, cohort
        As in `check`.

    Returns
    -------
    dict of str to Measure
        Without the checks that the run has too few rows for.
    """
    whole = extract(history)
    if whole.source == "none":
        return {}
    logged = history.step
    if whole.source == "grad_norm" and history.grad_step is not None:
        logged = history.grad_step
    found: dict[CheckName, Measure] = {
        "duplicated_steps": duplicated_steps(logged),
        "steps_go_back": steps_go_back(logged),
        **intervals(whole.x),
    }
    clean = extract(history, nan_policy="omit") if whole.n_nonfinite else whole
    if clean.y.size:
        found["constant_stretch"] = constant_stretch(clean.x, clean.y)
        found.update(levels_and_spikes(clean.x, clean.y))
        if cohort is not None:
            found.update(against_cohort(clean.x, clean.y, cohort))
    return found
