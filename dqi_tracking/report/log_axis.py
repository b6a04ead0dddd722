"""A logarithmic value axis: positions in decades, and ticks at round numbers."""

from __future__ import annotations

import math

import numpy as np

from dqi_tracking.report.geometry import Tick, limits, ticks
from dqi_tracking.types import FloatArray

STRIDES = (1, 2, 5, 10, 20, 50, 100, 200)
"""Decades from one tick to the next; float64 has 632."""
SMALLEST = float(np.finfo(np.float64).tiny)
"""Below it a float64 has fewer digits than an axis needs."""
LARGEST = 308.25
"""Power of ten that is still a float64: the margin of an axis may reach beyond."""
LEAST_DECADES = 1e-3
"""Range from which a logarithmic axis looks other than a linear one."""
PLAIN = 4
"""Decades away from 1 up to which a number is written out."""


def log_limits(values: FloatArray, *, margin: float) -> tuple[float, float] | None:
    """Return the ends of a logarithmic axis, as powers of ten.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Those that are not finite are ignored.
    margin : float
        Room on either side, as a share of the range in decades.

    Returns
    -------
    tuple of float or None
        low < high. None without finite values, where one is zero, negative or subnormal, or where
        the range is so small that a logarithmic axis is a linear one.
    """
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() < SMALLEST:
        return None
    decades = np.log10(finite)
    return None if np.ptp(decades) < LEAST_DECADES else limits(decades, margin=margin)


def log_ticks(low: float, high: float, *, count: int) -> list[Tick]:
    """Return about `count` round numbers between 10**low and 10**high.

    Powers of ten where the axis spans enough of them, else these and their 2- and 5-fold, else
    evenly spaced numbers.

    Parameters
    ----------
    low, high : float
        Ends of the axis as powers of ten, low < high, within those of float64.
    count : int
        At least 4, so that there are two ticks on any axis.
    """
    span = high - low
    if span >= 1.0:
        stride = next(stride for stride in STRIDES if span <= stride * (count + 1))
        digits = (1,) if stride > 1 or span > count / 2 else (1, 2, 5)
        places = [
            (digit, power)
            for power in range(math.floor(low), math.floor(high) + 1)
            for digit in digits
            if power % stride == 0 and low <= power + math.log10(digit) <= high
        ]
        return [
            Tick((power + math.log10(digit) - low) / span, _label(digit, power))
            for digit, power in places
        ]
    end = min(high, LARGEST)
    first, last, growth = 10.0**low, 10.0**end, 10.0 ** (end - low) - 1.0
    return [
        Tick(math.log10(1.0 + tick.at * growth) / span, tick.label)
        for tick in ticks(first, last, count=count)
    ]


def _label(digit: int, power: int) -> str:
    if abs(power) > PLAIN:
        return f"{digit}e{power}"
    return f"{digit * 10.0**power:,.{max(0, -power)}f}"
