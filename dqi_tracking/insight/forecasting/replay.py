"""Forecast finished runs from their own early parts, where the truth is known."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.insight.forecasting.extrapolation import extrapolate
from dqi_tracking.insight.forecasting.reading import MIN_POINTS, read
from dqi_tracking.insight.forecasting.window import standardise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from dqi_tracking.insight.forecasting.reading import Curve
    from dqi_tracking.insight.forecasting.window import Standard
    from dqi_tracking.types import FloatArray, History

SHARES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Shares of a finished run after which its last value is foretold."""

BATCH = 64
"""Runs worked on in one go: their temporaries stay in a core's cache."""


class Replay(NamedTuple):
    """N forecasts of the last value of finished runs.

    Attributes
    ----------
    run : ndarray of shape (N,)
        Index of the run.
    share : ndarray of shape (N,)
        Share of its steps that was seen.
    ahead : ndarray of shape (N,)
        The end, as a multiple of the seen part.
    loss, truth, last : ndarray of shape (N,)
        Forecast of the last value, the last value itself, and the last value seen.
    difficulty : ndarray of shape (N,)
        Scale of the error to expect, in the units of the loss.
    now : ndarray of shape (N,)
        Loss level at the end of the seen part.
    """

    run: NDArray[np.int64]
    share: FloatArray
    ahead: FloatArray
    loss: FloatArray
    truth: FloatArray
    last: FloatArray
    difficulty: FloatArray
    now: FloatArray


def blocks(histories: Iterable[History], *, higher_is_better: bool) -> Iterator[list[Curve]]:
    """Yield the curves of many runs in blocks, so that not all histories are held at once."""
    drawn = iter(histories)
    while block := [
        read(history, higher_is_better=higher_is_better) for history in islice(drawn, BATCH)
    ]:
        yield block


def replay(curves: Sequence[Curve], shares: Sequence[float] = SHARES) -> Replay:
    """Forecast the last value of each run after each share of it.

    Parameters
    ----------
    curves : sequence of Curve
        Finished runs; those that are not `ok` are passed over.
    shares : sequence of float in (0, 1)

    Returns
    -------
    Replay
        Without the shares at which a run had fewer than eight points, or was constant.
    """
    rows: list[tuple[int, float, float, float, float]] = []
    seen: list[Standard] = []
    for run, curve in enumerate(curves):
        if curve.standard is None:
            continue
        for share in shares:
            stop = int(np.searchsorted(curve.standard.u, share, side="right"))
            part = standardise(curve.x[:stop], curve.y[:stop]) if stop >= MIN_POINTS else None
            if part is None or stop == curve.y.size:
                continue
            left = curve.x[-1] / 2 - curve.x[stop - 1] / 2
            rows.append((run, share, 1 + left / part.half_span, curve.y[-1], curve.y[stop - 1]))
            seen.append(part)
    table = np.array(rows).reshape(-1, 5)
    numbers = np.empty((3, len(seen)))
    for start in range(0, len(seen), BATCH):
        some = slice(start, start + BATCH)
        found = extrapolate(seen[some])
        scale = np.array([part.scale for part in seen[some]])
        offset = np.array([part.offset for part in seen[some]])
        now, loss = offset + scale * found.now, offset + scale * found.at(table[some, 2])
        numbers[:, some] = loss, scale * found.difficulty, now
    return Replay(
        run=table[:, 0].astype(np.int64),
        share=table[:, 1],
        ahead=table[:, 2],
        truth=table[:, 3],
        last=table[:, 4],
        loss=numbers[0],
        difficulty=numbers[1],
        now=numbers[2],
    )


def joined(replays: Sequence[Replay], curves: Sequence[int]) -> Replay:
    """Join the replays of several blocks of runs into one.

    Parameters
    ----------
    replays : sequence of Replay
    curves : sequence of int
        How many curves each block had, whether they could be replayed or not.
    """
    if not replays:
        return replay([])
    first = np.append(0, np.cumsum(curves)[:-1])
    moved = [
        found._replace(run=found.run + start) for found, start in zip(replays, first, strict=True)
    ]
    return Replay(*(np.concatenate(column) for column in zip(*moved, strict=True)))
