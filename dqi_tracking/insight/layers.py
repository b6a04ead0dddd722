"""DQI layer by layer, where a run logs a gradient norm for each: which layers were fed, and when.

`layer_keys` finds the metrics and puts the layers in network order; `profile` scores them and names
those with a flat or vanishing signal; `layers_json` writes it down.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dqi_tracking.engine import ENGINE_VERSION, score_many
from dqi_tracking.errors import MalformedHistory
from dqi_tracking.insight.layering.keys import LayerKeys, find_layers
from dqi_tracking.insight.layering.series import layer_histories, values_in_order
from dqi_tracking.insight.layering.strength import LayerFinding, findings, strength
from dqi_tracking.types import COMPONENTS, PHASES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from dqi_tracking.types import FloatArray, History, Score, Status

__all__ = [
    "LayerFinding",
    "LayerKeys",
    "LayerProfile",
    "find_layers",
    "layer_keys",
    "layers_json",
    "profile",
]


@dataclass(frozen=True, slots=True, eq=False)
class LayerProfile:
    """L layers of a run, in the order they were given. NaN where a layer has nothing to score.

    Attributes
    ----------
    layers : tuple of str
        Names. Data, never trusted.
    dqi : ndarray of shape (L,)
        DQI of each layer's gradient norm, in [0, 1].
    phases : ndarray of shape (L, 3)
        Scores of the early, mid and late phase, each in [0, 1].
    components : ndarray of shape (L, 3, 4)
        Coverage, variation, structure, density of each phase, each in [0, 1].
    level : ndarray of shape (L, 3)
        Median gradient norm in each phase, in the units that were logged; NaN for an empty phase.
    boundary_steps : ndarray of shape (L, 2)
        Steps at which the mid and the late phase begin.
    n_points, n_nonfinite : ndarray of shape (L,), int
        Finite points, and how many more were not finite and left out.
    status : tuple of str
        As in `Score`, of each layer.
    findings : tuple of LayerFinding
        Layers with a flat or vanishing signal, one each, in order.
    """

    layers: tuple[str, ...]
    dqi: FloatArray
    phases: FloatArray
    components: FloatArray
    level: FloatArray
    boundary_steps: FloatArray
    n_points: NDArray[np.int64]
    n_nonfinite: NDArray[np.int64]
    status: tuple[Status, ...]
    findings: tuple[LayerFinding, ...]


def layer_keys(names: Iterable[str], pattern: str | None = None) -> dict[str, str]:
    """Return the metric that holds each layer's gradient norm, layers in network order.

    Parameters
    ----------
    names : iterable of str
        Metric names of a run.
    pattern : str, optional
        Regular expression with one group, the layer. Without one: `grad_2.0_norm/{layer}`, then
        `l2_norm/grad/{layer}`, then `gradients/{layer}` (histograms, of which trackers read the
        norm); `find_layers` tells which.

    Returns
    -------
    dict of str to str
        Embeddings first; then encoder, blocks, decoder in natural order; final norm, pooler and
        head last. Names tell no more: within a block the order is that of the alphabet. Empty
        where no name fits.

    Raises
    ------
    ConfigError
        When the pattern is no regular expression, has not exactly one group, or gives two metrics
        the same layer.

    Examples
    --------
    >>> from dqi_tracking.insight.layers import layer_keys
    >>> names = ["lm_head", "h.10.mlp", "h.2.mlp", "wte"]
    >>> list(layer_keys([f"grad_2.0_norm/{name}" for name in names]))
    ['wte', 'h.2.mlp', 'h.10.mlp', 'lm_head']
    """
    return find_layers(names, pattern).keys


def profile(
    step: ArrayLike | None,
    norms: ArrayLike | Sequence[History],
    names: Sequence[str],
    *,
    boundaries: tuple[float, float] | None = None,
) -> LayerProfile:
    """Score the gradient norm of each layer of one run.

    Parameters
    ----------
    step : array_like of shape (n,), or None
        Steps of the columns of a matrix; None with histories, which have their own.
    norms : array_like of shape (L, n), or sequence of History
        Gradient norm of each layer, NaN where one was not logged; or a history of each, whose
        `grad_norm` is read. What is not finite is left out and counted.
    names : sequence of str
        Name of each layer.
    boundaries : (early_end_step, mid_end_step), optional
        Phases that all layers share, such as those of the run's loss. Without them each layer has
        its own, by the 40 % and 75 % rule.

    Returns
    -------
    LayerProfile
        In relative units, as `dqi`: scaling a layer's norm changes neither its scores nor its
        boundaries. O(L n log n).

    Raises
    ------
    MalformedHistory
        When the shapes do not agree, two names are equal, or a step is not finite.
    ConfigError
        When `boundaries` are not two finite steps in order.
    """
    histories = layer_histories(step, norms)
    if len(histories) != len(names):
        raise MalformedHistory(
            f"{len(histories)} gradient norms for {len(names)} layers",
            fix="pass one name for each layer",
        )
    if len(set(names)) != len(names):
        raise MalformedHistory(
            "two layers have the same name", fix="pass names that tell the layers apart"
        )
    scores = score_many(histories, nan_policy="omit", boundaries=[boundaries] * len(histories))
    series = [values_in_order(history) for history in histories]
    layers = tuple(names)
    phases = [list(score.phases.values()) for score in scores]
    steps = [score.boundary_steps or (np.nan, np.nan) for score in scores]
    counts = [(score.n_points, score.n_nonfinite) for score in scores]
    parts = [[[getattr(p, name) for name in COMPONENTS] for p in row] for row in phases]
    return LayerProfile(
        layers=layers,
        dqi=_frozen([score.dqi for score in scores], (-1,)),
        phases=_frozen([[phase.dqi for phase in row] for row in phases], (-1, 3)),
        components=_frozen(parts, (-1, 3, 4)),
        level=_frozen([_level(s, v) for s, v in zip(scores, series, strict=True)], (-1, 3)),
        boundary_steps=_frozen(steps, (-1, 2)),
        n_points=np.array([n for n, _ in counts], np.int64),
        n_nonfinite=np.array([n for _, n in counts], np.int64),
        status=tuple(score.status for score in scores),
        findings=tuple(findings(layers, strength(series))),
    )


def layers_json(found: LayerProfile) -> str:
    """Write a profile as JSON, one object a layer in order; null for what is not finite.

    Names are escaped to ASCII, so that any text goes through any file.
    """
    finding_of = {finding.layer: finding for finding in found.findings}
    rows = [_row(found, index, finding_of.get(layer)) for index, layer in enumerate(found.layers)]
    return json.dumps({"engine_version": ENGINE_VERSION, "layers": rows}, allow_nan=False)


def _row(found: LayerProfile, index: int, finding: LayerFinding | None) -> dict[str, Any]:
    parts = found.components[index].tolist()
    phases = {
        phase: {
            "dqi": _finite(found.phases[index, at]),
            **{name: _finite(part) for name, part in zip(COMPONENTS, parts[at], strict=True)},
            "grad_norm": _finite(found.level[index, at]),
        }
        for at, phase in enumerate(PHASES)
    }
    return {
        "layer": found.layers[index],
        "status": found.status[index],
        "dqi": _finite(found.dqi[index]),
        "phases": phases,
        "boundary_steps": [_finite(step) for step in found.boundary_steps[index]],
        "n_points": int(found.n_points[index]),
        "n_nonfinite": int(found.n_nonfinite[index]),
        "finding": finding and {"name": finding.name, "sentence": finding.sentence},
    }


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None


def _level(score: Score, values: FloatArray) -> list[float]:
    parts = (values[phase.start : phase.stop] for phase in score.phases.values())
    return [float(np.median(part)) if part.size else np.nan for part in parts]


def _frozen(values: Sequence[object], shape: tuple[int, ...]) -> FloatArray:
    array = np.array(values, dtype=np.float64).reshape(shape)
    array.setflags(write=False)
    return array
