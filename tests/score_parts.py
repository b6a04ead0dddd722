"""Parts of a score, for comparisons."""

from __future__ import annotations

from dqi_tracking import Score
from dqi_tracking.types import COMPONENTS


def without_place(found: Score) -> tuple[object, ...]:
    """Return all of a score that does not speak of steps or of logged units."""
    return (
        found.dqi,
        found.status,
        found.weakest,
        found.boundaries,
        found.n_points,
        found.n_nonfinite,
        *(
            (phase.dqi, *parts_of(phase), phase.start, phase.stop)
            for phase in found.phases.values()
        ),
    )


def parts_of(phase: object) -> tuple[float, ...]:
    return tuple(getattr(phase, name) for name in COMPONENTS)
