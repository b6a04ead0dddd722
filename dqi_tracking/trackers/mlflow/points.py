"""Points of a metric, as MLflow's stores keep them, made into a `Series`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from dqi_tracking.trackers.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dqi_tracking.types import FloatArray, RunRef

    Fetch = Callable[[str], Series]
    """Reads one metric of one run, by name."""

INFINITY = float(np.finfo(np.float64).max)
"""What MLflow's SQL stores keep in the place of infinity."""


class Route(Protocol):
    """A way to many histories at once, which gives exactly what the public client does."""

    def locations(self, refs: Sequence[RunRef]) -> Mapping[str, str]:
        """Return the artifact URI of each run that is there and not deleted, by its id."""
        ...

    def fetches(self, refs: Sequence[RunRef]) -> Iterator[tuple[RunRef, Fetch]]:
        """Yield for each run, in order, what to read of it and how.

        A run comes back without candidates that would be read and passed over. `fetch` reads by
        the public client whatever the route cannot answer for.
        """
        ...

    def several(self, run_id: str, keys: Sequence[str]) -> dict[str, Series]:
        """Return some metrics of one run, in whatever order; none for those without points."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...


def series_of(step: FloatArray, timestamp: FloatArray, value: FloatArray) -> Series:
    """Return points in the order of their steps, those of one step by time.

    Parameters
    ----------
    step, timestamp, value : array of shape (n,)
        Points that are equal in step and time keep their order; `value` is changed in place.
    """
    restore_infinities(value)
    if np.all(step[1:] > step[:-1]):
        return Series(step, value)
    order = np.lexsort((timestamp, step))
    return Series(step[order], value[order])


def restore_infinities(value: FloatArray) -> None:
    """Put back in place the infinities that MLflow keeps as the largest numbers."""
    value[np.abs(value) >= INFINITY] *= np.inf
