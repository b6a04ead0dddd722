"""Checks of the steps alone: duplicated, going back, missing, at another interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.insight.checks.finding import CheckName, Measure
from dqi_tracking.insight.order_statistics import median, running_median

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

MIN_GAPS = 8
"""Gaps between rows that a statement on the interval needs."""
MISSING_SHARE = 0.05
"""Share of the expected rows that may be missing."""
LARGEST_GAP = 5.0
"""Largest gap, in intervals around it."""
IRREGULARITY = 0.3
"""Share of the gaps that may be no whole multiple of the interval around them."""
MULTIPLE = 0.2
"""How far from a whole multiple a gap may be, in intervals."""
INTERVAL_RATIO = 1.5
"""Ratio of two logging intervals that makes them different; also of a gap that is a hole."""
DENSE_START = 0.05
"""Share of the run at its start that may be logged at another interval: many loops log their
first steps one by one."""
UNSORTED_SHARE = 0.1
"""Share of rows that go back from which on the rows have no order at all, which is no fault."""

_WINDOW = 5  # gaps on each side that tell the interval around one


def duplicated_steps(step: FloatArray) -> Measure:
    """Count the rows logged at a step that an earlier row has as well.

    Parameters
    ----------
    step : ndarray of shape (n,), n ≥ 1
        In the order of logging.

    Returns
    -------
    Measure
        Size in rows. O(n log n).
    """
    ordered = np.sort(step)
    again = ordered[1:][ordered[1:] == ordered[:-1]]
    first, last = (again[0], again[-1]) if again.size else (ordered[0], ordered[0])
    n_rows = _counted(again.size, "row")
    words = f"{n_rows} repeat a step that was logged before, steps {first:g} to {last:g}"
    return Measure(float(again.size), 1.0, float(first), float(last), words)


def steps_go_back(step: FloatArray) -> Measure:
    """Count how often the step goes back while logging, as after a resume.

    Parameters
    ----------
    step : ndarray of shape (n,), n ≥ 1
        In the order of logging.

    Returns
    -------
    Measure
        Size in times; 0 where so many rows go back that their order says nothing. O(n).
    """
    back = np.flatnonzero(step[1:] < step[:-1])
    if not back.size or back.size > max(1, UNSORTED_SHARE * step.size):
        return Measure(0.0, 1.0, float(step[0]), float(step[0]), "")
    first = back[0]
    words = (
        f"the step goes back {_counted(back.size, 'time')}, "
        f"first from {step[first]:g} to {step[first + 1]:g}"
    )
    low, high = step[back + 1].min(), step[back].max()
    return Measure(float(back.size), 1.0, float(low), float(high), words)


def intervals(x: FloatArray) -> dict[CheckName, Measure]:
    """Measure the gaps between rows.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Steps, sorted, each once.

    Returns
    -------
    dict of str to Measure
        `missing_rows` (share of the rows expected at the interval around each gap),
        `largest_gap` (in intervals), `irregular_interval` (share of the gaps) and
        `interval_change` (ratio of the intervals before and after, ≥ 1). Empty for fewer than
        `MIN_GAPS` gaps; of an irregular log no rows are called missing. O(n).
    """
    gaps = x[1:] - x[:-1]
    if gaps.size < MIN_GAPS or not np.isfinite(gaps).all():
        return {}
    found: dict[CheckName, Measure] = {"interval_change": _interval_change(x)}
    ratio = gaps / _interval_around(gaps)
    begin = _dense_rows(x)
    if gaps.size - begin >= MIN_GAPS:
        found["irregular_interval"] = irregular = _irregular(x[begin:], ratio[begin:])
        if irregular.excess >= 1:  # no telling what is missing of a log without an interval
            return found
    found["missing_rows"] = _missing(x, ratio)
    widest = int(ratio.argmax())
    start, stop, size = float(x[widest]), float(x[widest + 1]), float(ratio[widest])
    words = f"nothing was logged from step {start:g} to {stop:g}: "
    words += f"{size:.3g} times the interval around it"
    found["largest_gap"] = Measure(size, LARGEST_GAP, start, stop, words)
    return found


def _dense_rows(x: FloatArray) -> int:
    return int(np.searchsorted(x, x[0] + DENSE_START * (x[-1] - x[0])))


def _irregular(x: FloatArray, ratio: FloatArray) -> Measure:
    is_odd = np.abs(ratio - np.maximum(np.rint(ratio), 1)) > MULTIPLE
    share = float(np.count_nonzero(is_odd) / ratio.size)
    words = f"{100 * share:.0f} % of the gaps between rows are no multiple of the interval"
    return Measure(share, IRREGULARITY, float(x[0]), float(x[-1]), words)


def _missing(x: FloatArray, ratio: FloatArray) -> Measure:
    holes = np.flatnonzero(ratio > INTERVAL_RATIO)
    lost = float((np.rint(ratio[holes]) - 1).sum())
    share = lost / (lost + x.size)
    start, stop = (x[holes[0]], x[holes[-1] + 1]) if holes.size else (x[0], x[-1])
    words = f"{100 * share:.0f} % of the expected rows are missing, steps {start:g} to {stop:g}"
    return Measure(share, MISSING_SHARE, float(start), float(stop), words)


def _interval_around(gaps: FloatArray) -> FloatArray:
    """Return the larger of the median gaps before and after each gap, itself left out."""
    if _is_regular(gaps):
        return gaps
    middle = running_median(gaps, _WINDOW)
    here = np.arange(gaps.size)
    reach = _WINDOW // 2 + 1
    before = middle.take(here - reach, mode="clip")
    after = middle.take(here + reach, mode="clip")
    # at a planned change of the interval the gap belongs to the wider side
    return np.maximum(before, after)


def _interval_change(x: FloatArray) -> Measure:
    found = _largest_change(x)
    reach = DENSE_START * (x[-1] - x[0])
    if found.start_step - x[0] <= reach and found.size >= INTERVAL_RATIO:
        # a dense start is a plan: what counts is a change within it, or after it
        split = int(np.searchsorted(x, found.start_step))
        parts = (_largest_change(x[: split + 1]), _largest_change(x[split:]))
        found = max(parts, key=lambda part: part.size)
    return found


def _largest_change(x: FloatArray) -> Measure:
    gaps = x[1:] - x[:-1]
    if gaps.size < 2 * _WINDOW or _is_regular(gaps):
        return Measure(1.0, INTERVAL_RATIO, float(x[0]), float(x[-1]), "")
    level = np.log(gaps)
    drift = np.cumsum(level - level.mean())
    split = _WINDOW + int(np.argmax(np.abs(drift[_WINDOW - 1 : -_WINDOW])))
    before, after = median(gaps[:split]), median(gaps[split:])
    size = max(before, after) / min(before, after)
    at = float(x[split])
    words = f"the logging interval changes from {before:g} to {after:g} near step {at:g}"
    return Measure(size, INTERVAL_RATIO, at, at, words)


def _is_regular(gaps: FloatArray) -> bool:
    return bool(np.minimum.reduce(gaps) == np.maximum.reduce(gaps))


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
