"""A profile of layers as rows of a heat map: many are folded into stretches of neighbours."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.report.printable import printable

if TYPE_CHECKING:
    from dqi_tracking.insight.layers import LayerProfile

NAME = 44
"""Characters of a layer's name; of a longer one the end counts, where layers differ."""
DARKEST = 60
"""Per cent of a phase's colour behind the highest number: text stays legible on it."""
MOST_TOLD, MOST_NAMED = 4, 8
"""Findings that are told, and layers that are named for one; the others are counted."""


class LayerRow(NamedTuple):
    """One layer, or several neighbours.

    Attributes
    ----------
    name : str
        Of the first of them, fit to print.
    n : int
        How many layers.
    phases : tuple of three floats
        Median of their scores in each phase, in [0, 1]; NaN where there are none.
    dqi : float
        Median of their DQI.
    is_found : bool
        Whether one of them has a flat or vanishing signal.
    """

    name: str
    n: int
    phases: tuple[float, ...]
    dqi: float
    is_found: bool


class HeatMap(NamedTuple):
    """A profile as the page draws it.

    Attributes
    ----------
    n : int
        How many layers.
    rows : list of LayerRow
    scale : float
        The highest score of a phase.
    findings : list of str
    """

    n: int
    rows: list[LayerRow]
    scale: float
    findings: list[str]

    @property
    def is_folded(self) -> bool:
        """Whether there are fewer rows than layers."""
        return len(self.rows) < self.n

    def shade(self, value: float) -> int:
        """Return how much of a phase's colour a cell has, in per cent; text stays legible on it."""
        return round(DARKEST * value / self.scale) if self.scale and np.isfinite(value) else 0


def heat_map(found: LayerProfile, most: int) -> HeatMap:
    """Return a profile as the page draws it, in `most` rows at most."""
    rows = layer_rows(found, most)
    return HeatMap(len(found.layers), rows, highest(rows), findings_in_words(found, most))


def layer_rows(found: LayerProfile, most: int) -> list[LayerRow]:
    """Return a row for each layer in order, or `most` rows of about as many neighbours each."""
    named = {finding.layer for finding in found.findings}
    parts = np.array_split(np.arange(len(found.layers)), min(most, len(found.layers)))
    rows: list[LayerRow] = []
    for part in parts:
        layers = [found.layers[index] for index in part]
        with warnings.catch_warnings():
            # a median of nothing but NaN is NaN
            warnings.simplefilter("ignore", RuntimeWarning)
            phases = np.nanmedian(found.phases[part], axis=0)
            dqi = float(np.nanmedian(found.dqi[part]))
        rows.append(
            LayerRow(
                short(layers[0]),
                len(layers),
                tuple(phases.tolist()),
                dqi,
                not named.isdisjoint(layers),
            )
        )
    return rows


def highest(rows: list[LayerRow]) -> float:
    """Return the highest score of a phase, by which a heat map is scaled; 0 where there is none."""
    values = [value for row in rows for value in row.phases if np.isfinite(value)]
    return max(values, default=0.0)


def findings_in_words(found: LayerProfile, most: int = MOST_NAMED) -> list[str]:
    """Return the layers with a flat or vanishing signal, those of one sentence together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for finding in found.findings:
        alike.setdefault((finding.name, finding.sentence), []).append(short(finding.layer))
    told = sorted(alike.items(), key=lambda item: -len(item[1]))
    lines = [
        f"{name.capitalize()} signal in {_named(layers, min(most, MOST_NAMED))}: {sentence}"
        for (name, sentence), layers in told[:MOST_TOLD]
    ]
    left = sum(len(layers) for _, layers in told[MOST_TOLD:])
    return [*lines, f"And {left:,} more layers with a flat or vanishing signal"] if left else lines


def short(name: str) -> str:
    """Return a layer's name fit to print, its end where it is long."""
    text = printable(name)
    return text if len(text) <= NAME else "…" + text[1 - NAME :]


def _named(layers: list[str], most: int) -> str:
    left = len(layers) - most
    return ", ".join(layers[:most]) + (f" and {left:,} more" if left > 0 else "")
