"""Direct checks: what is odd about a run's log or curve, each by a rule of its own.

They find what a score cannot: a log with missing rows and one without may score alike.
"""

from dqi_tracking.insight.checks.checking import check, measure
from dqi_tracking.insight.checks.cohort_curves import CohortCurves
from dqi_tracking.insight.checks.finding import CheckName, Finding, Measure

__all__ = ["CheckName", "CohortCurves", "Finding", "Measure", "check", "measure"]
