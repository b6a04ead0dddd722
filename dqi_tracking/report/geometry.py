"""Where things lie in a drawing of a curve: axes, ticks, and few vertices for many points.

Positions are fractions of the drawing in [0, 1], x to the right, y upwards.
"""

from __future__ import annotations

import sys
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from dqi_tracking.report.downsampling import thin
from dqi_tracking.types import FloatArray

LARGEST = sys.float_info.max
LONGEST_MANTISSA = 6
# a digit is the nearest nice one up to the geometric mean with the next
NICE = ((1, Decimal(2).sqrt()), (2, Decimal(10).sqrt()), (5, Decimal(50).sqrt()), (10, Decimal(10)))


class Tick(NamedTuple):
    """A labelled place on an axis."""

    at: float
    label: str


class Trace(NamedTuple):
    """A curve as vertices to join by lines.

    Attributes
    ----------
    x, y : ndarray of shape (k,)
        Positions.
    starts : ndarray of shape (k,), bool
        Whether a new line starts at the vertex: the first one, and each after a gap.
    """

    x: FloatArray
    y: FloatArray
    starts: NDArray[np.bool_]


def limits(values: FloatArray, *, margin: float = 0.0) -> tuple[float, float] | None:
    """Return the ends of an axis for values, ignoring those that are not finite.

    Parameters
    ----------
    values : ndarray of shape (n,)
    margin : float
        Room on either side, as a share of the range.

    Returns
    -------
    tuple of float or None
        low < high, both finite; around the value where all are equal. None without finite values.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    # each end by itself: the range of two finite numbers may be infinite
    room = margin * high - margin * low
    if low == high:
        room = abs(low) / 10 or 1.0
    return max(low - room, -LARGEST), min(high + room, LARGEST)


def positions(values: FloatArray, low: float, high: float) -> FloatArray:
    """Return where values lie between low and high: 0 at low, 1 at high, NaN if not finite."""
    extent = high / 2 - low / 2
    if extent == 0.0:
        return np.where(np.isfinite(values), 0.5, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        placed = (values / 2 - low / 2) / extent
    placed[~np.isfinite(placed)] = np.nan
    return placed


def trace(x: FloatArray, y: FloatArray, *, columns: int) -> Trace:
    """Thin a curve to the points that a drawing needs, so that no spike is lost.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Positions in [0, 1], sorted.
    y : ndarray of shape (n,)
        Positions; NaN makes a gap.
    columns : int
        Pixel columns of the drawing.

    Returns
    -------
    Trace
        At most ``2 * columns`` vertices; all points where there are no more than that. O(n).
    """
    rows = thin(x, y, columns=columns).rows
    finite = np.isfinite(y[rows])
    # a row that is not finite is there to keep its neighbours apart
    starts = ~np.append(False, finite)[:-1]
    return Trace(x[rows[finite]], y[rows[finite]], starts[finite])


def svg_path(curve: Trace, width: int, height: int) -> str:
    """Return a trace as the `d` of an SVG path in whole units, y downwards, in relative moves."""
    x = np.rint(curve.x * width).astype(np.int64)
    y = np.rint((1.0 - curve.y) * height).astype(np.int64)
    moves = np.stack((np.diff(x, prepend=0), np.diff(y, prepend=0)), axis=1).ravel().tolist()
    starts = (2 * np.flatnonzero(curve.starts)).tolist()
    lines = [
        # a list as JSON is the fastest way to many numbers as text
        f"m{to_json(moves[start:stop])[1:-1].replace(b',', b' ').decode()}"
        # a move of nothing: round caps make a lone point a dot
        + ("h0" if stop - start == 2 else "")
        for start, stop in zip(starts, [*starts[1:], len(moves)], strict=True)
    ]
    return "".join(lines)


def ticks(low: float, high: float, *, count: int = 5) -> list[Tick]:
    """Return about `count` round numbers between low and high, with their labels.

    In decimals, so that 0.3 is not 0.30000000000000004 and no range is too large.

    Parameters
    ----------
    low, high : float
        Ends of the axis, low < high, finite.
    """
    first, last = Decimal(repr(low)), Decimal(repr(high))
    rough = (last - first) / count
    power = rough.adjusted()
    digit = next(digit for digit, below in NICE if rough.scaleb(-power) < below)
    step = Decimal(digit).scaleb(power)
    power = step.adjusted()
    lowest = int((first / step).to_integral_value(ROUND_CEILING))
    highest = int((last / step).to_integral_value(ROUND_FLOOR))
    values = [number * step for number in range(lowest, highest + 1)]
    placed = [
        Tick(float((value - first) / (last - first)), label)
        for value, label in zip(values, _labels(values, power), strict=True)
    ]
    # numbers that differ only beyond the digits shown
    return [tick for i, tick in enumerate(placed) if not i or tick.label != placed[i - 1].label]


def number(value: float) -> str:
    """Return a step or value for reading: whole numbers with separators, six digits else."""
    whole = value == round(value, 0) and abs(value) < 1e12
    return f"{value:,.0f}" if whole else f"{value:,.6g}".replace("e+", "e")


def _labels(values: list[Decimal], power: int) -> list[str]:
    largest = max((abs(value) for value in values), default=Decimal(0))
    size = largest.adjusted() if largest else 0
    for unit, exponent, smallest, largest_size in (("M", 6, 6, 8), ("k", 3, 4, 5)):
        if smallest <= size <= largest_size and power >= exponent - 1:
            decimals = max(0, exponent - power)
            return [f"{v.scaleb(-exponent):.{decimals}f}{unit}" if v else "0" for v in values]
    if size >= 9 or size < -4:
        return [_scientific(value, power) for value in values]
    return [f"{value:,.{max(0, -power)}f}" if value else "0" for value in values]


def _scientific(value: Decimal, power: int) -> str:
    if not value:
        return "0"
    digits = min(max(0, value.adjusted() - power), LONGEST_MANTISSA)
    return f"{value:.{digits}e}".replace("e+", "e")
