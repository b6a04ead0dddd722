"""Which runs are compared with which: the cohort of a run, and what is written of its place there.

A cohort is an experiment or project, or the runs of one that share the value of a column.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.names import COHORT_FACTS, STANDING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dqi_tracking.types import RunRef, Stamp

MAX_LABEL = 250
"""Characters of a cohort's name that are written. Ours: a name is for tables."""

_OPTIMIZERS = (
    "optimizer.name",
    "optimizer._target_",
    "optimizer.type",
    "optimizer/name",
    "optimizer",
    "optimizer_name",
    "optimizer_type",
    "opt_name",
    "optim",
    "opt",
)
"""Under which params or config a run names its optimizer: plain scripts and Ultralytics, Hydra and
OmegaConf, MLflow's own autologging, Hugging Face's Trainer, timm."""
_OTHERS = ("loss", "grad")
_SIZES = re.compile(r"(\d+)(?:; loss (\d+))?(?:; grad (\d+))?")


NOWHERE: dict[str, str | float] = {
    **dict.fromkeys(STANDING, math.nan),
    "dqi_cohort": "",
    "dqi_cohort_size": math.nan,
}
"""Columns of a run without a place."""


class Place(NamedTuple):
    """Where a run stands, as it is written.

    Attributes
    ----------
    percentiles : mapping of str to float
        By `names.STANDING`, in [0, 100]; NaN for none.
    cohort : str
        Name of the cohort; data, never trusted.
    sizes : mapping of str to int
        Runs that each percentile is among, by the same names.
    """

    percentiles: Mapping[str, float]
    cohort: str
    sizes: Mapping[str, int]


def columns_for(cohort: str | None, *, optimizer: bool = True) -> tuple[str, ...]:
    """Return the columns of a listing that tell a run's cohort and its optimizer."""
    own = (cohort,) if cohort else ()
    names = _OPTIMIZERS if optimizer else ()
    return (*own, *(f"{holder}.{name}" for holder in ("params", "config") for name in names))


def label_of(ref: RunRef, cohort: str | None) -> str:
    """Return the name of a run's cohort; empty where the run does not have the column."""
    return ref.columns.get(cohort, "").strip() if cohort else ref.group


def optimizer_of(ref: RunRef) -> str:
    """Return the name of a run's optimizer in small letters; empty where it is not told."""
    for column in columns_for(None):
        text = ref.columns.get(column, "").strip().casefold()
        # a dictionary holds learning rates too, and then no two runs are alike
        if text and text[0] not in "{[" and text not in ("none", "null"):
            return text
    return ""


def place_of(stamp: Stamp | None) -> Place | None:
    """Return where a run stands by what is written on it; None where that is not told."""
    if stamp is None:
        return None
    percentiles = {name: stamp.metrics.get(name, math.nan) for name in STANDING}
    label, text = (stamp.facts.get(fact, "") for fact in COHORT_FACTS)
    told = _SIZES.fullmatch(text)
    if told is None or not any(map(math.isfinite, percentiles.values())):
        return None
    sizes = [int(size or told[1]) for size in told.groups()]
    return Place(percentiles, label, dict(zip(STANDING, sizes, strict=True)))


def place_columns(stamp: Stamp | None) -> dict[str, str | float]:
    """Return where a run stands as columns of a table: NaN and empty for none."""
    place = place_of(stamp)
    if place is None:
        return dict(NOWHERE)
    size = float(place.sizes[STANDING[0]])
    return {**place.percentiles, "dqi_cohort": place.cohort, "dqi_cohort_size": size}


def size_text(sizes: Sequence[int]) -> str:
    """Return the sizes of `STANDING`'s cohorts as one fact: those that are not that of the score.

    Examples
    --------
    >>> from dqi_tracking.cohorts.place import size_text
    >>> size_text([24, 24, 24]), size_text([24, 23, 8])
    ('24', '24; loss 23; grad 8')
    """
    first, *others = sizes
    named = zip(_OTHERS, others, strict=True)
    return "; ".join([str(first), *(f"{name} {size}" for name, size in named if size != first)])
