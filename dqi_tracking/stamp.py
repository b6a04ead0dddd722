"""What is written on a run: score and insight under the names of every tracker, and a mark."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dqi_tracking.context.phase_plan import AUTO, SCHEDULE, phase_columns
from dqi_tracking.names import COHORT_FACTS, METRICS, STANDING
from dqi_tracking.types import COMPONENTS, Stamp

if TYPE_CHECKING:
    from dqi_tracking.insight.insight import Insight
    from dqi_tracking.types import FloatArray, History, RunRef, Score

_ANNOTATIONS = phase_columns(SCHEDULE)


def stamp_of(
    score: Score,
    insight: Insight,
    ref: RunRef,
    fingerprint: str,
    started: int,
    phases: str = AUTO,
) -> Stamp:
    """Return what is to stand on a run.

    Parameters
    ----------
    score : Score
    insight : Insight
        Of the same history.
    ref : RunRef
        The listing from which the run was read.
    fingerprint : str
        From `fingerprint_of`.
    started : int
        Start of the pass in milliseconds since the epoch.
    phases : str
        `PhasePlan.told`.

    Returns
    -------
    Stamp
        Dated after whatever stands there, so that trackers which show the latest value show this
        one, even where a clock was set back.
    """
    boundary_steps = score.boundary_steps or (float("nan"), float("nan"))
    values = [score.dqi, score.dqi_raw, *(phase.dqi for phase in score.phases.values())]
    for phase in score.phases.values():
        values.extend(getattr(phase, name) for name in COMPONENTS)
    values.extend(boundary_steps)
    reading = insight.cohort_reading
    # where nothing was logged, nothing was checked
    n_findings = float("nan") if score.status == "no_signal" else float(len(insight.findings))
    values.extend((n_findings, reading.lowest_loss, reading.late_grad_norm))
    metrics, facts = _no_standing(ref.stamp)
    timestamp = later(started, ref.stamp)
    return Stamp(
        metrics=dict(zip(METRICS, values, strict=True)) | metrics,
        facts=facts
        | {
            "status": score.status,
            "weakest": score.weakest or "",
            "state": insight.state.name,
            # each check is named once at most: all of them fit into a tag
            "checks": ",".join(finding.name for finding in insight.findings),
            "signal": score.signal,
            "phases": phases,
            "version": score.version,
            "seen": seen(ref if insight.validation_key else _unwatched(ref), score.signal),
            "scored_at": iso_time(timestamp),
            "fingerprint": fingerprint,
        },
        timestamp=timestamp,
        standing_at=timestamp if metrics else 0,
    )


def _unwatched(ref: RunRef) -> RunRef:
    """Return a run without the validation losses that could not be read: they are tried again."""
    return replace(ref, validation_keys=()) if ref.validation_keys else ref


def later(started: int, stamp: Stamp | None) -> int:
    """Return the time of a pass, or one after all that stands on a run where a clock went back."""
    return max(started, stamp.timestamp + 1, stamp.standing_at + 1) if stamp else started


def _no_standing(stamp: Stamp | None) -> tuple[dict[str, float], dict[str, str]]:
    """Return what blots out percentiles of an older score: where a run stands is not known yet."""
    if stamp is None:
        return {}, {}
    metrics = {
        name: math.nan for name in STANDING if math.isfinite(stamp.metrics.get(name, math.nan))
    }
    return metrics, {fact: "" for fact in COHORT_FACTS if stamp.facts.get(fact)}


def fingerprint_of(
    history: History, options_digest: str, boundaries: tuple[float, float] | None = None
) -> str:
    """Return the commit mark: what was read, how, and by which engine.

    Parameters
    ----------
    history : History
        The rows that were read, in the tracker's order.
    options_digest : str
        Of the options and the versions of engine and insight; it comes first, so that a run
        scored with others is told without reading it.
    boundaries : (early_end_step, mid_end_step), optional
        Steps that the phases were given, where the rule did not find them.

    Returns
    -------
    str
        ``options-series``, hexadecimal.
    """
    digest = hashlib.sha256()
    # what is logged beside the loss counts too: state and reading are made of it
    grad_step = history.step if history.grad_step is None else history.grad_step
    series = [
        (history.loss_key, history.step, history.loss),
        (history.grad_norm_key, grad_step, history.grad_norm),
    ]
    if history.validation is not None:
        beside = history.validation
        series.append((f"validation {beside.loss_key}", beside.step, beside.loss))
    for key, step, value in series:
        if value is not None and value.size:
            digest.update(f" {key} {value.size} ".encode())
            digest.update(_bytes(step))
            digest.update(_bytes(value))
    if boundaries is not None:
        digest.update(f" phases {boundaries!r} ".encode())
    return f"{options_digest}-{digest.hexdigest()[:32]}"


def is_whole(stamp: Stamp) -> bool:
    """Tell whether a write was finished: the mark is there, and it is that of the metrics.

    A tracker may commit metrics and facts apart. After a crash in between, an older mark stands
    beside newer metrics; the facts then tell another time than the metrics.
    """
    if "fingerprint" not in stamp.facts:
        return False
    return not stamp.timestamp or stamp.facts.get("scored_at") == iso_time(stamp.timestamp)


def standing_mark(ref: RunRef) -> str | None:
    """Return the fingerprint of the score that stands on a run; None where none is whole."""
    return ref.stamp.facts["fingerprint"] if ref.stamp and is_whole(ref.stamp) else None


def seen(ref: RunRef, signal: str) -> str:
    """Return what the listing says of a run and the series to read from it, as 16 hex digits.

    It changes when the run's status or end time does, or when a series gets a point that may be
    the loss, the gradient norm, the validation loss or a learning rate that was asked for, or when
    annotations of phases do.
    """
    series = (*ref.loss_keys, *ref.grad_norm_keys, *ref.rate_keys, *ref.validation_keys)
    # where only reading tells the metrics, the listing knows of none the next time
    parts = sorted({part for key in series for part in key.parts}) if ref.listed else []
    if ref.step_key and ref.listed:
        parts.append(ref.step_key)
    listed = [ref.status, ref.ended, signal, [(part, ref.latest.get(part)) for part in parts]]
    if ref.revision:
        listed.append(ref.revision)
    annotations: list[tuple[str, str | None]] = [
        (name, ref.columns[name]) for name in _ANNOTATIONS if name in ref.columns
    ]
    if annotations:
        listed.append(annotations)
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


def iso_time(milliseconds: int) -> str:
    """Return a time in milliseconds since the epoch as ISO 8601 in UTC."""
    seconds, rest = divmod(milliseconds, 1000)
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc).replace(microsecond=rest * 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bytes(array: FloatArray) -> bytes:
    # one NaN is as good as another, and zero has no sign
    canonical = array + 0.0
    canonical[canonical != canonical] = float("nan")
    return canonical.astype("<f8").tobytes()
