"""Replay stop advice, and patience, on finished runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.insight.forecasting import conformal
from dqi_tracking.insight.forecasting.replay import replay
from dqi_tracking.insight.stopping import best_index, late_range, running_mean, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.insight.forecasting.calibration import Calibration
    from dqi_tracking.insight.forecasting.reading import Curve
    from dqi_tracking.types import FloatArray

CHECKPOINTS = tuple(round(0.1 + 0.02 * step, 2) for step in range(45))
"""Shares of a run at which the advice is asked for."""

PATIENCE = np.arange(0.01, 0.9, 0.01)
"""Patience, as shares of the run, that it is compared with."""


def replayed(
    curves: Sequence[Curve], table: Calibration, stall: float, tolerance: float
) -> tuple[list[int], FloatArray]:
    """Replay the advice, and every patience, on finished runs.

    Parameters
    ----------
    curves : sequence of Curve
    table : Calibration
    stall, tolerance : float
        As in `advise`.

    Returns
    -------
    kept : list of R int
        Indices of the runs that could be replayed.
    outcome : ndarray of shape (R, 1 + P, 2)
        Steps saved and regret, of the advice and of P patiences.
    """
    found = replay(curves, CHECKPOINTS)
    kept = np.unique(found.run)
    low, high = conformal.multiples(table.table, found.ahead, 0.8)
    better_end = found.loss + low * found.difficulty
    # as in a forecast: a loss that was never negative stays so
    held = np.array([curve.positive and curve.y[0] >= 0 for curve in curves])[found.run]
    held &= found.loss + high * found.difficulty > 0
    better_end = np.where(held, np.maximum(better_end, 0), better_end)
    rules = np.append(-1, PATIENCE)
    outcome = np.zeros((kept.size, rules.size, 2))
    for row, run in enumerate(kept):
        own = found.run == run
        share = found.share[own]
        path = _path(curves[run], share)
        stops = path.stalled[:, None] >= rules
        exhausted = path.best - better_end[own] < tolerance * path.late_range
        stops[:, 0] = (path.stalled >= stall) & exhausted
        first = stops.argmax(axis=0)
        ends = stops.any(axis=0)
        outcome[row, :, 0] = np.where(ends, 1 - share[first], 0)
        outcome[row, :, 1] = np.where(ends, path.regret[first], 0)
    return kept.tolist(), outcome


class _Path(NamedTuple):
    """One run at C checkpoints, arrays of shape (C,)."""

    stalled: FloatArray
    best: FloatArray
    late_range: FloatArray
    regret: FloatArray


def _path(curve: Curve, share: FloatArray) -> _Path:
    steps = (curve.x / 2 - curve.x[0] / 2) / (curve.x[-1] / 2 - curve.x[0] / 2)
    at = np.searchsorted(steps, share, side="right") - 1
    best = best_index(curve.y)
    lowest = running_mean(curve.y)[best]
    return _Path(
        stalled=share - steps[best[at]],
        best=lowest[at],
        late_range=np.array([late_range(curve.y[: stop + 1]) for stop in at]),
        regret=np.clip((lowest[at] - lowest[-1]) / spread(curve.y), 0, 1),
    )
