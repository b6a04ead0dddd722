"""Runs with a training and a validation loss: which of them falls, and which rises at the end."""

from __future__ import annotations

import math

Points = list[tuple[int, float]]

STEPS = 240
EVERY = 8


def training(steps: int = STEPS, *, wave: float = 0.01) -> Points:
    """Return a loss that falls to its end, at every second step."""
    return [(step, 4 - 3 * step / STEPS + wave * math.sin(step)) for step in range(0, steps, 2)]


def falling(steps: int = STEPS) -> Points:
    """Return a validation loss that falls along, at odd steps, where no training loss is."""
    return [(step, 4.2 - 2.5 * step / STEPS) for step in range(3, steps, EVERY)]


def rising(steps: int = STEPS) -> Points:
    """Return a validation loss that falls for the first half, and rises from there."""
    return [(step, 2.5 + 3 * abs(step / STEPS - 0.5)) for step in range(3, steps, EVERY)]
