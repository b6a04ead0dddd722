"""Logging metrics and facts onto a run of MLflow, so that the newest show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.trackers.mlflow.erasing import TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from dqi_tracking.types import Stamp

STEP = 0
"""Step of everything written: MLflow shows the largest (step, timestamp, value) of a metric, so
with one fixed step a newer score shows, be it lower."""


def log(client: MlflowClient, run_id: str, stamp: Stamp, timestamp: int) -> None:
    """Log metrics and tags in one batch, the fingerprint as its last tag.

    Parameters
    ----------
    client : MlflowClient
    run_id : str
    stamp : Stamp
    timestamp : int
        Of the metrics, in milliseconds since the epoch.
    """
    from mlflow.entities import Metric, RunTag

    metrics = [Metric(key, value, timestamp, STEP) for key, value in stamp.metrics.items()]
    facts = sorted(stamp.facts.items(), key=lambda fact: fact[0] == "fingerprint")
    tags = [RunTag(f"{TAG}{key}", value) for key, value in facts]
    client.log_batch(run_id, metrics=metrics, tags=tags)
