"""Training a small transformer whose gradients the real client logs as `wandb.watch` does.

The client's `TorchHistory.log_tensor_stats` needs PyTorch to count; what it logs is
`wandb.Histogram(np_histogram=(counts, edges))`, 64 bins from the lowest to the highest value, one
bin without width where they are equal, under `gradients/{parameter}` of a row that the script's own
`log` commits. The same is logged here of gradients that numpy trained with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny_transformer import Params, Shape, initial, loss_and_gradients
from tests.wandb_server.client import P, wait_for, wandb

Norms = dict[str, list[float]]
BINS = 64


def gradients(
    gains: tuple[float, ...], steps: int, vocabulary: int
) -> Iterator[tuple[float, Params]]:
    """Train to predict the next of some letters, most of which are rare; yield loss and gradients.

    A block whose gain is 0 is cut off: its gradients are 0.
    """
    shape = Shape(vocabulary, gains=gains)
    params = initial(shape)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        # each letter says what the next is, most of the time
        first = rng.zipf(1.5, size=(8, 1)) % vocabulary
        tokens = (first + np.arange(shape.context + 1) * (rng.random((8, 1)) < 0.9)) % vocabulary
        loss, grads = loss_and_gradients(params, tokens, shape)
        for name, grad in grads.items():
            params[name] = params[name] - 0.5 * grad
        yield loss, grads


def watched(grad: np.ndarray) -> Any:
    """Return the histogram that `wandb.watch` logs of a gradient."""
    low, high = float(grad.min()), float(grad.max())
    if low == high:
        return wandb.Histogram(np_histogram=([grad.size], [low, high]))
    return wandb.Histogram(np_histogram=np.histogram(grad, bins=BINS, range=(low, high)))


def train_watched(
    run_id: str,
    *,
    gains: tuple[float, ...] = (1.0, 0.0),
    steps: int = 45,
    vocabulary: int = 300,
    offline: Path | None = None,
) -> Norms:
    """Train a run online, or into a folder, and return the true norms of its gradients."""
    norms: Norms = {}
    where = {"mode": "offline", "dir": str(offline)} if offline else {}
    with wandb.init(project=P, entity="team", id=run_id, **where) as run:
        for loss, grads in gradients(gains, steps, vocabulary):
            for name, grad in grads.items():
                norms.setdefault(name, []).append(float(np.linalg.norm(grad)))
                run.log({f"gradients/{name}": watched(grad)}, commit=False)
            run.log({"loss": loss})
    if offline:
        (told,) = offline.glob("wandb/offline-run-*/logs/debug-internal.log")
        # the client comes back before the end of the file is written
        wait_for(lambda: "stream: all finished" in told.read_text())
    return norms
