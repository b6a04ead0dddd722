"""DQI (Data Quality Index) for experiment trackers: pull, score, write back, rank.

The names below are the public API; everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# bound eagerly, and light: the sub-package of the same name would hide a lazy one
from dqi_tracking.backfill import backfill

if TYPE_CHECKING:
    from dqi_tracking.backfill.report import Report
    from dqi_tracking.engine import score, score_many
    from dqi_tracking.errors import (
        AuthError,
        ConfigError,
        DQIError,
        ExperimentNotFound,
        HistoryError,
        LeaseHeld,
        MalformedHistory,
        MissingMetric,
        ReadRejected,
        RunNotFound,
        SchemaMismatch,
        StoreNotFound,
        TrackerError,
        TransientTrackerError,
        WriteRejected,
    )
    from dqi_tracking.insight.backtest import Backtest, backtest
    from dqi_tracking.insight.forecast import (
        Calibration,
        Forecast,
        calibrate,
        forecast,
        forecast_many,
    )
    from dqi_tracking.insight.stopping import Advice, advise
    from dqi_tracking.ranking import rank
    from dqi_tracking.trackers import open_tracker
    from dqi_tracking.trackers.base import Query, Tracker
    from dqi_tracking.types import History, Outcome, PhaseScore, RunRef, Score, Stamp
    from dqi_tracking.unscoring import unscore

__version__ = "0.1.0"

__all__ = [
    "Advice",
    "AuthError",
    "Backtest",
    "Calibration",
    "ConfigError",
    "DQIError",
    "ExperimentNotFound",
    "Forecast",
    "History",
    "HistoryError",
    "LeaseHeld",
    "MalformedHistory",
    "MissingMetric",
    "Outcome",
    "PhaseScore",
    "Query",
    "ReadRejected",
    "Report",
    "RunNotFound",
    "RunRef",
    "SchemaMismatch",
    "Score",
    "Stamp",
    "StoreNotFound",
    "Tracker",
    "TrackerError",
    "TransientTrackerError",
    "WriteRejected",
    "advise",
    "backfill",
    "backtest",
    "calibrate",
    "forecast",
    "forecast_many",
    "open_tracker",
    "rank",
    "score",
    "score_many",
    "unscore",
]

_ERRORS = {name for name in __all__ if name.endswith(("Error", "NotFound", "Rejected"))}
_MODULE = {
    "Advice": "insight.stopping",
    "Backtest": "insight.backtest",
    "Calibration": "insight.forecast",
    "Forecast": "insight.forecast",
    "History": "types",
    "LeaseHeld": "errors",
    "MalformedHistory": "errors",
    "MissingMetric": "errors",
    "Outcome": "types",
    "PhaseScore": "types",
    "Query": "trackers.base",
    "Report": "backfill.report",
    "RunRef": "types",
    "SchemaMismatch": "errors",
    "Score": "types",
    "Stamp": "types",
    "Tracker": "trackers.base",
    "advise": "insight.stopping",
    "backtest": "insight.backtest",
    "calibrate": "insight.forecast",
    "forecast": "insight.forecast",
    "forecast_many": "insight.forecast",
    "open_tracker": "trackers",
    "rank": "ranking",
    "score": "engine",
    "score_many": "engine",
    "unscore": "unscoring",
    **dict.fromkeys(_ERRORS, "errors"),
}


def __getattr__(name: str) -> object:
    # numpy, pandas and the trackers are loaded when a name that needs them is first used
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)
