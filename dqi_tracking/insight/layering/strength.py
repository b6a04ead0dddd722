"""How strong the gradient of each layer is, and which layers received next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.types import FloatArray

EDGE = 0.2
"""Share of a layer's rows that its first and its last level are the median of. Source: the late
gradient-norm level whose worth was measured on public runs."""
MIN_ROWS = 3
"""Finite rows that a level needs. The engine's least."""
VANISHING = 1e-4
"""Level over the strongest layer's, below which a signal has vanished. Measured on networks as
the tests train them: the weakest tensor of transformers of 2 to 6 blocks lies at .0025 or above,
the first layer of a perceptron of 8 sigmoids at 5e-5, of 10 at 5e-6. Key biases, whose gradient is
0 by symmetry of the softmax, are named as well."""
FADED = 1e-3
"""Last over first level, beside the same of the median layer, below which a signal has faded.
Source: the bound of a dead run in `convergence`."""
FLAT_SPREAD = 1e-3
"""Middle nine tenths of the values over their median, up to which a signal is flat. Measured on the
same networks: mini-batches alone scatter a layer's norm by .4 and more. A norm that is clipped, or
of a layer that stands still, does not."""


@dataclass(frozen=True, slots=True)
class LayerFinding:
    """A layer that received a flat or vanishing signal.

    Attributes
    ----------
    layer : str
        Its name. Data, never trusted.
    name : {"vanishing", "flat"}
        `vanishing`: next to nothing beside the strongest layer, or beside what it was at first.
        `flat`: it does not change.
    sentence : str
        The numbers in words, without the name of the layer.
    """

    layer: str
    name: Literal["vanishing", "flat"]
    sentence: str


class Strength(NamedTuple):
    """Levels of L layers; NaN where a layer has fewer than three finite rows.

    Attributes
    ----------
    first, last : ndarray of shape (L,)
        Median norm of the first and the last fifth of the rows.
    spread : ndarray of shape (L,)
        Middle nine tenths of the values, as a share of their median.
    """

    first: FloatArray
    last: FloatArray
    spread: FloatArray


def strength(series: Sequence[FloatArray]) -> Strength:
    """Measure layers whose norms are given in order of the step, finite. O(n log n) a layer."""
    table = np.full((len(series), 3), np.nan)
    for row, values in enumerate(series):
        if values.size < MIN_ROWS:
            continue
        edge = max(MIN_ROWS, round(EDGE * values.size))
        low, middle, high = _quantiles(values)
        spread = (high - low) / abs(middle) if middle else np.inf * (high - low)
        table[row] = np.median(values[:edge]), np.median(values[-edge:]), spread
    return Strength(*table.T)


def findings(layers: Sequence[str], measured: Strength) -> list[LayerFinding]:
    """Name the layers with a vanishing or flat signal, in the order of the layers. O(L)."""
    first, last, spread = measured
    known = np.isfinite(last)
    if not known.any():
        return []
    strongest = float(last[known].max())
    with np.errstate(all="ignore"):
        beside = last / strongest if strongest > 0 else np.where(known, 0.0, np.nan)
        kept = np.where(first > 0, last / first, np.nan)
    usual = float(np.median(kept[np.isfinite(kept)])) if np.isfinite(kept).any() else np.nan
    found: list[LayerFinding] = []
    for row, layer in enumerate(layers):
        if not known[row]:
            continue
        if last[row] == 0:
            found.append(LayerFinding(layer, "vanishing", "its gradient is 0 at the end"))
        elif beside[row] < VANISHING:
            words = f"at the end its gradient norm is {beside[row]:.1e} of the strongest layer's"
            found.append(LayerFinding(layer, "vanishing", words))
        elif kept[row] < FADED * usual:
            words = (
                f"its gradient norm fell to {kept[row]:.1e} of what it was, "
                f"the median layer's to {usual:.2g}"
            )
            found.append(LayerFinding(layer, "vanishing", words))
        elif spread[row] <= FLAT_SPREAD:
            words = f"its gradient norm stays within {100 * spread[row]:.2g} % of {last[row]:.3g}"
            found.append(LayerFinding(layer, "flat", words))
    return found


def _quantiles(values: FloatArray) -> tuple[float, float, float]:
    """Return the 5th, 50th and 95th percentile, the nearest rows below."""
    n = values.size
    places = [int(share * (n - 1)) for share in (0.05, 0.5, 0.95)]
    ordered = np.partition(values, places)
    low, middle, high = ordered[places].tolist()
    return low, middle, high
