"""MLflow: a SQL store, a server over HTTP, or an `mlruns/` folder.

`tracker` is the `Tracker`; `store` looks at a store before MLflow opens it; `failures` sorts
MLflow's exceptions into ours.
"""

from dqi_tracking.trackers.mlflow.tracker import MlflowTracker

__all__ = ["MlflowTracker"]
