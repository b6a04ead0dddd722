"""Hypothesis strategies for histories, and the settings that the property tests share."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dqi_tracking.types import History

# a slow machine is no failure; the curves are built from arrays, which Hypothesis finds slow
PROPERTY = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(PROPERTY, max_examples=40)

SHAPES = ("decay", "power_law", "plateau_and_drop", "spikes", "rising", "straight")


def _shape(kind: str, t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if kind == "decay":
        return np.exp(-t * rng.uniform(1, 12))
    if kind == "power_law":
        return (1 + 50 * t) ** -rng.uniform(0.1, 1.5)
    if kind == "plateau_and_drop":
        return np.where(t < rng.uniform(0.2, 0.8), 1.0, rng.uniform(0, 0.5))
    if kind == "spikes":
        return np.exp(-3 * t) + 5 * (rng.random(t.size) < 0.03)
    return t if kind == "rising" else 1 - t


@st.composite
def curves(draw: st.DrawFn, *, min_size: int = 3, max_size: int = 400) -> tuple[np.ndarray, ...]:
    """Draw (step, loss) as training runs log them: a trend, noise, an interval of steps.

    The range is at least a hundredth of the largest value, as a loss of a run that learns is; the
    rounding of a shifted or scaled copy then stays below 1e-12 of the range.
    """
    n = draw(st.integers(min_size, max_size))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    t = np.linspace(0, 1, n)
    noise = draw(st.sampled_from((0.0, 0.003, 0.05, 0.5))) * rng.normal(size=n)
    loss = _shape(draw(st.sampled_from(SHAPES)), t, rng) + noise
    loss = loss * 10.0 ** draw(st.integers(-3, 4))
    spread = float(np.ptp(loss))
    loss = loss - loss.min() + spread * draw(st.sampled_from((-5.0, 0.0, 0.1, 50.0)))
    interval = draw(st.sampled_from((1, 10, 500)))
    most = draw(st.sampled_from((1, 5)))
    gaps = interval * rng.integers(1, most, size=n, endpoint=True)
    return np.cumsum(gaps).astype(float), loss


@st.composite
def grids(
    draw: st.DrawFn,
    *,
    min_size: int = 3,
    max_size: int = 80,
    low: int = -(2**20),
    high: int = 2**20,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw (step, loss) of whole numbers, steps rising: they shrink well and add without rounding.

    Values come from a narrow range at times, for plateaus and ties.
    """
    narrow = draw(st.booleans())
    value = st.integers(0, 3) if narrow else st.integers(low, high)
    loss = draw(st.lists(value, min_size=min_size, max_size=max_size))
    gaps = draw(st.lists(st.integers(1, 50), min_size=len(loss), max_size=len(loss)))
    return np.cumsum(gaps).astype(float), np.array(loss, dtype=float)


@st.composite
def messy(draw: st.DrawFn, *, max_size: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Draw (step, loss) in any order, with duplicated steps and non-finite losses."""
    finite = st.integers(-50, 50).map(float)
    value = st.one_of(finite, finite, finite, st.sampled_from((np.nan, np.inf, -np.inf)))
    rows = draw(st.lists(st.tuples(st.integers(0, 40), value), max_size=max_size))
    step, loss = zip(*rows, strict=True) if rows else ((), ())
    return np.array(step, dtype=float), np.array(loss, dtype=float)


@st.composite
def extreme(draw: st.DrawFn, *, max_size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Draw (step, loss) of finite steps and any floats, 1e-300 and 1e300 side by side."""
    edge = st.sampled_from((0.0, 5e-324, 1e-300, -1e-300, 1e-12, 1.0, 1e300, -1e300))
    any_float = st.floats(allow_nan=draw(st.booleans()), allow_infinity=draw(st.booleans()))
    step = st.one_of(edge, st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 50))
    rows = draw(st.lists(st.tuples(step, st.one_of(edge, any_float)), max_size=max_size))
    return (
        np.array([row[0] for row in rows], dtype=float),
        np.array([row[1] for row in rows], dtype=float),
    )


def options() -> st.SearchStrategy[dict[str, object]]:
    """Draw the keyword arguments of `score`."""
    return st.fixed_dictionaries(
        {
            "nan_policy": st.sampled_from(("propagate", "omit", "interpolate")),
            "units": st.sampled_from(("relative", "raw")),
            "duplicates": st.sampled_from(("last", "keep")),
            "weights": st.sampled_from(((0.5, 0.3, 0.2), (0.2, 0.2, 0.6), (0.0, 1.0, 0.0))),
        }
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw a history of any status, its signal the loss or the gradient norm."""
    step, y = draw(st.one_of(curves(max_size=120), grids(max_size=30), messy(), extreme()))
    if draw(st.booleans()):
        return History(step, y)
    return draw(st.sampled_from((History(step), History(step, grad_norm=y), History(step, y, y))))
