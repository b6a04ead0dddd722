"""Running medians and quantiles of one series, exact and fast on a thousand rows.

SciPy's own running median takes longer to import than to read a hundred runs, and NumPy's
quantile spends most of its time on the many cases that it covers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dqi_tracking.types import FloatArray

Mode = Literal["nearest", "reflect"]

_CHUNK = 1 << 22
"""Numbers that are sorted at once: windows overlap, and a long series times its window is much."""


def running_median(values: FloatArray, window: int, mode: Mode = "nearest") -> FloatArray:
    """Return the median of the window around each value, as `scipy.ndimage.median_filter` does.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Without NaN.
    window : int
        Odd, at least 3; may exceed n.
    mode : {"nearest", "reflect"}
        What lies beyond an end: the value there again and again, or the series mirrored, with the
        value at the end repeated.

    Returns
    -------
    ndarray of shape (n,)
        Values of the series, none in between. O(n · window · log window).
    """
    reach = window // 2
    if not values.size:
        return values.copy()
    if window == 5:
        return _median_of_five(_padded(values, reach, mode))
    # two neighbouring windows share all but one value each: one sort does for both
    padded = _padded(values, reach, mode, values.size % 2)
    found = np.empty((padded.size - window + 1) // 2 * 2)
    pairs = max(1, _CHUNK // window)
    for begin in range(0, found.size, 2 * pairs):
        part = _medians_of_pairs(padded[begin : begin + 2 * pairs + window - 1], window)
        found[begin : begin + part.size] = part
    return found[: values.size]


def running_median_at(
    rows: NDArray[np.intp], values: FloatArray, window: int, mode: Mode = "nearest"
) -> FloatArray:
    """Return the running median at some rows only.

    Parameters
    ----------
    rows : ndarray of shape (m,)
        Places in the series, in [0, n).
    values, window, mode
        As in `running_median`.

    Returns
    -------
    ndarray of shape (m,)
        `running_median(values, window, mode)[rows]`. O(n + m · window · log window).
    """
    padded = _padded(values, window // 2, mode)
    found = np.empty(rows.size)
    block = max(1, _CHUNK // window)
    for begin in range(0, rows.size, block):
        here = rows[begin : begin + block]
        windows = padded[here[:, None] + np.arange(window)]
        found[begin : begin + block] = np.sort(windows, axis=1)[:, window // 2]
    return found


def quantile(values: FloatArray, share: float) -> float:
    """Return the value below which a share of the values lies, linear in between.

    Parameters
    ----------
    values : ndarray of shape (n,), n ≥ 1
        Without NaN.
    share : float
        In [0, 1].

    Returns
    -------
    float
        As `numpy.quantile` gives it. O(n).
    """
    place = share * (values.size - 1)
    below = int(place)
    above = min(below + 1, values.size - 1)
    parted = np.partition(values, (below, above))
    low, high, part = float(parted[below]), float(parted[above]), place - below
    # from the nearer of the two, so that neither is missed by rounding
    return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)


def median(values: FloatArray) -> float:
    """Return the middle value, or the mean of the two.

    Parameters
    ----------
    values : ndarray of shape (n,), n ≥ 1
        Without NaN.

    Returns
    -------
    float
        As `numpy.median` gives it. O(n).
    """
    half = values.size // 2
    if values.size % 2:
        return float(np.partition(values, half)[half])
    parted = np.partition(values, (half - 1, half))
    return float((parted[half - 1] + parted[half]) / 2)


def _padded(values: FloatArray, reach: int, mode: Mode, more: int = 0) -> FloatArray:
    places = np.arange(-reach, values.size + reach + more)
    if mode == "nearest":
        return values.take(places, mode="clip")
    return np.concatenate((values, values[::-1])).take(places, mode="wrap")


def _medians_of_pairs(padded: FloatArray, window: int) -> FloatArray:
    n_pairs = (padded.size - window + 1) // 2
    size = padded.itemsize
    # views of one array; NumPy's own sliding windows take as long as sorting them
    shared = np.ndarray((n_pairs, window - 1), float, padded, size, (2 * size, size))
    alone = np.ndarray((n_pairs, 2), float, padded, 0, (2 * size, window * size))
    ordered, half = np.sort(shared, axis=1), window // 2
    low, high = ordered[:, half - 1 : half], ordered[:, half : half + 1]
    return np.minimum(np.maximum(alone, low), high).ravel()


def _median_of_five(padded: FloatArray) -> FloatArray:
    lower, upper = np.minimum(padded[:-1], padded[1:]), np.maximum(padded[:-1], padded[1:])
    # of the two pairs around the middle neither the lowest nor the highest is the median
    second, third = np.maximum(lower[:-3], lower[3:]), np.minimum(upper[:-3], upper[3:])
    middle = padded[2:-2]
    low, high = np.minimum(second, third), np.maximum(second, third)
    return np.maximum(low, np.minimum(middle, high))
