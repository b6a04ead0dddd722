"""Which of a run's metrics is the loss, and which the gradient norm.

Names are compared case-folded, with ``/ - _ .`` and space as one separator; a person's choice
comes first, then exact aliases, then names that end in one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.types import MetricKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dqi_tracking.config import Settings

MIN_POINTS = 3
"""Points below which a series is passed over where a longer one exists: frameworks log summary
values, such as HF Trainer's `train_loss`, under names of series."""

_SEPARATORS = re.compile(r"[/\-_. ]+")
_OF_LAYERS = re.compile(r"(?:^|/)(?:grad_[^/_]+_norm|l2_norm/grad|gradients)/")
"""Names of Lightning, Composer and `wandb.watch`; which of them counts, all together tell."""
_HELD_OUT = frozenset(
    {"val", "valid", "validation", "eval", "evaluation", "test", "dev", "holdout", "dqi"}
)


class Candidates(NamedTuple):
    """Series that may be the loss and the gradient norm, best first, and the chosen steps.

    And those that may be the learning rate, where phases by the schedule are asked for, and the
    names that may be gradient norms of layers.
    """

    loss: tuple[MetricKey, ...]
    grad_norm: tuple[MetricKey, ...]
    step: str = ""
    rate: tuple[MetricKey, ...] = ()
    layers: tuple[str, ...] = ()

    @property
    def metrics(self) -> frozenset[str]:
        """Names of all metrics whose values may be the signal or the learning rate."""
        series = (*self.loss, *self.grad_norm, *self.rate)
        return frozenset(part for key in series for part in key.parts)


class KeyResolver:
    """Find the candidates among a run's metric names.

    Parameters
    ----------
    settings : Settings
        Aliases, and the keys a person chose.
    """

    def __init__(self, settings: Settings) -> None:
        self._loss = _Aliases(settings.loss_aliases, settings.loss_key)
        self._grad_norm = _Aliases(settings.grad_norm_aliases, settings.grad_norm_key)
        self._rate = _Rates(settings.learning_rate_aliases, None)
        self._reads_rate = settings.phases == "schedule"
        self._step = settings.step_key
        # runs of one experiment log the same names: look them up once
        self._resolve = lru_cache(maxsize=4096)(self._resolve_names)

    def candidates(self, names: Sequence[str]) -> Candidates:
        """Return the series among `names` that may be read, best first."""
        return self._resolve(frozenset(names))

    def concerns(self, name: str) -> bool:
        """Tell whether a metric may take part, whatever else the run logs."""
        kinds = [self._loss, self._grad_norm, *([self._rate] if self._reads_rate else [])]
        return name == self._step or any(kind.concerns(name) for kind in kinds)

    def _resolve_names(self, names: frozenset[str]) -> Candidates:
        loss, grad_norm = self._loss.among(names), self._grad_norm.among(names)
        if self._loss.chosen and not loss:
            # a chosen loss that is missing is an answer, not an invitation to read something else
            return Candidates((), ())
        layers = tuple(sorted(filter(_OF_LAYERS.search, names)))
        step = self._step if self._step and self._step in names else ""
        rate = self._rate.among(names) if self._reads_rate else ()
        return Candidates(loss, grad_norm, step, rate, layers)


class _Aliases:
    def __init__(self, aliases: tuple[str, ...], chosen: str | None) -> None:
        self.chosen = chosen
        folded = (tuple(_fold(part) for part in alias.split(" + ")) for alias in aliases)
        # `grad_norm` and `grad-norm` are one name: read its series once
        self._names = list(dict.fromkeys(folded))
        self._endings = tuple(f"_{alias[0]}" for alias in self._names if len(alias) == 1)

    def concerns(self, name: str) -> bool:
        if self.chosen:
            return name == self.chosen
        fold = _fold(name)
        parts = {part for alias in self._names for part in alias}
        return fold in parts or self._is_suffixed(fold)

    def among(self, names: frozenset[str]) -> tuple[MetricKey, ...]:
        if self.chosen:
            return (MetricKey((self.chosen,), tier=0),) if self.chosen in names else ()
        by_fold: dict[str, list[str]] = {}
        for name in sorted(names):
            by_fold.setdefault(_fold(name), []).append(name)
        exact = [
            MetricKey(parts)
            for alias in self._names
            for parts in product(*(by_fold.get(part, []) for part in alias))
        ]
        taken = {part for key in exact for part in key.parts}
        suffix = [
            MetricKey((name,), tier=2)
            for fold in sorted(by_fold, key=lambda fold: (len(fold), fold))
            for name in by_fold[fold]
            if name not in taken and self._is_suffixed(fold)
        ]
        return (*exact, *suffix)

    def _is_suffixed(self, fold: str) -> bool:
        words = (word.rstrip("0123456789") for word in fold.split("_"))
        return fold.endswith(self._endings) and not _HELD_OUT.intersection(words)


class _Rates(_Aliases):
    """Learning rates: Lightning's monitor names them after the optimizer, whichever that is."""

    _MONITORED = "lr_"

    def concerns(self, name: str) -> bool:
        return super().concerns(name) or _fold(name).startswith(self._MONITORED)

    def among(self, names: frozenset[str]) -> tuple[MetricKey, ...]:
        monitored = sorted(name for name in names if _fold(name).startswith(self._MONITORED))
        return super().among(names) or tuple(MetricKey((name,), tier=2) for name in monitored)


def choose(candidates: Sequence[MetricKey], n_points: Mapping[MetricKey, int]) -> MetricKey | None:
    """Choose the series to read, once the lengths are known.

    Parameters
    ----------
    candidates : sequence of MetricKey
        Best first.
    n_points : mapping of MetricKey to int
        Points of each candidate.

    Returns
    -------
    MetricKey or None
        The longest series of the best tier with three points or more; else the longest of all;
        None where no candidate has a point.
    """
    with_points = [key for key in candidates if n_points[key]]
    for tier in sorted({key.tier for key in with_points}):
        usable = [k for k in with_points if k.tier == tier and n_points[k] >= MIN_POINTS]
        if usable:
            return max(usable, key=n_points.__getitem__)
    return max(with_points, key=n_points.__getitem__, default=None)


def _fold(name: str) -> str:
    return _SEPARATORS.sub("_", name.casefold()).strip("_")
