"""Gradient norms of layers as histories, whichever way they were handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from dqi_tracking.errors import MalformedHistory
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike

    from dqi_tracking.types import FloatArray


def layer_histories(step: ArrayLike | None, norms: ArrayLike | Sequence[History]) -> list[History]:
    """Return a history of each layer that holds its gradient norm and nothing else.

    Parameters
    ----------
    step : array_like of shape (n,), or None
        Steps of the columns of a matrix; None with histories.
    norms : array_like of shape (L, n), or sequence of History

    Raises
    ------
    MalformedHistory
        When it is neither a table of numbers with its steps, nor a list of histories.
    """
    if step is None:
        given = list(cast("Iterable[object]", norms))
        histories = [each for each in given if isinstance(each, History)]
        if len(histories) != len(given):
            raise MalformedHistory(
                "gradient norms without steps", fix="pass `step`, or a list of histories"
            )
        return [_gradient(history) for history in histories]
    try:
        table = np.asarray(norms, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MalformedHistory(
            "the gradient norms are no table of numbers",
            fix="pass an array of shape (layers, steps), or a list of histories with `step` None",
        ) from error
    if not table.size:
        return []
    if table.ndim != 2:
        raise MalformedHistory(
            f"the gradient norms have {table.ndim} dimensions",
            fix="pass an array of shape (layers, steps)",
        )
    return [History(step, grad_norm=row) for row in table]


def _gradient(history: History) -> History:
    """Return the gradient norm of a history alone: a loss would be read before it."""
    if history.grad_norm is None:
        return History([], grad_norm=[])
    at = history.step if history.grad_step is None else history.grad_step
    return History(at, grad_norm=history.grad_norm)


def values_in_order(history: History) -> FloatArray:
    """Return the finite norms as the engine reads them: by step, the last row of each."""
    step, values = history.step, history.grad_norm
    if values is None:
        return np.empty(0)
    if step.size and (step[1:] <= step[:-1]).any():
        order = np.argsort(step, kind="stable")
        step, values = step[order], values[order]
        values = values[np.append(step[1:] != step[:-1], True)]
    return values[np.isfinite(values)]
