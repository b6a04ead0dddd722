"""Faults put into curves, and events taken out of them: functions of steps and losses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

Curve = tuple[np.ndarray, np.ndarray]


def trend(y: np.ndarray) -> np.ndarray:
    """Return a running median over a tenth of the rows."""
    return median_filter(y, size=2 * max(2, y.size // 20) + 1, mode="nearest")


def missing_rows(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
    """Drop a fifth of the rows, at random."""
    kept = np.sort(rng.permutation(x.size)[: round(0.8 * x.size)])
    return x[kept], y[kept]


def interval_from(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
    """Keep every fifth row from a point between 30 and 60 % on."""
    start = round(rng.uniform(0.3, 0.6) * x.size)
    kept = np.concatenate((np.arange(start), np.arange(start, x.size, 5)))
    return x[kept], y[kept]


def interval_all(x: np.ndarray, y: np.ndarray, _rng: np.random.Generator) -> Curve:
    """Keep every fifth row of the whole run."""
    return x[::5], y[::5]


def logged_twice(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
    """Log a tenth of the rows, in one piece, a second time with other noise."""
    start = round(rng.uniform(0.2, 0.7) * x.size)
    rows = np.arange(start, start + max(2, x.size // 10))
    again = trend(y)[rows] + rng.permutation((y - trend(y))[rows])
    order = np.concatenate((np.arange(rows[-1] + 1), rows, np.arange(rows[-1] + 1, x.size)))
    values = np.concatenate((y[: rows[-1] + 1], again, y[rows[-1] + 1 :]))
    return x[order], values


def frozen(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
    """Log one value for 15 % of the rows."""
    start = round(rng.uniform(0.2, 0.8) * x.size)
    y = y.copy()
    y[start : start + round(0.15 * x.size)] = y[start]
    return x, y


def halved(x: np.ndarray, y: np.ndarray, _rng: np.random.Generator) -> Curve:
    """Halve the loss of the whole run."""
    return x, y / 2


def halved_from(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
    """Halve the loss from a point between 30 and 70 % on."""
    start = round(rng.uniform(0.3, 0.7) * x.size)
    return x, np.where(np.arange(x.size) < start, y, y / 2)


def noisy(x: np.ndarray, y: np.ndarray, _rng: np.random.Generator) -> Curve:
    """Multiply the noise around the trend by 3."""
    return x, trend(y) + 3 * (y - trend(y))


def spiked(share: float) -> Callable[[np.ndarray, np.ndarray, np.random.Generator], Curve]:
    """Return a fault that raises one row by a share of the run's range."""

    def fault(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
        y = y.copy()
        y[round(rng.uniform(0.2, 0.8) * x.size)] += share * np.ptp(trend(y))
        return x, y

    return fault


def spliced(share: float) -> Callable[[np.ndarray, np.ndarray, np.random.Generator], Curve]:
    """Return a fault that sets the run back by a share of its rows; its noise stays its own."""

    def fault(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
        start, back = round(rng.uniform(0.3, 0.7) * x.size), max(1, round(share * x.size))
        level = trend(y)
        rows = np.arange(x.size)
        return x, level[np.where(rows < start, rows, rows - back)] + (y - level)

    return fault


def repeated(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
    """Put the 15 % of the trend before a point after it as well; then the run goes on as it did."""
    n = round(0.15 * x.size)
    start = round(rng.uniform(0.3, 0.7) * x.size)
    level = trend(y)
    rows = np.arange(x.size)
    inside = (rows >= start) & (rows < start + n)
    return x, level[np.where(inside, rows - n, rows)] + (y - level)


# by name: the fault, and the findings that name it
FAULTS = {
    "20 % of the rows missing": (missing_rows, {"missing_rows", "largest_gap"}),
    "interval × 5 from a point on": (interval_from, {"interval_change", "other_interval"}),
    "interval × 5, whole run": (interval_all, {"other_interval"}),
    "steps logged twice": (logged_twice, {"duplicated_steps", "steps_go_back"}),
    "metric frozen": (frozen, {"constant_stretch"}),
    "loss × 0.5, whole run": (halved, {"rescaled"}),
    "loss × 0.5 from a point on": (halved_from, {"jump"}),
    "noise × 3": (noisy, {"noise_level"}),
    "spike of 50 % of the range": (spiked(0.5), {"spike"}),
    "spike of 10 % of the range": (spiked(0.1), {"spike"}),
    "resume splice 15 %": (spliced(0.15), {"resume_splice", "jump"}),
    "resume splice 5 %": (spliced(0.05), {"resume_splice", "jump"}),
    "data segment repeated": (repeated, {"resume_splice", "jump"}),
}


def cleaned(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Curve:
    """Return a curve of the same shape and noise without any event after its first tenth.

    The level is the lowest that the smoothed curve came to so far, so that what blew up or jumped
    up stays where it was. The noise is the run's own, in blocks of five rows drawn from the same
    ninth of the rest, but for single rows beyond four robust standard deviations; a ninth with
    three times the usual noise is an event, and has the noise of another.
    """
    width = 2 * max(1, y.size // 40) + 1
    smooth = uniform_filter1d(trend(y), width, mode="nearest")
    level = uniform_filter1d(np.minimum.accumulate(smooth), width, mode="nearest")
    parts = np.array_split(np.arange(y.size // 10, y.size), 9)
    noises = [(y - smooth)[rows] for rows in parts]
    spreads = [scatter(noise) for noise in noises]
    quiet = [noise for noise, s in zip(noises, spreads, strict=True) if s <= 3 * np.median(spreads)]
    found = y.copy()
    for rows, noise, spread in zip(parts, noises, spreads, strict=True):
        if spread > 3 * np.median(spreads):
            noise = quiet[rng.integers(len(quiet))]
        found[rows] = level[rows] + drawn(noise, rows.size, rng)
    return x, found


def scatter(noise: np.ndarray) -> float:
    """Return the scaled median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(noise - np.median(noise))))


def drawn(noise: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n rows of noise in blocks of five, drawn with repetition, without single outliers."""
    noise = noise[np.abs(noise - np.median(noise)) <= 4 * scatter(noise)]
    blocks = np.array_split(noise, max(1, noise.size // 5))
    picked = [blocks[i] for i in rng.integers(len(blocks), size=n)]
    return np.concatenate(picked)[:n]
