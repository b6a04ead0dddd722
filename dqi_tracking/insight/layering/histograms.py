"""The norm of a gradient from its histogram, which is all that `wandb.watch` logs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray


def histogram_norm(logged: object) -> float:
    """Return the Euclidean norm of a tensor whose histogram was logged.

    Each value counts as lying evenly within its bin: √Σ count · (a² + ab + b²) / 3 for the edges
    a, b, the mean of v² over a bin. Exact for values evenly spread in each bin.

    Parameters
    ----------
    logged : mapping
        W&B's histogram: ``values`` (counts) with ``bins`` (edges), or with ``packedBins``
        (``min``, ``size``, ``count``).

    Returns
    -------
    float
        ≥ 0; NaN for anything that is no histogram. O(bins).
    """
    if not isinstance(logged, Mapping):
        return float("nan")
    histogram = cast("Mapping[str, Any]", logged)
    try:
        counts = np.asarray(histogram.get("values"), dtype=np.float64)
        edges = _edges(histogram, counts.size)
    except (TypeError, ValueError, KeyError, OverflowError):
        return float("nan")
    if counts.ndim != 1 or not counts.size or edges.shape != (counts.size + 1,):
        return float("nan")
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = edges[:-1], edges[1:]
        # a bin without width, as of a tensor of one value, gives that value
        square = (low * low + low * high + high * high) / 3
        total = float((counts * square)[counts != 0].sum())
    return total**0.5 if total >= 0 else float("nan")


def histogram_norms(logged: Sequence[object]) -> FloatArray:
    """Return the norms of many histograms, in order; NaN for what is none."""
    return np.array([histogram_norm(each) for each in logged], dtype=np.float64)


def _edges(histogram: Mapping[str, Any], n_bins: int) -> FloatArray:
    packed = histogram.get("packedBins")
    if packed is None:
        return np.asarray(histogram.get("bins"), dtype=np.float64)
    return float(packed["min"]) + float(packed["size"]) * np.arange(n_bins + 1.0)
