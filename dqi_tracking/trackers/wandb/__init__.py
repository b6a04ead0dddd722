"""Weights & Biases: its cloud, or a self-hosted server, through the client's public API.

`tracker` is the `Tracker`; `client` opens the API; `listing` turns its runs into ours; `history`
reads exact series; `summary`, `files` and `artifacts` write;
`failures` sorts the client's exceptions into ours.
"""

from dqi_tracking.trackers.wandb.tracker import WandbTracker

__all__ = ["WandbTracker"]
