"""What is written on a run: a score under the names of every tracker, with its commit mark."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dqi_tracking.names import METRICS
from dqi_tracking.types import COMPONENTS, Stamp

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray, History, RunRef, Score


def stamp_of(score: Score, ref: RunRef, fingerprint: str, started: int) -> Stamp:
    """Return what is to stand on a run.

    Parameters
    ----------
    score : Score
    ref : RunRef
        The listing from which the run was read.
    fingerprint : str
        From `fingerprint_of`.
    started : int
        Start of the pass in milliseconds since the epoch.

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
    timestamp = max(started, ref.stamp.timestamp + 1 if ref.stamp else 0)
    return Stamp(
        metrics=dict(zip(METRICS, values, strict=True)),
        facts={
            "status": score.status,
            "weakest": score.weakest or "",
            "signal": score.signal,
            "version": score.version,
            "seen": seen(ref, score.signal),
            "scored_at": iso_time(timestamp),
            "fingerprint": fingerprint,
        },
        timestamp=timestamp,
    )


def fingerprint_of(history: History, score: Score, options_digest: str) -> str:
    """Return the commit mark: what was scored, how, and by which engine.

    Parameters
    ----------
    history : History
        The rows that were read, in the tracker's order.
    score : Score
        Says which series was the signal.
    options_digest : str
        Of the options and the engine's version; it comes first, so that a run scored with others
        is told without reading it.

    Returns
    -------
    str
        ``options-signal``, hexadecimal.
    """
    loss = history.loss
    is_loss = loss is not None and bool(loss.size)
    step = history.step if is_loss or history.grad_step is None else history.grad_step
    value = loss if is_loss else history.grad_norm
    digest = hashlib.sha256(score.signal.encode())
    for array in (step, value):
        if array is not None:
            digest.update(_bytes(array))
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

    It changes when the run's status or end time does, or when a series gets a point that is the
    signal or could take its place.
    """
    is_loss = any(str(key) == signal for key in ref.loss_keys)
    rivals = ref.loss_keys if is_loss else (*ref.loss_keys, *ref.grad_norm_keys)
    # where only reading tells the metrics, the listing knows of none the next time
    parts = sorted({part for key in rivals for part in key.parts}) if ref.listed else []
    if ref.step_key and ref.listed:
        parts.append(ref.step_key)
    listed = [ref.status, ref.ended, signal, [(part, ref.latest.get(part)) for part in parts]]
    if ref.revision:
        listed.append(ref.revision)
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
