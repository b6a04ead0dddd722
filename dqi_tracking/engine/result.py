"""From the arrays of the four stages to `Score` objects: statuses and warnings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.engine.phases import at_steps, thirds
from dqi_tracking.types import COMPONENTS, PHASES, PhaseScore, Score

if TYPE_CHECKING:
    from dqi_tracking.engine.signal import Signal
    from dqi_tracking.types import Status

ENGINE_VERSION = "1"
"""Changes whenever any number of a `Score` changes."""

IRREGULAR_GAPS = 0.10
"""σ / mean of the logging intervals above which a warning is given."""
FEW_POINTS = 6
"""Points of a phase below which a warning is given."""

_NAN = float("nan")


class Numbers(NamedTuple):
    """The stages' results for one run, as plain Python numbers."""

    dqi: float
    dqi_raw: float
    phases: list[float]
    components: list[list[float]]
    cut: tuple[int, int]
    weakest: int | None
    status: Status


def unscorable(signal: Signal, steps: tuple[float, float] | None = None) -> Score:
    """Return the score of a signal that the stages cannot take.

    Status `no_signal` and `nan` score NaN: nothing is known. Status `too_short` (fewer than three
    points) scores 0, as the method says; its boundaries lie at `steps`, at thirds without any.
    """
    n = signal.y.size
    finite = bool(np.isfinite(signal.y).all())
    if signal.source == "none" or not finite:
        status: Status = "no_signal" if signal.source == "none" else "nan"
        numbers = Numbers(_NAN, _NAN, [_NAN] * 3, [[_NAN] * 4] * 3, (0, 0), None, status)
        return _build(signal, numbers, cut=None)
    cut = at_steps(signal.x, *steps) if steps and n else thirds(n)
    numbers = Numbers(0.0, 0.0, [0.0] * 3, [[0.0] * 4] * 3, cut, None, "too_short")
    return _build(signal, numbers, cut=cut if n else None)


def scored(signal: Signal, numbers: Numbers) -> Score:
    """Return the score of a signal with the stages' numbers."""
    return _build(signal, numbers, cut=numbers.cut)


def _build(signal: Signal, numbers: Numbers, cut: tuple[int, int] | None) -> Score:
    n, x = signal.y.size, signal.x
    edges = (0, 0, 0, n) if cut is None else (0, *cut, n)
    # a phase ends where the next one starts; the last one at the last step that was logged
    steps = [_NAN] * 4 if not n else [float(x[min(edge, n - 1)]) for edge in edges]
    phases = [
        PhaseScore(
            numbers.phases[i],
            *numbers.components[i],
            start=edges[i],
            stop=edges[i + 1],
            start_step=steps[i],
            stop_step=steps[i + 1],
            n_points=edges[i + 1] - edges[i],
        )
        for i in range(3)
    ]
    return Score(
        dqi=numbers.dqi,
        dqi_raw=numbers.dqi_raw,
        early=phases[0],
        mid=phases[1],
        late=phases[2],
        boundaries=cut,
        boundary_steps=None if cut is None else (steps[1], steps[2]),
        weakest=None if numbers.weakest is None else COMPONENTS[numbers.weakest],
        status=numbers.status,
        signal=signal.key,
        n_points=n,
        n_nonfinite=signal.n_nonfinite,
        warnings=tuple(_warnings(signal, phases, numbers.status)),
        version=ENGINE_VERSION,
    )


def _warnings(signal: Signal, phases: list[PhaseScore], status: Status) -> list[str]:
    found = list(signal.warnings)
    if signal.source == "grad_norm":
        found.append("no loss was logged: the gradient norm was read instead")
    if signal.n_nonfinite:
        found.append(f"{_count(signal.n_nonfinite, 'point')} not finite")
    if signal.n_duplicates:
        found.append(f"{_count(signal.n_duplicates, 'row')} logged at a step already logged")
    if status not in ("ok", "flat"):
        return found
    gaps = signal.gaps
    narrowest, widest = float(np.minimum.reduce(gaps)), float(np.maximum.reduce(gaps))
    if narrowest < widest:
        # as shares of the widest gap: their squares stay finite whatever the unit of the steps
        shares = gaps / widest
        if float(shares.std()) > IRREGULAR_GAPS * float(shares.mean()):
            found.append(f"irregular logging interval: gaps of {narrowest:g} to {widest:g} steps")
    found.extend(
        f"the {name} phase has only {_count(phase.n_points, 'point')}"
        for name, phase in zip(PHASES, phases, strict=True)
        if phase.n_points < FEW_POINTS
    )
    return found


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
