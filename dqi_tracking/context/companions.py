"""Other series of a run that its history does not hold: the learning rate, and the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.config import LEARNING_RATE_ALIASES
from dqi_tracking.errors import DQIError
from dqi_tracking.trackers.keys import KeyResolver, choose
from dqi_tracking.trackers.series import Series, against

if TYPE_CHECKING:
    from dqi_tracking.config import Settings
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef

LEARNING_RATES = LEARNING_RATE_ALIASES

EPOCHS = ("epoch", "train/epoch", "trainer/epoch", "epochs")
"""Names of the epoch where it is logged beside the steps."""


class Companion(NamedTuple):
    """A series that came along.

    Attributes
    ----------
    key : str
        Name of the metric; data, never trusted. Empty where none was found.
    series : Series or None
        Its finite points in the order of steps; None where there are none.
    problem : str
        Why it could not be read; empty where it could, or where it was not logged.
    """

    key: str = ""
    series: Series | None = None
    problem: str = ""


def read_companion(
    tracker: Tracker, ref: RunRef, names: tuple[str, ...], settings: Settings
) -> Companion:
    """Read a series of one run beside its loss, by the first of its names that the run has.

    Parameters
    ----------
    tracker : Tracker
    ref : RunRef
    names : tuple of str
        Aliases, as those of the loss: case and separators make no difference, and a name may end
        in one.
    settings : Settings
        Those that the loss was read with; a step key holds here too.

    Returns
    -------
    Companion
        What cannot be read is told in it and never raised: the loss was read without it.
    """
    # a name that ends in one counts as well; the loss that a person chose is another series
    changed = {"loss_aliases": names, "loss_key": None}
    resolver = KeyResolver(settings.model_copy(update=changed))
    try:
        keys = [
            key
            for key in resolver.candidates(tracker.metric_names(ref)).loss
            if len(key.parts) == 1
        ]
        wanted = [key.parts[0] for key in keys]
        steps = [ref.step_key] if ref.step_key and ref.step_key not in wanted else []
        found = tracker.series(ref, [*wanted, *steps]) if keys else {}
    except DQIError as error:
        return Companion(problem=error.message)
    sizes = {key: found[key.parts[0]].step.size if key.parts[0] in found else 0 for key in keys}
    chosen = choose(keys, sizes)
    if chosen is None:
        return Companion()
    series = found[chosen.parts[0]]
    if ref.step_key in found:
        series = against(series, found[ref.step_key])
    finite = np.isfinite(series.value)
    order = np.argsort(series.step[finite], kind="stable")
    series = Series(series.step[finite][order], series.value[finite][order])
    return Companion(str(chosen), series) if series.step.size else Companion()


def steps_an_epoch(epochs: Series) -> float | None:
    """Return how many steps an epoch takes, from a logged epoch.

    Parameters
    ----------
    epochs : Series
        Sorted by step. Whole numbers that stand for a while, or fractions.

    Returns
    -------
    float or None
        > 0, in the run's unit of steps; None where the epoch never rises.
    """
    # of a whole epoch only its first step tells when it began
    top = np.maximum.accumulate(epochs.value)
    new = np.append(True, top[1:] > top[:-1])
    step, value = epochs.step[new], top[new]
    if step.size < 2:
        return None
    if step.size > 2:
        # the first one began before its first row
        step, value = step[1:], value[1:]
    return float((step[-1] - step[0]) / (value[-1] - value[0]))
