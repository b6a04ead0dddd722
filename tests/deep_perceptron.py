"""A deep perceptron in numpy, whose first layers starve where it squashes by a sigmoid.

Source of the effect: Glorot & Bengio 2010, "Understanding the difficulty of training deep
feedforward neural networks".
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

WIDTH = 24


def gradient_norms(
    activation: Literal["sigmoid", "tanh"], *, depth: int = 10, steps: int = 120, seed: int = 0
) -> np.ndarray:
    """Train on a noisy function of ten numbers by gradient descent; norms of shape (depth, steps).

    Weights are drawn as Glorot and Bengio propose, which suits tanh.
    """
    rng = np.random.default_rng(seed)
    sizes = [10, *[WIDTH] * (depth - 1), 1]
    weights = [rng.normal(scale=(2 / (a + b)) ** 0.5, size=(a, b)) for a, b in pairwise(sizes)]
    x = rng.normal(size=(512, 10))
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + rng.normal(scale=0.1, size=(512, 1))
    norms = np.empty((depth, steps))
    for step in range(steps):
        rows = rng.integers(512, size=64)
        outputs = [x[rows]]
        for layer, weight in enumerate(weights):
            z = outputs[-1] @ weight
            is_last = layer == depth - 1
            outputs.append(z if is_last else np.tanh(z) if activation == "tanh" else _sigmoid(z))
        error = 2 * (outputs[-1] - y[rows]) / 64
        for layer in reversed(range(depth)):
            grad = outputs[layer].T @ error
            norms[layer, step] = np.linalg.norm(grad)
            out = outputs[layer]
            slope = 1 - out * out if activation == "tanh" else out * (1 - out)
            error = (error @ weights[layer].T) * slope
            weights[layer] = weights[layer] - 0.05 * grad
    return norms


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))
