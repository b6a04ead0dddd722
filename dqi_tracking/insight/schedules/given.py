"""Phase boundaries that a person gave, as text: an option, or annotations on a run."""

from __future__ import annotations

import math

from dqi_tracking.errors import ConfigError

EARLY_END = "dqi.phase.early_end"
MID_END = "dqi.phase.mid_end"
"""Names of the annotations: tags, params or config keys of a run."""


def steps_of_text(text: str, *, run: str | None = None) -> tuple[float, float]:
    """Return the two steps of ``"STEP,STEP"``.

    Raises
    ------
    ConfigError
        When there are not two numbers, one is not finite, or they are not in order.
    """
    parts, shown = text.split(","), text.strip()[:40]
    if len(parts) != 2:
        raise ConfigError(
            f"phases {shown!r} are not two steps",
            fix="give the steps at which the early and the mid phase end, such as `500,9000`, "
            "without separators of thousands",
            run=run,
        )
    early, mid = (_step(part, f"phases {shown!r}", run) for part in parts)
    return _in_order(early, mid, run)


def steps_of_annotations(
    early_end: str | None, mid_end: str | None, *, run: str | None = None
) -> tuple[float, float] | None:
    """Return the two steps of a run's annotations; None where it has none.

    Raises
    ------
    ConfigError
        When one of the two is missing, is no finite number, or they are not in order.
    """
    if early_end is None and mid_end is None:
        return None
    if early_end is None or mid_end is None:
        there, missing = (EARLY_END, MID_END) if mid_end is None else (MID_END, EARLY_END)
        raise ConfigError(
            f"the run is annotated with `{there}` but not with `{missing}`",
            fix=f"annotate the run with `{missing}` as well, or take `{there}` off",
            run=run,
        )
    early = _step(early_end, f"`{EARLY_END}`", run)
    mid = _step(mid_end, f"`{MID_END}`", run)
    return _in_order(early, mid, run)


def _step(text: str, where: str, run: str | None) -> float:
    try:
        step = float(text)
    except ValueError:
        step = math.nan
    if not math.isfinite(step):
        shown = text.strip()[:40]
        raise ConfigError(
            f"{shown!r} in {where} is not a step", fix="give a finite number, such as 500", run=run
        )
    return step


def _in_order(early_end: float, mid_end: float, run: str | None) -> tuple[float, float]:
    if early_end >= mid_end:
        raise ConfigError(
            f"the early phase is to end at step {early_end:g}, the mid phase at {mid_end:g}",
            fix="give the earlier step first; between the two lies the mid phase",
            run=run,
        )
    return early_end, mid_end
