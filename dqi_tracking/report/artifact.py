"""`phases.json`: the score of one run as a program reads it, by a published JSON Schema.

The schema is committed as `phases.schema.json` beside this file; write it anew with
``python -m dqi_tracking.report.artifact > dqi_tracking/report/phases.schema.json``.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dqi_tracking.errors import ReadRejected
from dqi_tracking.report.printable import printable
from dqi_tracking.types import (
    Component,
    Duplicates,
    NanPolicy,
    PhaseScore,
    RunRef,
    Score,
    Status,
    Units,
)

SCHEMA_VERSION = 1

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Row = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0.0, le=1.0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Run(_Part):
    """The run that was scored, as its tracker names it; control characters are left out."""

    id: str = Field(description="The tracker's identifier of the run.")
    name: str = Field(description="The name that people gave; may be empty.")
    group: str = Field(description="Experiment or project, by name; may be empty.")


class SignalRead(_Part):
    """The series that was scored."""

    key: str = Field(description="Metric name that was read; empty for status no_signal.")
    source: Literal["loss", "grad_norm"] | None = Field(
        description="What that series is; null where the tracker's listing does not say."
    )


class Phase(_Part):
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


class Phases(_Part):
    """The three phases, in order."""

    early: Phase
    mid: Phase
    late: Phase


class Boundary(_Part):
    """Where one phase ends and the next begins; the point belongs to the later phase."""

    index: Row = Field(description="Row of the sorted signal.")
    step: float | None = Field(description="Training step of that row, in the run's own unit.")


class Boundaries(_Part):
    """The two phase boundaries."""

    early_mid: Boundary
    mid_late: Boundary


class Options(_Part):
    """The options that the score was made with."""

    nan_policy: NanPolicy = Field(description="What became of points that are not finite.")
    units: Units = Field(description="Units of phases, components and boundaries.")
    duplicates: Duplicates = Field(description="Which of the rows at one step were read.")
    weights: Annotated[tuple[Weight, Weight, Weight], Field(strict=False)] = Field(
        description="Weights of the early, mid and late phase; they sum to 1."
    )


class PhasesArtifact(_Part):
    """The DQI of one run. It describes the shape of a curve: compare runs of one workload only."""

    schema_version: Literal[1] = Field(description="Version of this schema.")
    run: Run
    signal: SignalRead
    status: Status = Field(description="Why the number is what it is; ok: nothing to remark.")
    dqi: Share | None = Field(
        description="Data Quality Index in relative units, in [0, 1]; null where there is none. "
        "Higher does not mean better."
    )
    dqi_raw: Share | None = Field(description="The same in the units that were logged, in [0, 1].")
    weakest: Component | None = Field(
        description="Component with the lowest weighted mean over the phases; null if none."
    )
    units: Units = Field(description="Units of phases, components and boundaries.")
    phases: Phases
    boundaries: Boundaries | None = Field(
        description="Phase boundaries; null for status nan and no_signal."
    )
    n_points: Row = Field(description="Points in the signal.")
    n_nonfinite: Row = Field(description="Points logged as NaN or infinite.")
    warnings: tuple[str, ...] = Field(
        strict=False, description="What to bear in mind, one sentence each."
    )
    engine_version: str = Field(description="Changes with any number that the engine computes.")
    options: Options
    fingerprint: str = Field(description="Hash of the signal read, engine version and options.")
    scored_at: str = Field(description="When it was scored: ISO 8601, UTC.")


def phases_json(
    score: Score,
    ref: RunRef,
    *,
    options: Mapping[str, object],
    fingerprint: str,
    scored_at: str,
) -> bytes:
    """Return `phases.json` of one scored run: the same bytes for the same input.

    Parameters
    ----------
    score : Score
        As the engine returns it. Numbers that are not finite become null.
    ref : RunRef
        The run; its metric keys say whether the loss or the gradient norm was read.
    options : mapping
        `nan_policy`, `units`, `duplicates` and `weights`, as JSON has them.
    fingerprint : str
        Hash of signal, engine version and options.
    scored_at : str
        ISO 8601, UTC.

    Returns
    -------
    bytes
        UTF-8, indented by two, with a newline at the end.
    """
    chosen = Options.model_validate(dict(options))
    artifact = PhasesArtifact(
        schema_version=SCHEMA_VERSION,
        run=Run(id=printable(ref.run_id), name=printable(ref.name), group=printable(ref.group)),
        signal=SignalRead(key=printable(score.signal), source=_source(score, ref)),
        status=score.status,
        dqi=_finite(score.dqi),
        dqi_raw=_finite(score.dqi_raw),
        weakest=score.weakest,
        units=chosen.units,
        phases=Phases(early=_phase(score.early), mid=_phase(score.mid), late=_phase(score.late)),
        boundaries=_boundaries(score),
        n_points=score.n_points,
        n_nonfinite=score.n_nonfinite,
        warnings=score.warnings,
        engine_version=score.version,
        options=chosen,
        fingerprint=fingerprint,
        scored_at=scored_at,
    )
    return artifact.model_dump_json(indent=2).encode() + b"\n"


def read_phases(data: bytes) -> PhasesArtifact:
    """Read `phases.json` back.

    Raises
    ------
    ReadRejected
        When the bytes are cut short or do not follow the schema.
    """
    try:
        return PhasesArtifact.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        fix = "score the run again, which writes the file anew"
        if place == "schema_version":
            fix = "upgrade dqi-tracking to the version that wrote the file, or " + fix
        raise ReadRejected(
            printable(f"phases.json cannot be read: {place}: {first['msg']}", limit=300), fix=fix
        ) from error


def json_schema() -> dict[str, object]:
    """Return the JSON Schema of `phases.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PhasesArtifact.model_json_schema(mode="serialization"),
        "title": f"dqi_tracking phases.json, version {SCHEMA_VERSION}",
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _source(score: Score, ref: RunRef) -> Literal["loss", "grad_norm"] | None:
    if score.signal in map(str, ref.loss_keys):
        return "loss"
    return "grad_norm" if score.signal in map(str, ref.grad_norm_keys) else None


def _phase(phase: PhaseScore) -> Phase:
    return Phase(
        dqi=_finite(phase.dqi),
        coverage=_finite(phase.coverage),
        variation=_finite(phase.variation),
        structure=_finite(phase.structure),
        density=_finite(phase.density),
        start=phase.start,
        stop=phase.stop,
        start_step=_finite(phase.start_step),
        stop_step=_finite(phase.stop_step),
        n_points=phase.n_points,
    )


def _boundaries(score: Score) -> Boundaries | None:
    if score.boundaries is None or score.boundary_steps is None:
        return None
    early_mid, mid_late = (
        Boundary(index=index, step=_finite(step))
        for index, step in zip(score.boundaries, score.boundary_steps, strict=True)
    )
    return Boundaries(early_mid=early_mid, mid_late=mid_late)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
