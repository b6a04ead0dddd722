"""The parts of `phases.json` that go beyond the score: state, findings, cohort reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from dqi_tracking.insight.checks import CheckName
from dqi_tracking.insight.convergence import StateName
from dqi_tracking.report.json_part import Part, finite
from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.insight.insight import Insight


class RunState(Part):
    """What the run is doing at its end: a heuristic, with the numbers it follows from."""

    name: StateName = Field(description="The state; plateau: flat, undetermined.")
    sentence: str = Field(description="The same in words.")
    evidence: dict[str, float | None] = Field(
        description="Numbers behind it; shares are of the loss's range; null: not logged."
    )
    validation_key: str | None = Field(
        None, description="Metric that was read as the validation loss; null where none was."
    )


class RunFinding(Part):
    """One thing about the log or the curve that a person should look at."""

    name: CheckName = Field(description="The check that found it.")
    start_step: float | None = Field(description="Step from which on it lies.")
    stop_step: float | None = Field(description="Step up to which it lies, included.")
    size: float | None = Field(
        description="How strong it is, in the unit that the sentence tells; null: without bounds."
    )
    sentence: str = Field(description="What is there, in words; not what caused it.")


class RunReading(Part):
    """What is ranked among runs of a cohort."""

    lowest_loss: float | None = Field(description="Lowest of the medians of 40 bins over the run.")
    late_grad_norm: float | None = Field(
        description="Median natural logarithm of the gradient norm over the last 20 %."
    )


def state_part(insight: Insight) -> RunState:
    """Return the state as the file has it."""
    found = insight.state
    evidence = {name: finite(value) for name, value in found.evidence.items()}
    return RunState(
        name=found.name,
        sentence=found.sentence,
        evidence=evidence,
        validation_key=printable(insight.validation_key) or None,
    )


def findings_part(insight: Insight) -> tuple[RunFinding, ...]:
    """Return the findings as the file has them."""
    return tuple(
        RunFinding(
            name=found.name,
            start_step=finite(found.start_step),
            stop_step=finite(found.stop_step),
            size=finite(found.size),
            sentence=found.sentence,
        )
        for found in insight.findings
    )


def reading_part(insight: Insight) -> RunReading:
    """Return the cohort reading as the file has it."""
    found = insight.cohort_reading
    return RunReading(
        lowest_loss=finite(found.lowest_loss), late_grad_norm=finite(found.late_grad_norm)
    )
