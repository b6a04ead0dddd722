"""The parts of `phases.json` that hold the score of each phase, and where it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from dqi_tracking.report.json_part import Part, finite

if TYPE_CHECKING:
    from dqi_tracking.types import PhaseScore, Score

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Row = Annotated[int, Field(ge=0)]


class Phase(Part):
    """One phase: its score, its components, and where it lies."""

    dqi: Share | None = Field(
        description="Product of the four components, in [0, 1]; null where no score exists."
    )
    coverage: Share | None = Field(
        description="tanh((points - 1) / 20), in [0, 1]: counts points; null as dqi."
    )
    variation: Share | None = Field(
        description="Twice the standard deviation over the range, in [0, 1]; null as dqi."
    )
    structure: Share | None = Field(
        description="Bend from point to point against steepness, in [0, 1]; null as dqi."
    )
    density: Share | None = Field(
        description="Evenness of the logging interval, in [0, 1]; null as dqi."
    )
    start: Row = Field(description="First row of the sorted signal in the phase.")
    stop: Row = Field(description="Row after its last one: rows are the half-open [start, stop).")
    start_step: float | None = Field(
        description="Training step of the first row, in the run's own unit; null without points."
    )
    stop_step: float | None = Field(
        description="Step at which the next phase starts; the run's last step for the late phase."
    )
    n_points: Row = Field(description="Points in the phase: stop - start.")


class Phases(Part):
    """The three phases, in order."""

    early: Phase
    mid: Phase
    late: Phase


class Boundary(Part):
    """Where one phase ends and the next begins; the point belongs to the later phase."""

    index: Row = Field(description="Row of the sorted signal.")
    step: float | None = Field(description="Training step of that row, in the run's own unit.")


class Boundaries(Part):
    """The two phase boundaries."""

    early_mid: Boundary
    mid_late: Boundary


def phase_part(phase: PhaseScore) -> Phase:
    """Return a phase as the file has it."""
    return Phase(
        dqi=finite(phase.dqi),
        coverage=finite(phase.coverage),
        variation=finite(phase.variation),
        structure=finite(phase.structure),
        density=finite(phase.density),
        start=phase.start,
        stop=phase.stop,
        start_step=finite(phase.start_step),
        stop_step=finite(phase.stop_step),
        n_points=phase.n_points,
    )


def boundaries_part(score: Score) -> Boundaries | None:
    """Return the boundaries as the file has them; None where there are none."""
    if score.boundaries is None or score.boundary_steps is None:
        return None
    early_mid, mid_late = (
        Boundary(index=index, step=finite(step))
        for index, step in zip(score.boundaries, score.boundary_steps, strict=True)
    )
    return Boundaries(early_mid=early_mid, mid_late=mid_late)
