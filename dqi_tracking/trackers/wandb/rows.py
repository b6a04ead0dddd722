"""Rows of a history, as W&B hands them out, as series of numbers."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.errors import ReadRejected
from dqi_tracking.trackers.histograms import is_gradient, logged_norm
from dqi_tracking.trackers.series import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WORDS = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf}


def series_of(
    rows: Iterable[Mapping[str, Any]], keys: Sequence[str], run: str, *, norms: bool
) -> dict[str, Series]:
    """Return some metrics of rows of a history.

    Parameters
    ----------
    rows : iterable of mapping
        Each with its `_step`; rows without a value are passed over.
    keys : sequence of str
        Names of the metrics; dots lead into nested dictionaries.
    run : str
        For the message.
    norms : bool
        Whether of a gradient's histogram the norm is read.

    Returns
    -------
    dict of str to Series
        For each of them, in the order of the rows.

    Raises
    ------
    ReadRejected
        When a value is no number.
    """
    columns = {key: (array("d"), array("d")) for key in keys}
    reading = {key: number_or_norm if norms and is_gradient(key) else as_number for key in columns}
    for row in rows:
        for key, (step, value) in columns.items():
            found = _lookup(row, key)
            if found is None:
                continue
            try:
                value.append(reading[key](found))
                step.append(float(row["_step"]))
            except (TypeError, ValueError, KeyError) as error:
                raise ReadRejected(
                    f"`{key}` holds something that is no number at step {row.get('_step')}: "
                    f"{str(found)[:40]!r}",
                    fix="name another metric with --loss-key or --grad-norm-key",
                    run=run,
                ) from error
    return {
        key: Series(np.frombuffer(step), np.frombuffer(value)) if step else _EMPTY
        for key, (step, value) in columns.items()
    }


_EMPTY = Series(np.empty(0), np.empty(0))


def as_number(value: Any) -> float:
    """Return a logged value as a number: whole floats come as int, NaN and infinities as text.

    Raises
    ------
    TypeError, ValueError
        When it is none.
    """
    if isinstance(value, str):
        word = value.strip().lower()
        return _WORDS[word] if word in _WORDS else float(word)
    return float(value)


def number_or_norm(value: Any) -> float:
    """Return a logged value as a number, and of a histogram the norm of what it was made of.

    Raises
    ------
    TypeError, ValueError
        When it is neither.
    """
    norm = logged_norm(value)
    return as_number(value) if norm is None else norm


def _lookup(row: Mapping[str, Any], key: str) -> Any:
    if key in row:
        return row[key]
    head, dot, rest = key.partition(".")
    while dot:
        inside = row.get(head)
        if isinstance(inside, dict) and (found := _lookup(inside, rest)) is not None:  # pyright: ignore[reportUnknownArgumentType]
            return found
        more, dot, rest = rest.partition(".")
        head = f"{head}.{more}"
    return None
