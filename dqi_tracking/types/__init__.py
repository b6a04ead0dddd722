"""The objects that travel from tracker to engine and back: frozen, slotted, without behaviour."""

from __future__ import annotations

from dqi_tracking.types.history import (
    FloatArray,
    History,
)
from dqi_tracking.types.run import (
    MetricKey,
    Outcome,
    Outcomes,
    RunRef,
)
from dqi_tracking.types.score import (
    COMPONENTS,
    PHASES,
    Component,
    Duplicates,
    NanPolicy,
    PhaseName,
    PhaseScore,
    Score,
    Stamp,
    Status,
    Units,
)

__all__ = [
    "COMPONENTS",
    "PHASES",
    "Component",
    "Duplicates",
    "FloatArray",
    "History",
    "MetricKey",
    "NanPolicy",
    "Outcome",
    "Outcomes",
    "PhaseName",
    "PhaseScore",
    "RunRef",
    "Score",
    "Stamp",
    "Status",
    "Units",
]
