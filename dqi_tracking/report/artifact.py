"""`phases.json`: the score of one run as a program reads it, by a published JSON Schema.

The schema is committed as `phases.schema.json` beside this file; write it anew with
``python -m dqi_tracking.report.artifact > dqi_tracking/report/phases.schema.json``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from dqi_tracking.errors import ReadRejected
from dqi_tracking.insight.insight import INSIGHT_VERSION, Insight
from dqi_tracking.report.insight_parts import (
    RunFinding,
    RunReading,
    RunState,
    findings_part,
    reading_part,
    state_part,
)
from dqi_tracking.report.json_part import Part, finite
from dqi_tracking.report.printable import printable
from dqi_tracking.report.score_parts import (
    Boundaries,
    Phases,
    Row,
    Share,
    boundaries_part,
    phase_part,
)
from dqi_tracking.types import (
    Component,
    Duplicates,
    NanPolicy,
    RunRef,
    Score,
    Status,
    Units,
)

SCHEMA_VERSION = 2
"""1: the score alone. 2: with state, findings and cohort reading."""

Weight = Annotated[float, Field(ge=0.0, le=1.0)]


class Run(Part):
    """The run that was scored, as its tracker names it; control characters are left out."""

    id: str = Field(description="The tracker's identifier of the run.")
    name: str = Field(description="The name that people gave; may be empty.")
    group: str = Field(description="Experiment or project, by name; may be empty.")


class SignalRead(Part):
    """The series that was scored."""

    key: str = Field(description="Metric name that was read; empty for status no_signal.")
    source: Literal["loss", "grad_norm"] | None = Field(
        description="What that series is; null where the tracker's listing does not say."
    )


class Options(Part):
    """The options that the score was made with."""

    nan_policy: NanPolicy = Field(description="What became of points that are not finite.")
    units: Units = Field(description="Units of phases, components and boundaries.")
    duplicates: Duplicates = Field(description="Which of the rows at one step were read.")
    weights: Annotated[tuple[Weight, Weight, Weight], Field(strict=False)] = Field(
        description="Weights of the early, mid and late phase; they sum to 1."
    )


class PhasesArtifact(Part):
    """The DQI of one run. It describes the shape of a curve: compare runs of one workload only."""

    schema_version: Literal[1, 2] = Field(
        description="Version of this schema; a file of version 1 has no state and no findings."
    )
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
    state: RunState | None = Field(
        None, description="What the run is doing at its end; null in a file of version 1."
    )
    findings: tuple[RunFinding, ...] | None = Field(
        None, strict=False, description="What is odd; empty: nothing. Null in version 1."
    )
    compared_with: str | None = Field(
        None, description="Runs that it was checked against; null where it was by itself."
    )
    cohort_reading: RunReading | None = Field(
        None, description="What is ranked among similar runs; null in a file of version 1."
    )
    phases_from: str | None = Field(
        None,
        description="What the phases follow: auto for the method's rule, else the schedule or the "
        "steps that were used, in words; null in a file of version 1.",
    )
    warnings: tuple[str, ...] = Field(
        strict=False, description="What to bear in mind, one sentence each."
    )
    engine_version: str = Field(description="Changes with any number that the engine computes.")
    insight_version: str | None = Field(
        None, description="Changes with state, findings and cohort reading; null in version 1."
    )
    options: Options
    fingerprint: str = Field(description="Hash of the series read, the versions and the options.")
    scored_at: str = Field(description="When it was scored: ISO 8601, UTC.")


def phases_json(
    score: Score,
    ref: RunRef,
    *,
    insight: Insight,
    options: Mapping[str, object],
    fingerprint: str,
    scored_at: str,
    phases: str = "auto",
) -> bytes:
    """Return `phases.json` of one scored run: the same bytes for the same input.

    Parameters
    ----------
    score : Score
        As the engine returns it. Numbers that are not finite become null.
    ref : RunRef
        The run; its metric keys say whether the loss or the gradient norm was read.
    insight : Insight
        Of the same history.
    options : mapping
        `nan_policy`, `units`, `duplicates` and `weights`, as JSON has them.
    fingerprint : str
        Hash of the series read, the versions and the options.
    scored_at : str
        ISO 8601, UTC.
    phases : str
        What the phases follow, in words.

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
        dqi=finite(score.dqi),
        dqi_raw=finite(score.dqi_raw),
        weakest=score.weakest,
        units=chosen.units,
        phases=Phases(
            early=phase_part(score.early), mid=phase_part(score.mid), late=phase_part(score.late)
        ),
        boundaries=boundaries_part(score),
        n_points=score.n_points,
        n_nonfinite=score.n_nonfinite,
        state=state_part(insight),
        findings=findings_part(insight),
        compared_with=printable(insight.compared_with, limit=300) or None,
        cohort_reading=reading_part(insight),
        phases_from=printable(phases),
        warnings=score.warnings,
        engine_version=score.version,
        insight_version=INSIGHT_VERSION,
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


def _source(score: Score, ref: RunRef) -> Literal["loss", "grad_norm"] | None:
    if score.signal in map(str, ref.loss_keys):
        return "loss"
    return "grad_norm" if score.signal in map(str, ref.grad_norm_keys) else None


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
