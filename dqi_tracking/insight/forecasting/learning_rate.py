"""Follow the learning rate instead of time alone, once it has begun to decay.

The loss is fitted as L0 + A / (S1 + shift)^exponent − C·S2: S1 is the learning rate summed over
time, S2 the annealing so far, each decay of the rate taking effect with a delay.

Source: Tissue, Wang & Wang 2024, arXiv 2408.11029; Luo et al. 2025 (multi-power law),
arXiv 2503.12811. Coefficients A, C ≥ 0 in closed form on a grid of exponents, shifts and
delays; weights by rolling-origin error, as in `rolling`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.forecasting.window import CENTRES

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

_EXPONENTS = np.array((0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5))
_SHIFTS = np.array((0.003, 0.01, 0.03, 0.1, 0.3))
_MEMORIES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Time a decay takes to show in the loss, as shares of the seen part."""

_ORIGINS = ((0.6, 0.3), (0.75, 0.7))
_DECAYED = 0.5
"""Share of its peak that the rate must be under: before, there is little to learn from."""

_MIN_BINS = 12
_MAX_AHEAD = 10.0
_CELLS = 150
"""Cells of the time grid in one seen part."""


def follow_rate(
    mean: FloatArray, weight: FloatArray, u: FloatArray, rate: FloatArray, ahead: float
) -> float | None:
    """Foretell the drop of one run from its learning rate.

    Parameters
    ----------
    mean, weight : ndarray of shape (48,)
        Binned loss, as in `Window`.
    u : ndarray of shape (m,), rising
        Times of the rate as shares of the seen part; those after 1 are the plan.
    rate : ndarray of shape (m,), finite, ≥ 0
        Learning rate, in any unit. Where the plan ends before the horizon, the slope of the last
        fifth of what is known is carried on, not below 0.
    ahead : float
        Horizon, as a multiple of the seen part.

    Returns
    -------
    float or None
        Fall of the loss from now to the horizon, in units of the run. None where the rate is not
        yet under half of its peak, fewer than 12 bins hold points since its
        peak, or the horizon is over ten times the seen part.
    """
    if ahead > _MAX_AHEAD or u.size < 2 or not rate.max() > 0:
        return None
    grid = np.linspace(0, ahead, max(int(_CELLS * ahead), 2))
    path = _path(grid, u, rate / rate.max())
    seen = grid <= 1
    peak = float(grid[path[seen].argmax()])
    since = weight * (peak <= CENTRES)
    if path[seen][-1] > _DECAYED * path[seen].max() or np.count_nonzero(since) < _MIN_BINS:
        return None
    progress, annealing = _regressors(grid, path)
    at = np.concatenate((CENTRES, (1.0, ahead)))
    first = np.stack([np.interp(at, grid, progress)[None] + _SHIFTS[:, None]])
    first = (first ** -_EXPONENTS[:, None, None]).reshape(-1, at.size)
    second = -np.stack([np.interp(at, grid, one) for one in annealing])
    pairs = (first.repeat(len(second), axis=0), np.tile(second, (len(first), 1)))
    return _weighed(pairs, mean, since * CENTRES**0.75)


def _path(grid: FloatArray, u: FloatArray, rate: FloatArray) -> FloatArray:
    known = np.interp(grid, u, rate)
    after = grid > u[-1]
    tail = u >= u[-1] - 0.2 * (u[-1] - u[0])
    if after.any() and np.count_nonzero(tail) > 2:
        time = u[tail] - u[-1]
        centred = time - time.mean()
        slope = (centred @ rate[tail]) / max(float(centred @ centred), 1e-12)
        known[after] = np.maximum(rate[-1] + min(slope, 0.0) * (grid[after] - u[-1]), 0)
    return known


def _regressors(grid: FloatArray, path: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    """S1, and S2 for each memory and for none, on the grid; S1 is 1 now."""
    cell = float(grid[1] - grid[0])
    progress = np.cumsum(path) * cell
    progress /= max(float(np.interp(1, grid, progress)), 1e-12)
    decay = np.maximum(-np.diff(path, prepend=path[0]), 0)
    decay[: int(path.argmax())] = 0
    annealing = [np.cumsum(decay)]
    for memory in _MEMORIES:
        response = 1 - np.exp(-grid / memory)
        annealing.append(np.convolve(decay, response)[: grid.size])
    return progress, annealing


def _weighed(pairs: tuple[FloatArray, FloatArray], mean: FloatArray, weight: FloatArray) -> float:
    bins = CENTRES.size
    both, inside = _solve(pairs, mean, weight)
    rolling = np.zeros(len(both))
    for origin, share in _ORIGINS:
        early = weight * (origin >= CENTRES)
        late = weight * (origin < CENTRES) > 0
        last = np.flatnonzero(early)[-3:]
        curve, _ = _solve(pairs, mean, early)
        if not late.any() or not last.size:
            continue
        rest = mean[late] - mean[last].mean()
        moved = curve[:, :bins][:, late] - curve[:, last].mean(axis=1, keepdims=True)
        rolling += share * ((rest - moved) ** 2).mean(axis=1)
    score = np.sqrt(rolling) + 0.2 * np.sqrt(inside)
    trust = np.exp(-3 * (score / max(float(score.min()), 1e-9) - 1))
    trust /= trust.sum()
    return float(trust @ (both[:, bins] - both[:, bins + 1]))


def _solve(
    pairs: tuple[FloatArray, FloatArray], mean: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Weighted least squares with A, C ≥ 0: the fitted curves but for L0, and their errors."""
    bins = CENTRES.size
    share = weight / max(float(weight.sum()), 1e-12)
    y = mean - share @ mean
    one, two = (part[:, :bins] - (part[:, :bins] @ share)[:, None] for part in pairs)
    s11, s22, s12 = (one**2) @ share, (two**2) @ share, (one * two) @ share
    y1, y2 = one @ (share * y), two @ (share * y)
    determinant = np.maximum(s11 * s22 - s12**2, 1e-15)
    a, c = (y1 * s22 - y2 * s12) / determinant, (y2 * s11 - y1 * s12) / determinant
    alone1 = np.maximum(y1, 0) / np.maximum(s11, 1e-12)
    alone2 = np.maximum(y2, 0) / np.maximum(s22, 1e-12)
    feasible = (a >= 0) & (c >= 0) & (s11 * s22 - s12**2 > 1e-9 * s11 * s22)
    first = alone1 * y1 >= alone2 * y2
    a = np.where(feasible, a, np.where(first, alone1, 0))
    c = np.where(feasible, c, np.where(first, 0, alone2))
    residual = y - a[:, None] * one - c[:, None] * two
    return a[:, None] * pairs[0] + c[:, None] * pairs[1], (residual**2) @ share
