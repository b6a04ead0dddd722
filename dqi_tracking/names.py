"""The names under which DQI stands on a run, the same for every tracker.

Underscores only: W&B sorts and filters nothing else reliably, and MLflow's search takes them
unquoted.
"""

from __future__ import annotations

from dqi_tracking.types import COMPONENTS, PHASES

SCORES: tuple[str, ...] = (
    "dqi",
    "dqi_raw",
    *(f"dqi_{phase}" for phase in PHASES),
    *(f"dqi_{phase}_{name}" for phase in PHASES for name in COMPONENTS),
    "dqi_boundary_early_mid",
    "dqi_boundary_mid_late",
)
"""Metrics of the score, in the order of tables."""

READINGS: tuple[str, ...] = ("dqi_checks", "dqi_loss_lowest", "dqi_grad_late")
"""Metrics of the insight: how many findings there are; lowest loss of 40 bins; median natural
logarithm of the gradient norm over the last fifth."""

METRICS: tuple[str, ...] = (*SCORES, *READINGS)
"""All metrics, in the order of tables."""

STANDING: tuple[str, ...] = ("dqi_percentile", "dqi_loss_percentile", "dqi_grad_percentile")
"""Metrics that a run has among others alone: a backfill writes them at its end."""

FORECAST: tuple[str, ...] = ("dqi_forecast", "dqi_forecast_gain", "dqi_forecast_step")
"""Metrics of runs that are not finished: the loss expected, its gain over now, and at which step. A
backfill writes them where it is asked to."""

FACTS: tuple[str, ...] = (
    "status",
    "weakest",
    "state",
    "checks",
    "signal",
    "phases",
    "version",
    "seen",
    "scored_at",
    "fingerprint",
)
"""Facts, in the order of writing: the last one is the commit mark."""

COHORT_FACTS: tuple[str, ...] = ("cohort", "cohort_size")
"""Facts that are written with `STANDING`: among which runs, and how many."""

LISTED: tuple[str, ...] = (*METRICS, *STANDING, *FORECAST)
"""Metrics that a listing tells, and that are taken off with a score."""

LISTED_FACTS: tuple[str, ...] = (*COHORT_FACTS, *FACTS)
"""Facts, likewise; the commit mark is the last."""

KEY_OF_FACT: dict[str, str] = {fact: f"dqi_{fact}" for fact in LISTED_FACTS} | {
    "checks": "dqi_findings"
}
"""Keys of facts where metrics and facts share one list of names, as in W&B's summary and in our
tables: `dqi_checks` is the metric there."""

FOLDER = "dqi"
"""Folder of the files on a run."""

FILES = ("phases.json", "phases.html")
"""Names of the files that every scored run has."""

LAYERS_FILE = "layers.json"
"""Name of the file of a run that logs a gradient norm for each of its layers."""

OWN_FILES = (*FILES, LAYERS_FILE)
"""Names of all files that are taken off with a score."""
