"""Which of a run's metrics is the loss, which the gradient norm, and which the validation loss.

Names are compared case-folded, with ``/ - _ .`` and space as one separator; a person's choice
comes first, then exact aliases, then names that end in one.
"""

from __future__ import annotations

import re
from dataclasses import replace
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

MOST_VALIDATIONS = 3
"""Validation losses that are looked at, at most: there may be one for each of many data sets."""

_SEPARATORS = re.compile(r"[/\-_. ]+")
_OF_LAYERS = re.compile(r"(?:^|/)(?:grad_[^/_]+_norm|l2_norm/grad|gradients)/")
"""Names of Lightning, Composer and `wandb.watch`; which of them counts, all together tell."""
_TEST, _OURS = "test", "dqi"
_HELD_OUT = frozenset({"val", "valid", "validation", "eval", "evaluation", _TEST, "dev", "holdout"})


class Candidates(NamedTuple):
    """Series that may be the loss and the gradient norm, best first, and the chosen steps.

    And those that may be the learning rate, where phases by the schedule are asked for, the names
    that may be gradient norms of layers, and the series that may be the validation loss, where
    there is a loss to hold it against.
    """

    loss: tuple[MetricKey, ...]
    grad_norm: tuple[MetricKey, ...]
    step: str = ""
    rate: tuple[MetricKey, ...] = ()
    layers: tuple[str, ...] = ()
    validation: tuple[MetricKey, ...] = ()

    @property
    def metrics(self) -> frozenset[str]:
        """Names of all metrics whose values may be the signal, or one of the series beside it."""
        series = (*self.loss, *self.grad_norm, *self.rate, *self.validation)
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
        self._validation = _Validations(settings)
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
        kinds = [self._loss, self._grad_norm, self._validation]
        kinds += [self._rate] if self._reads_rate else []
        return name == self._step or any(kind.concerns(name) for kind in kinds)

    def _resolve_names(self, names: frozenset[str]) -> Candidates:
        loss, grad_norm = self._loss.among(names), self._grad_norm.among(names)
        if self._validation.chosen and not self._loss.chosen:
            loss = tuple(key for key in loss if self._validation.chosen not in key.parts)
        if self._loss.chosen and not loss:
            # a chosen loss that is missing is an answer, not an invitation to read something else
            return Candidates((), ())
        layers = tuple(sorted(filter(_OF_LAYERS.search, names)))
        step = self._step if self._step and self._step in names else ""
        rate = self._rate.among(names) if self._reads_rate else ()
        return Candidates(loss, grad_norm, step, rate, layers, self._beside(loss, names))

    def _beside(self, loss: tuple[MetricKey, ...], names: frozenset[str]) -> tuple[MetricKey, ...]:
        """Return the validation losses that a loss can be held against."""
        taken = {part for key in loss for part in key.parts}
        if not taken:
            return ()
        # a person may read the validation loss itself as the loss: then nothing is held out of it
        if not self._validation.chosen and any(_is_held_out(_fold(part)) for part in taken):
            return ()
        return self._validation.among(names - taken)


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
            for fold in sorted(by_fold, key=self._rank)
            for name in by_fold[fold]
            if name not in taken and self._is_suffixed(fold)
        ]
        return (*exact, *suffix)

    def _rank(self, fold: str) -> tuple[int, str]:
        return len(fold), fold

    def _is_suffixed(self, fold: str) -> bool:
        return fold.endswith(self._endings) and not _is_held_out(fold) and not _is_ours(fold)


class _Rates(_Aliases):
    """Learning rates: Lightning's monitor names them after the optimizer, whichever that is."""

    _MONITORED = "lr_"

    def concerns(self, name: str) -> bool:
        return super().concerns(name) or _fold(name).startswith(self._MONITORED)

    def among(self, names: frozenset[str]) -> tuple[MetricKey, ...]:
        monitored = sorted(name for name in names if _fold(name).startswith(self._MONITORED))
        return super().among(names) or tuple(MetricKey((name,), tier=2) for name in monitored)


class _Validations(_Aliases):
    """Validation losses: of data held out, one by one in order and not the longest of many.

    Any of them tells whether it rises, and each that is looked at costs a read.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.validation_aliases, settings.validation_key)
        losses = (_fold(alias) for alias in settings.loss_aliases if " + " not in alias)
        # what Lightning logs by step stands over batches of validation, not over training steps
        endings = tuple(f"_{loss}" for loss in losses if not loss.endswith("_step"))
        self._endings = endings if self._names else ()

    def among(self, names: frozenset[str]) -> tuple[MetricKey, ...]:
        found = super().among(names)[:MOST_VALIDATIONS]
        return tuple(replace(key, tier=key.tier and 1 + place) for place, key in enumerate(found))

    def _rank(self, fold: str) -> tuple[int, str]:
        # test data are for the end
        return len(fold) + 1_000 * (_TEST in _words(fold)), fold

    def _is_suffixed(self, fold: str) -> bool:
        return fold.endswith(self._endings) and _is_held_out(fold) and not _is_ours(fold)


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


def _is_held_out(fold: str) -> bool:
    return not _HELD_OUT.isdisjoint(_words(fold))


def _is_ours(fold: str) -> bool:
    return _OURS in _words(fold)


def _words(fold: str) -> list[str]:
    return [word.rstrip("0123456789") for word in fold.split("_")]


def _fold(name: str) -> str:
    return _SEPARATORS.sub("_", name.casefold()).strip("_")
