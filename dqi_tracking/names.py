"""The names under which DQI stands on a run, the same for every tracker.

Underscores only: W&B sorts and filters nothing else reliably, and MLflow's search takes them
unquoted.
"""

from __future__ import annotations

from dqi_tracking.types import COMPONENTS, PHASES

METRICS: tuple[str, ...] = (
    "dqi",
    "dqi_raw",
    *(f"dqi_{phase}" for phase in PHASES),
    *(f"dqi_{phase}_{name}" for phase in PHASES for name in COMPONENTS),
    "dqi_boundary_early_mid",
    "dqi_boundary_mid_late",
)
"""Metrics, in the order of tables."""

FACTS: tuple[str, ...] = (
    "status",
    "weakest",
    "signal",
    "version",
    "seen",
    "scored_at",
    "fingerprint",
)
"""Facts, in the order of writing: the last one is the commit mark."""

FOLDER = "dqi"
"""Folder of the files on a run."""

FILES = ("phases.json", "phases.html")
"""Names of the files."""
