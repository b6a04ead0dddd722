"""The norm of a gradient from its histogram, which is all that `wandb.watch` logs of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from dqi_tracking.types import FloatArray

TYPE = "histogram"
"""What W&B writes into `_type` of a histogram."""
PARTS = frozenset({"_type", "values", "bins", "packedBins"})
"""Keys of a histogram."""
_GRADIENT = re.compile("grad", re.IGNORECASE)
_SLACK = 1e-6
"""Share of the range by which an edge counts as 0: edges are rounded, packed ones twice."""


def is_gradient(name: str) -> bool:
    """Tell whether a histogram of this name is read as a norm.

    Others, such as the losses of single samples, stand for no number that a metric is read for.
    """
    return _GRADIENT.search(name) is not None


def logged_norm(value: object) -> float | None:
    """Return the norm of the tensor that a logged value is a histogram of.

    Parameters
    ----------
    value : object
        A value of a run's history, or its JSON: an export writes so where the type changes.

    Returns
    -------
    float or None
        As `histogram_norm`; None for whatever is no histogram.
    """
    if isinstance(value, str):
        if not value.startswith("{"):
            return None
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, Mapping):
        return None
    found = cast("Mapping[str, Any]", value)
    return histogram_norm(found) if found.get("_type") == TYPE else None


def histogram_norm(histogram: Mapping[str, Any]) -> float:
    """Return the Euclidean norm of a tensor whose histogram was logged.

    Values count as lying evenly within their bin: √Σ count · (a² + ab + b²) / 3 for the edges a, b,
    the mean of v² over a bin. Of a bin that touches 0, what it holds beyond its fuller neighbour
    counts as zeros: most rows of an embedding's gradient are, whose words a batch did not hold.

    Parameters
    ----------
    histogram : mapping
        W&B's: ``values`` (counts) with ``bins`` (edges), or, as its servers return bins of one
        width, with ``packedBins`` (``min``, ``size``, ``count``).

    Returns
    -------
    float
        ≥ 0; NaN where counts and edges do not make a histogram, where nothing was counted, and
        where a value lies in a bin without an end. O(bins).

    Notes
    -----
    Measured with `wandb.watch` of 136 parameters of PyTorch (two transformers, a convolutional
    network, a deep perceptron; 60 steps each): over the true norm, the estimate is 0.9995 in the
    median and between .98 and 1.03 in 99.9 % of the histograms. Where 20,000 words were embedded,
    nearly all rows of a gradient are 0: it is 1.01 in the median there and 2.3 at worst, without
    the rule for zeros 2.2 to 2.6 and 5.3. Zeros alone that `np.histogram` counted between -.5 and
    .5, and not `wandb.watch`, have a norm above 0.
    """
    try:
        counts = np.asarray(histogram.get("values"), dtype=np.float64)
        edges = _edges(histogram, counts.size)
    except (TypeError, ValueError, KeyError, OverflowError):
        return float("nan")
    if counts.ndim != 1 or not counts.any() or edges.shape != (counts.size + 1,):
        return float("nan")
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = edges[:-1], edges[1:]
        # a bin without width, as of a tensor of one value, gives that value
        square = (low * low + low * high + high * high) / 3
        counts = _without_zeros(counts, edges)
        total = float((counts * square)[counts != 0].sum())
    return total**0.5 if 0 <= total < float("inf") else float("nan")


def _without_zeros(counts: FloatArray, edges: FloatArray) -> FloatArray:
    """Take off the bins around 0 what stands out of them."""
    slack = _SLACK * (edges[-1] - edges[0])
    around = np.flatnonzero((edges[:-1] <= slack) & (edges[1:] >= -slack))
    if not around.size or around.size == counts.size:
        return counts
    first, stop = int(around[0]), int(around[-1]) + 1
    beside = np.concatenate((counts[max(first - 1, 0) : first], counts[stop : stop + 1])).max()
    kept = counts.copy()
    kept[first:stop] = np.minimum(counts[first:stop], beside)
    # nothing but zeros, or values that are far smaller than the bins
    return kept if kept.any() else counts


def _edges(histogram: Mapping[str, Any], n_bins: int) -> FloatArray:
    packed = histogram.get("packedBins")
    if packed is None:
        return np.asarray(histogram.get("bins"), dtype=np.float64)
    return float(packed["min"]) + float(packed["size"]) * np.arange(n_bins + 1.0)
