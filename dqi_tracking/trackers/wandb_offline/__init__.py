"""Offline runs of W&B: the `.wandb` files that its client leaves in a folder."""

from __future__ import annotations

from dqi_tracking.trackers.wandb_offline.tracker import WandbOfflineTracker

__all__ = ["WandbOfflineTracker"]
