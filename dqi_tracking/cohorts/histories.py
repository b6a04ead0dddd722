"""Curves of a cohort, read at a tracker: of the runs beside one, or of those of a population."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from dqi_tracking.cohorts.finished_runs import FinishedRuns
from dqi_tracking.cohorts.place import label_of
from dqi_tracking.insight.checks import CohortCurves
from dqi_tracking.insight.checks.cohort_curves import MIN_RUNS
from dqi_tracking.insight.comparison import Beside, Comparison
from dqi_tracking.report.printable import printable
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dqi_tracking.cohorts.populations import Saved
    from dqi_tracking.config import Settings
    from dqi_tracking.insight.saved_population import Population
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import History, RunRef

T = TypeVar("T")

MOST_BESIDE = 40
"""Runs that are read beside one: one chunk of MLflow's. Ours: medians of 40 are steady."""

_OF_ONE_RUN = ("run-", "offline-run-")
"""How the folder of one offline run begins."""


class Read(NamedTuple):
    """What came of reading a cohort.

    Attributes
    ----------
    curves : CohortCurves or None
        None for too few runs with a finite loss.
    n_runs : int
        Runs that have one.
    n_failed : int
        Runs that could not be read.
    """

    curves: CohortCurves | None
    n_runs: int
    n_failed: int


def for_losses(settings: Settings) -> Settings:
    """Return settings that read no other series: of a server, each one is a request a run."""
    none = {"grad_norm_aliases": (), "validation_aliases": ()}
    return settings.model_copy(update={**none, "grad_norm_key": None, "validation_key": None})


def can_be_compared(ref: RunRef) -> bool:
    """Tell whether a run may have a loss, by the listing."""
    return bool(ref.loss_keys) or not ref.listed


def read_curves(
    tracker: Tracker, refs: Sequence[RunRef], on_run: Callable[[], None] | None = None
) -> Read:
    """Read runs, and reduce their losses to the curves of one cohort.

    Parameters
    ----------
    tracker : Tracker
    refs : sequence of RunRef
        Their histories are held at the same time.
    on_run : callable, optional
        Called as each run was read.

    Returns
    -------
    Read
        What cannot be read, and what has no finite loss, is left out.

    Raises
    ------
    TrackerError
        When the tracker refuses as a whole.
    """
    runs = FinishedRuns(tracker, refs, on_run or _pass)
    histories = [each for each in runs.histories() if _has_loss(each)]
    curves = CohortCurves.of(histories) if len(histories) >= MIN_RUNS else None
    return Read(curves, len(histories), len(runs.failed))


def read_beside(address: str, ref: RunRef, settings: Settings) -> Beside:
    """Read the newest finished runs of a run's cohort, itself left out.

    Parameters
    ----------
    address : str
        At which the run was found.
    ref : RunRef
        With the column of `Settings.cohort`, where one is named.
    settings : Settings
        Those that the run was read with.

    Returns
    -------
    Beside

    Raises
    ------
    TrackerError
        As `Tracker.find`, of the run's experiment or project.
    """
    column = settings.cohort
    label = label_of(ref, column)
    if not label:
        return _nothing(f"the run has no `{column}`" if column else "the run names no experiment")
    if not can_be_compared(ref):
        return _nothing("the run has no loss")

    def is_beside(other: RunRef) -> bool:
        is_same = other.group == ref.group and label_of(other, column) == label
        return is_same and other.run_id != ref.run_id and can_be_compared(other)

    tracker = open_tracker(cohort_address(address, ref), settings=for_losses(settings))
    try:
        listing = tracker.find(Query(columns=(column,) if column else ()))
        found = read_curves(tracker, list(islice(filter(is_beside, listing), MOST_BESIDE)))
    finally:
        tracker.close()
    unread = f"; {found.n_failed} could not be read" if found.n_failed else ""
    others = "1 other finished run" if found.n_runs == 1 else f"{found.n_runs} other finished runs"
    which = f"{others} of cohort `{printable(label, limit=200)}`"
    if found.curves is None:
        return _nothing(f"{which} with a loss, {MIN_RUNS} are needed{unread}")
    newest = ", the newest" if found.n_runs + found.n_failed == MOST_BESIDE else ""
    return Beside(Comparison(found.curves, which), f"compared with {which}{newest}{unread}")


class Kept(NamedTuple):
    """A population with its curves.

    Attributes
    ----------
    population : Population
    n_runs : int
        Runs whose curves it holds.
    n_failed : int
        Runs that could not be read.
    """

    population: Population
    n_runs: int
    n_failed: int


def sampled(saved: Saved, most: int) -> dict[str, list[RunRef]]:
    """Return the runs of each cohort whose curves are to be kept: `most`, evenly spread in time.

    Cohorts that are too small to compare with have none.
    """
    found: dict[str, list[RunRef]] = {}
    for name, members in saved.members.items():
        refs = [ref for ref in members if can_be_compared(ref)]
        if min(len(refs), most) >= MIN_RUNS:
            found[name] = _spread(refs, most)
    return found


def with_curves(
    tracker: Tracker,
    population: Population,
    members: Mapping[str, Sequence[RunRef]],
    on_run: Callable[[], None] | None = None,
) -> Kept:
    """Read the runs of a population, one cohort after the other, and keep their curves in it.

    Parameters
    ----------
    tracker : Tracker
    population : Population
    members : mapping of str to sequence of RunRef
        From `sampled`.
    on_run : callable, optional
        Called as each run was read.

    Raises
    ------
    TrackerError
        As `read_curves`.
    """
    found = {name: read_curves(tracker, refs, on_run) for name, refs in members.items()}
    curves = {name: each.curves for name, each in found.items() if each.curves is not None}
    n_runs = sum(each.n_runs for each in found.values() if each.curves is not None)
    n_failed = sum(each.n_failed for each in found.values())
    return Kept(replace(population, curves=curves), n_runs, n_failed)


def _spread(items: Sequence[T], most: int) -> list[T]:
    n_kept = min(len(items), most)
    return [items[place * len(items) // n_kept] for place in range(n_kept)]


def cohort_address(address: str, ref: RunRef) -> str:
    """Return where the runs beside one are found: its experiment, project or folder."""
    scheme, colon, target = address.partition(":")
    if colon and scheme == "runs":
        return f"mlflow:{ref.group}"
    if colon and scheme == "wandb":
        return f"wandb:{'/'.join(target.strip('/').split('/')[:2])}"
    if colon and scheme == "mlflow":
        return address
    if not Path(address).expanduser().exists():
        return address
    path = Path(address).expanduser().resolve()
    folder = path.parent if path.suffix.lower() == ".wandb" else path
    if folder.name.startswith(_OF_ONE_RUN):
        return str(folder.parent)
    return str(folder)


def _has_loss(history: History) -> bool:
    return history.loss is not None and bool(np.isfinite(history.loss).any())


def _nothing(why: str) -> Beside:
    return Beside(None, f"compared with no cohort: {why}")


def _pass() -> None:
    """Do nothing."""
