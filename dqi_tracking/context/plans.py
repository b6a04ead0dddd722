"""Where a run is to end by its own params, config or tags."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dqi_tracking.types import RunRef

PLANNED_STEPS = (
    "max_steps",
    "total_steps",
    "num_steps",
    "num_train_steps",
    "num_training_steps",
    "training_steps",
    "train_steps",
    "max_train_steps",
    "max_iters",
    "max_iterations",
    "num_iterations",
    "train_iters",
    "total_iterations",
)
"""Params or config keys that name the last step: HF Trainer, Lightning, diffusers, nanoGPT,
Megatron, detectron2."""

PLANNED_EPOCHS = (
    "num_train_epochs",
    "max_epochs",
    "num_epochs",
    "n_epochs",
    "total_epochs",
    "epochs",
)
"""Params or config keys that name the number of epochs: HF Trainer, Lightning, Keras, timm."""

_HOLDERS = ("params", "config", "tags")


def planned_columns() -> tuple[str, ...]:
    """Return the columns of a listing that may tell where a run is to end."""
    names = (*PLANNED_STEPS, *PLANNED_EPOCHS)
    return tuple(f"{holder}.{name}" for holder in _HOLDERS for name in names)


def plans_of(ref: RunRef, names: tuple[str, ...]) -> list[tuple[str, float]]:
    """Return the plans that a run's columns tell: column and value, in the order of the names.

    Parameters
    ----------
    ref : RunRef
        Listed with `planned_columns`.
    names : tuple of str
        `PLANNED_STEPS` or `PLANNED_EPOCHS`.
    """
    found: list[tuple[str, float]] = []
    for name in names:
        for holder in _HOLDERS:
            try:
                value = float(ref.columns.get(f"{holder}.{name}", ""))
            except ValueError:
                continue
            if 0 < value < math.inf:
                found.append((f"{holder}.{name}", value))
    return found
