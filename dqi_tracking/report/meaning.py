"""What scores, statuses and components mean, in the same words on every page and terminal."""

from __future__ import annotations

from dqi_tracking.insight.convergence import StateName
from dqi_tracking.types import Component, Status

WHAT_IT_IS = (
    "DQI describes the shape of this curve. Compare it only with runs of the same workload, "
    "logged at the same interval; higher does not mean better."
)

STATUSES: dict[Status, str] = {
    "ok": "",
    "flat": "The curve is constant, so there is no shape to describe and DQI is 0.",
    "too_short": "Fewer than three points are left to read, too few for a shape, so DQI is 0.",
    "nan": "Values that are not finite were logged, so there is no score and there are no phases. "
    "The option nan_policy can leave such points out.",
    "no_signal": "The run logged neither a loss nor a gradient norm, so there is nothing to score.",
}

WEAKEST: dict[Component, str] = {
    "coverage": "It counts points, tanh((n - 1) / 20) whatever their spacing: the phases hold few "
    "logged points. 41 points in a phase give 0.96.",
    "variation": "It compares the spread of the values with their range: a few far values, such "
    "as a spike or a steep start, set the range while the rest lie close together.",
    "structure": "It compares how sharply the curve bends from point to point with how steep it "
    "is: a smooth curve scores low, a noisy one high.",
    "density": "It is 1 where points are logged at a regular interval: here the gaps between them "
    "differ.",
}

MEANS: dict[Component, str] = {
    "coverage": "How many points were logged: 41 in a phase give 0.96.",
    "variation": "How far the values spread within their range: a lone spike makes it low.",
    "structure": "How sharply it bends for its slope: a smooth curve is low, a noisy one high.",
    "density": "How even the logging interval is: 1 where it is regular.",
}

STATES: dict[StateName, str] = {
    "learning": "Still learning at the end",
    "converged": "Converged at the end",
    "stuck": "Stuck at the end",
    "plateau": "On a plateau at the end",
    "dead": "Dead at the end",
    "diverging": "Diverging at the end",
    "overfitting": "Overfitting at the end",
    "unknown": "State unknown",
}

STATE_WORTH: dict[StateName, str] = {
    "learning": "Of public runs that were still learning, 85 % fell by more than 2 % of their "
    "range in their last fifth.",
    "converged": "Of public runs that had converged, 6 % still fell by more than 2 % of their "
    "range in their last fifth.",
    "stuck": "Stuck is a rule of thumb that tells no more than a plateau: of public runs called "
    "so, 19 % still fell by more than 2 % of their range in their last fifth, of plateaus 31 %.",
    "plateau": "A plateau is undetermined: of public runs on one, 31 % still fell by more than 2 % "
    "of their range in their last fifth, and 16 % rose.",
    "dead": "Dead is a rule of thumb: no public run was, so what it is worth is not known.",
    "diverging": "Of ten public runs that were diverging, seven rose further.",
    "overfitting": "Overfitting is a rule of thumb: of too few public runs to say what follows.",
    "unknown": "",
}
"""What each state is worth: 1,635 public runs of seven families, judged at 80 % of their steps, by
`studies/convergence_study.py`."""

CHECKS_WORTH = (
    "Of published runs 2 to 8 % have a finding, nearly always a real event, so look at it; a "
    "resume that was spliced in and data that was repeated are often missed."
)
"""What the direct checks are worth, by `studies/checks_study.py`."""

NO_FINDING = "nothing found; splices and repeated data are often missed"
