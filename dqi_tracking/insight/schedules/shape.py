"""The shape of a learning-rate series: where its warm-up ends, and how it falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from dqi_tracking.insight.schedules.series import RateSeries
    from dqi_tracking.types import FloatArray

ShapeName = Literal["warmup", "constant", "cyclic", "step", "wsd", "cosine", "linear", "decay"]

WARMUP = 0.1
"""Share of the peak by which the rate must have risen for a warm-up. Ours: less is rounding, or a
log that began at its end."""
FALL = 0.05
"""Share of the peak by which the rate must have fallen for a decay. Ours."""
RISE = 0.1
"""Share of the peak by which the rate may rise again before it counts as a new cycle. Ours."""
HALF = 0.5
"""Share of the peak at which a decay without a plateau turns from mid to late. Ours: the half-life
of the rate, where the plan gives no corner."""
PLATEAU = 0.1
"""Length of the stable part over the time to half of the fall, beyond what any smooth top has
within three tolerances (√(2·3·tolerance)), from which on a decay has a plateau. Ours."""
IN_JUMPS = 0.9
"""Share of the fall that must happen in jumps for a step schedule. Ours."""
MAX_DROPS = 8
"""Drops of a step schedule; a staircase of more is read as the curve through its edges. Ours."""
FITS = 0.02
"""Distance (rms), as a share of the fall, of a linear or cosine decay from its formula. Ours: a
line and a cosine are .04 apart."""

_STRETCHES = np.linspace(1.0, 4.0, 61)
"""Lengths of a cosine over what was logged of it: a run may end before its plan does."""


class Shape(NamedTuple):
    """What a series looks like.

    Attributes
    ----------
    name : str
        `warmup` (it only rises), `constant`, `cyclic` (it rises again), `step` (constant pieces),
        `wsd` (warm-up, stable, decay), or a decay without a plateau: `cosine`, `linear`, `decay`.
    warmup_end : float or None
        First step at the peak; None where the log shows no warm-up.
    decay_start : float or None
        Last step at the peak; for `step` the first step at a lower rate. None without a decay.
    last_drop : float or None
        For `step` with two drops or more: first step of the last piece.
    half : float or None
        Step where the rate falls through half of its peak; None where it does not.
    lowest : float
        Lowest rate after the warm-up, as a share of the peak.
    """

    name: ShapeName
    warmup_end: float | None = None
    decay_start: float | None = None
    last_drop: float | None = None
    half: float | None = None
    lowest: float = 1.0


def shape_of(series: RateSeries) -> Shape:
    """Tell the shape of a series with a peak above 0 and six steps or more. O(n)."""
    x, rate, tolerance = series.step, series.rate, series.tolerance
    top = int(np.argmax(rate >= 1 - tolerance))
    has_warmup = rate[0] < 1 - max(WARMUP, tolerance)
    warmup_end = float(x[top]) if has_warmup else None
    first = top if has_warmup else 0
    x, head, rate = x[first:], rate[: top + 1], rate[first:]
    lowest = float(rate.min())
    again = RISE + 2 * tolerance
    if _sags(head, again) or _sags(1 - rate, again):
        return Shape("cyclic", warmup_end, lowest=lowest)
    if rate.size < 3 and has_warmup:
        return Shape("warmup", lowest=lowest)
    if lowest > 1 - max(FALL, tolerance):
        return Shape("constant", warmup_end, lowest=lowest)
    return _falling(x, rate, tolerance, Shape("decay", warmup_end, lowest=lowest))


def _sags(rising: FloatArray, limit: float) -> bool:
    """Tell whether a series that should only rise falls by more than a limit."""
    return bool((np.maximum.accumulate(rising) - rising).max(initial=0.0) > limit)


def _falling(x: FloatArray, rate: FloatArray, tolerance: float, found: Shape) -> Shape:
    drops = _drops(rate, tolerance)
    found = found._replace(half=_crossing(x, rate, HALF))
    if drops.size > MAX_DROPS:
        edges = np.concatenate(([0], drops))
        x, rate = x[edges], rate[edges]
    elif drops.size:
        last_drop = float(x[drops[-1]]) if drops.size > 1 else None
        return found._replace(name="step", decay_start=float(x[drops[0]]), last_drop=last_drop)
    below = rate < 1 - tolerance
    # noise may dip below the peak for a moment: its last row counts
    plateau_end = int(np.flatnonzero(~below)[-1])
    fall = 1 - found.lowest
    start = float(x[plateau_end])
    found = found._replace(decay_start=start)
    middle = _crossing(x, rate, 1 - fall / 2)
    stable, until_middle = start - float(x[0]), (middle or float(x[-1])) - float(x[0])
    if stable >= (PLATEAU + (6 * tolerance / fall) ** 0.5) * until_middle:
        return found._replace(name="wsd")
    return found._replace(name=_decay_name(x, rate, tolerance))


def _drops(rate: FloatArray, tolerance: float) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the first row of each lower piece; empty where the rate is no staircase."""
    none = np.empty(0, np.intp)
    falls = rate[:-1] - rate[1:]
    jumps = falls > 2 * tolerance
    # of the fall, what noise alone can make is no argument
    fall = IN_JUMPS * (rate[0] - rate.min()) - 2 * tolerance
    if falls[jumps].sum() < fall:
        return none
    edges = np.diff(jumps.astype(np.int8), prepend=0, append=0)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    # two in a row are one drop that was logged on its way; one at the very end may be any decay
    is_staircase = (stops - starts <= 2).all() and not (jumps[-1] and starts.size == 1)
    return stops if is_staircase else none


def _crossing(x: FloatArray, rate: FloatArray, level: float) -> float | None:
    """Return the step where a series first falls through a level, linear between rows."""
    row = int(np.argmax(rate <= level))
    if rate[row] > level:
        return None
    if row == 0:
        return float(x[0])
    share = (rate[row - 1] - level) / (rate[row - 1] - rate[row])
    return float(x[row - 1] + share * (x[row] - x[row - 1]))


def _decay_name(x: FloatArray, rate: FloatArray, tolerance: float) -> ShapeName:
    """Compare a decay, up to where it reaches its floor, with a line and a cosine."""
    floor = int(np.argmax(rate <= rate.min() + tolerance))
    x, rate = x[: floor + 1], rate[: floor + 1]
    if x.size < 4:
        return "decay"
    u = (x - x[0]) / (x[-1] - x[0])
    # of what is smoothed, a fourth of the tolerance is noise
    bound = FITS * (1 - float(rate[-1])) + tolerance / 4
    line = _distance(u[None], rate)
    cosine = _distance(np.cos(np.pi * u / _STRETCHES[:, None]), rate)
    if min(line, cosine) > bound:
        return "decay"
    return "linear" if line <= cosine else "cosine"


def _distance(forms: FloatArray, rate: FloatArray) -> float:
    """Return the rms distance of a rate from the best shifted multiple of one of the forms."""
    forms = forms - forms.mean(axis=1, keepdims=True)
    centred = rate - rate.mean()
    height = (forms @ centred) / (forms * forms).sum(axis=1)
    return float((height[:, None] * forms - centred).std(axis=1).min())
