"""A second implementation of the engine, written to be read: one run, no batches, no shortcuts.

It follows the contract line by line and shares no code with the package. The engine is compared
with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EPS = 1e-12
NAN = float("nan")
NAMES = ("coverage", "variation", "structure", "density")


@dataclass
class Reference:
    """What the contract says of one run."""

    dqi: float
    dqi_raw: float
    phases: list[float]
    parts: list[list[float]]
    mean_parts: list[float] | None
    boundaries: tuple[int, int] | None
    status: str
    n_points: int
    n_nonfinite: int
    x: np.ndarray


def signal(
    step: Sequence[float], y: Sequence[float], nan_policy: str, duplicates: str
) -> tuple[np.ndarray, np.ndarray, int]:
    """Stage 1: sort, choose among duplicates, treat non-finite points."""
    rows = sorted(zip(map(float, step), map(float, y), strict=True), key=lambda row: row[0])
    if duplicates == "last":
        rows = list(dict(rows).items())
    n_nonfinite = sum(not math.isfinite(value) for _, value in rows)
    finite = [row for row in rows if math.isfinite(row[1])]
    if nan_policy == "omit":
        rows = finite
    if nan_policy == "interpolate":
        while rows and not math.isfinite(rows[0][1]):
            rows = rows[1:]
        while rows and not math.isfinite(rows[-1][1]):
            rows = rows[:-1]
        known_x, known_y = [row[0] for row in finite], [row[1] for row in finite]
        if n_nonfinite and rows:
            rows = [(x, float(np.interp(x, known_x, known_y))) for x, _ in rows]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows]), n_nonfinite


def is_flat(y: np.ndarray) -> bool:
    """Tell whether the range of y is no more than 1e-12 of its largest value."""
    return bool(y.max() - y.min() <= 1e-12 * np.abs(y).max())


def relative(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Measure x in logging intervals, and y in its own range."""
    positive = [gap for gap in np.diff(x) if gap > 0]
    x = (x - x[0]) / np.median(positive) if positive else x - x[0]
    y = np.zeros(y.size) if is_flat(y) else (y - y.min()) / (y.max() - y.min())
    return x, y


def smoothed(y: np.ndarray) -> np.ndarray:
    """Take the moving average over an odd window, the edges padded with their value."""
    window = max(3, y.size // 20)
    if window % 2 == 0:
        window += 1
    padded = np.pad(y, window // 2, mode="edge")
    return np.convolve(padded, np.ones(window), mode="valid") / window


def cut(y: np.ndarray) -> tuple[int, int]:
    """Stage 2: the first indices where 40 % and 75 % of all change has happened."""
    change = np.cumsum(np.abs(np.gradient(smoothed(y))))
    total = change[-1]
    if total <= 1e-12:
        return y.size // 3, 2 * y.size // 3
    # 1e-9 of slack: on a tie the last bit of a sum would decide, and two orders of adding differ
    early_end = next(i for i in range(y.size) if change[i] / total >= 0.40 - 1e-9)
    mid_end = next(i for i in range(y.size) if change[i] / total >= 0.75 - 1e-9)
    return early_end, mid_end


def components(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Stage 3: coverage, variation, structure and density of one slice."""
    if y.size < 3:
        return [0.0, 0.0, 0.0, 0.0]
    gaps = np.diff(x)
    span = x[-1] - x[0]
    coverage = np.tanh(span / (np.mean(gaps) + EPS) / 20) if span > EPS else 0.0
    extent = y.max() - y.min()
    variation = 2 * np.std(y, ddof=0) / extent if extent > EPS else 0.0
    d1 = np.diff(y) / (gaps + EPS)
    d2 = np.diff(d1) / (gaps[:-1] + EPS)
    structure = np.tanh(np.var(d2, ddof=0) / (np.mean(np.abs(d1)) + EPS))
    density = 1 / (1 + np.std(gaps, ddof=0) / (np.mean(gaps) + EPS)) if span > EPS else 0.0
    return [float(np.clip(part, 0, 1)) for part in (coverage, variation, structure, density)]


def stages(
    x: np.ndarray, y: np.ndarray, flat: bool, weights: Sequence[float]
) -> tuple[float, list[float], list[list[float]], tuple[int, int]]:
    """Stages 2 to 4 in one system of units."""
    a, b = (y.size // 3, 2 * y.size // 3) if flat else cut(y)
    parts = [components(x[s], y[s]) for s in (slice(0, a), slice(a, b), slice(b, y.size))]
    phases = [math.prod(part) for part in parts]
    dqi = 0.0 if flat else sum(w * phase for w, phase in zip(weights, phases, strict=True))
    return dqi, phases, parts, (a, b)


def reference(
    step: Sequence[float],
    loss: Sequence[float] | None = None,
    grad_norm: Sequence[float] | None = None,
    *,
    grad_step: Sequence[float] | None = None,
    nan_policy: str = "propagate",
    units: str = "relative",
    duplicates: str = "last",
    weights: Sequence[float] = (0.5, 0.3, 0.2),
) -> Reference:
    """Score one run by the contract."""
    if loss is not None and len(loss):
        x, y, n_nonfinite = signal(step, loss, nan_policy, duplicates)
    elif grad_norm is not None and len(grad_norm):
        own = step if grad_step is None else grad_step
        x, y, n_nonfinite = signal(own, grad_norm, nan_policy, duplicates)
    else:
        return _without_stages("no_signal", NAN, np.array([]), 0)
    if not np.isfinite(y).all():
        return _without_stages("nan", NAN, x, n_nonfinite)
    if y.size < 3:
        return _without_stages("too_short", 0.0, x, n_nonfinite)
    flat = is_flat(y)
    in_relative = stages(*relative(x, y), flat, weights)
    in_raw = stages(x, y, flat, weights)
    _, phases, parts, boundaries = in_raw if units == "raw" else in_relative
    mean_parts = [
        sum(w * part[column] for w, part in zip(weights, parts, strict=True)) for column in range(4)
    ]
    return Reference(
        dqi=in_relative[0],
        dqi_raw=in_raw[0],
        phases=phases,
        parts=parts,
        mean_parts=mean_parts,
        boundaries=boundaries,
        status="flat" if flat else "ok",
        n_points=y.size,
        n_nonfinite=n_nonfinite,
        x=x,
    )


def _without_stages(status: str, value: float, x: np.ndarray, n_nonfinite: int) -> Reference:
    n = x.size
    known = status == "too_short" and n > 0
    return Reference(
        dqi=value,
        dqi_raw=value,
        phases=[value] * 3,
        parts=[[value] * 4] * 3,
        mean_parts=None,
        boundaries=(n // 3, 2 * n // 3) if known else None,
        status=status,
        n_points=n,
        n_nonfinite=n_nonfinite,
        x=x,
    )
