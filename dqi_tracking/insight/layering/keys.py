"""Which of a run's metrics are the gradient norms of its layers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.layering.order import network_order

if TYPE_CHECKING:
    from collections.abc import Iterable

LayerSource = Literal["pattern", "lightning", "composer", "wandb_watch"]

_PATTERNS: tuple[tuple[LayerSource, re.Pattern[str]], ...] = (
    # Lightning's `grad_norm(module, 2)`; its total is `grad_2.0_norm_total`
    ("lightning", re.compile(r"(?:.*/)?grad_(?P<order>[^/_]+)_norm/(?P<layer>.+)", re.DOTALL)),
    # Composer's OptimizerMonitor; `global` is the norm over all layers
    ("composer", re.compile(r"(?:.*/)?l2_norm/grad/(?P<layer>(?!global$).+)", re.DOTALL)),
    # `wandb.watch` logs a histogram a parameter: trackers read the norm of it
    ("wandb_watch", re.compile(r"(?:.*/)?gradients/(?P<layer>.+)", re.DOTALL)),
)
_EUCLIDEAN = ("2.0", "2")


class LayerKeys(NamedTuple):
    """The metrics that hold a gradient norm for each layer.

    Attributes
    ----------
    source : str or None
        `pattern`, `lightning`, `composer`, or `wandb_watch`, whose norms are estimated from
        histograms; None where the run logs nothing of the kind.
    keys : dict of str to str
        Metric name of each layer, layers in network order.
    """

    source: LayerSource | None
    keys: dict[str, str]


def find_layers(names: Iterable[str], pattern: str | None = None) -> LayerKeys:
    """Find the metrics that are gradient norms of layers.

    Parameters
    ----------
    names : iterable of str
        Metric names of a run, any text.
    pattern : str, optional
        Regular expression with one group, the layer; it is looked for anywhere in a name. Without
        one: the names of Lightning, then Composer, then `wandb.watch`, the first that there are.

    Returns
    -------
    LayerKeys
        Empty where no name fits. O(n log n).

    Raises
    ------
    ConfigError
        When the pattern is no regular expression, has not exactly one group, or gives two metrics
        the same layer.
    """
    ordered = sorted(set(names))
    if pattern is not None:
        return LayerKeys("pattern", _in_order(_by_pattern(ordered, pattern)))
    for source, known in _PATTERNS:
        found: dict[str, str] = {}
        for name in _orders_last(ordered, known):
            match = known.fullmatch(name)
            if match:
                # the last one wins: a Euclidean norm where there are several
                found[match["layer"]] = name
        if found:
            return LayerKeys(source, _in_order(found))
    return LayerKeys(None, {})


def _orders_last(names: list[str], known: re.Pattern[str]) -> list[str]:
    """Put the Euclidean norms last where a run logs norms of several orders."""
    if "order" not in known.groupindex:
        return names

    def is_euclidean(name: str) -> bool:
        match = known.fullmatch(name)
        return match is not None and match["order"] in _EUCLIDEAN

    return sorted(names, key=is_euclidean)


def _by_pattern(names: list[str], pattern: str) -> dict[str, str]:
    example = r"such as `grad_norm/(.+)`"
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ConfigError(
            f"the layer pattern {pattern!r} is no regular expression: {error}",
            fix=f"pass a Python regular expression with one group, {example}",
        ) from error
    if wanted.groups != 1:
        raise ConfigError(
            f"the layer pattern {pattern!r} has {wanted.groups} groups",
            fix=f"put parentheses around the layer and nothing else, {example}; "
            "`(?:…)` groups without capturing",
        )
    found: dict[str, str] = {}
    for name in names:
        match = wanted.search(name)
        if not match or not match[1]:
            continue
        if match[1] in found:
            raise ConfigError(
                f"by the layer pattern {pattern!r}, {found[match[1]]!r} and {name!r} are both "
                f"the layer {match[1]!r}",
                fix="make the pattern tell them apart, or match one of them only",
            )
        found[match[1]] = name
    return found


def _in_order(found: dict[str, str]) -> dict[str, str]:
    return {layer: found[layer] for layer in network_order(found)}
