"""What a forecast has to beat: the last value, and a power law of three parameters."""

from __future__ import annotations

import numpy as np

EXPONENTS = np.geomspace(0.02, 5, 60)


def power_law(step: np.ndarray, loss: np.ndarray, horizon: float) -> float:
    """Extrapolate a + b / t^c by least squares; t counts from one mean gap before the first step.

    a and b are in closed form for each of 60 exponents, of which the best is taken.
    """
    start = step[0] - (step[-1] - step[0]) / (step.size - 1)
    t = (step - start) / (step[-1] - start)
    g = t[:, None] ** -EXPONENTS
    mean = g.mean(axis=0)
    centred = g - mean
    y = loss - loss.mean()
    slope = y @ centred / np.maximum((centred**2).sum(axis=0), 1e-300)
    error = ((y[:, None] - slope * centred) ** 2).sum(axis=0)
    best = int(error.argmin())
    ahead = ((horizon - start) / (step[-1] - start)) ** -EXPONENTS[best]
    return float(loss.mean() + slope[best] * (ahead - mean[best]))


def capped_error(guess: np.ndarray, truth: np.ndarray, extent: np.ndarray) -> np.ndarray:
    """Return the absolute error as a share of the whole curve's 5 to 95 % range, at most 2."""
    return np.minimum(np.abs(guess - truth) / extent, 2)
