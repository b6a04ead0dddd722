"""A tracker in memory: real, small, and shipped for users' own tests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dqi_tracking.config import Settings, load_settings
from dqi_tracking.errors import ConfigError, RunNotFound
from dqi_tracking.trackers.base import Query, View
from dqi_tracking.trackers.columns import columns_of
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.series import Series, history_of, readings
from dqi_tracking.types import RunRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dqi_tracking.trackers.base import Reading
    from dqi_tracking.types import History, Stamp


@dataclass(slots=True)
class MemoryRun:
    """One run: what was logged on it, and what DQI wrote."""

    run_id: str
    name: str = ""
    group: str = "memory"
    status: str = "FINISHED"
    started: int = 0
    ended: int = 0
    metrics: dict[str, list[tuple[float, float]]] = field(
        default_factory=dict[str, list[tuple[float, float]]]
    )
    params: dict[str, str] = field(default_factory=dict[str, str])
    stamp: Stamp | None = None
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    n_writes: int = 0
    n_amended: int = 0


class MemoryTracker:
    """Runs in a dictionary, behind the `Tracker` protocol.

    Parameters
    ----------
    settings : Settings, optional
        Metric keys and aliases.

    Examples
    --------
    >>> from dqi_tracking.trackers.memory import MemoryTracker
    >>> tracker = MemoryTracker()
    >>> run = tracker.add("r1", loss=zip(range(30), (1 / (i + 1) for i in range(30))))
    >>> [ref.run_id for ref in tracker.find(Query())]
    ['r1']
    """

    address = "memory:"
    batch = 16
    reads_several = True
    jobs = 1
    keeps_view = False

    def __init__(self, settings: Settings | None = None) -> None:
        self.runs: dict[str, MemoryRun] = {}
        self._keys = KeyResolver(settings or load_settings())

    def add(
        self,
        run_id: str,
        *,
        name: str = "",
        status: str = "FINISHED",
        started: int = 0,
        ended: int = 0,
        params: Mapping[str, str] | None = None,
        **metrics: Iterable[tuple[float, float]],
    ) -> MemoryRun:
        """Add a run with its metrics, each as (step, value) pairs, and its params."""
        run = MemoryRun(run_id, name or run_id, status=status, started=started, ended=ended)
        run.params = dict(params or {})
        run.metrics = {key: list(points) for key, points in metrics.items()}
        self.runs[run_id] = run
        return run

    def find(self, query: Query) -> Iterator[RunRef]:
        """Yield the runs, the latest started first. There is no filter language.

        Columns are `metrics.x` (the last value) and `params.x`.

        Raises
        ------
        ConfigError
            When `query.where` is given.
        """
        if query.where:
            raise ConfigError("the memory tracker has no filters", fix="leave `where` out")
        newest_first = sorted(self.runs.values(), key=lambda run: run.started, reverse=True)
        refs = [ref for run in newest_first if query.wants(ref := self._ref(run, query))]
        yield from refs[: query.limit]

    def read(self, refs: Sequence[RunRef]) -> Iterator[Reading]:
        """Yield the history of each run."""
        yield from readings(refs, self._history)

    def series(self, ref: RunRef, keys: Sequence[str]) -> dict[str, Series]:
        """Return some metrics of a run."""
        run = self._run(ref)
        return {key: _series(run, key) for key in keys if run.metrics.get(key)}

    def metric_names(self, ref: RunRef) -> tuple[str, ...]:
        """Return the names of a run's metrics."""
        return tuple(sorted(self._run(ref).metrics))

    def write(self, ref: RunRef, stamp: Stamp, files: Mapping[str, bytes]) -> None:
        """Keep files and stamp on the run."""
        run = self._run(ref)
        run.files.update(files)
        run.stamp = stamp
        run.n_writes += 1

    def amend(self, ref: RunRef, stamp: Stamp) -> None:
        """Keep some metrics and facts beside those of the run's stamp."""
        run = self._run(ref)
        if run.stamp is None:
            return
        run.stamp = replace(
            run.stamp,
            metrics={**run.stamp.metrics, **stamp.metrics},
            facts={**run.stamp.facts, **stamp.facts},
            standing_at=stamp.standing_at,
        )
        run.n_amended += 1

    def erase(self, ref: RunRef) -> str:
        """Forget stamp and files of the run."""
        run = self._run(ref)
        run.stamp, run.files = None, {}
        return ""

    def view(self, ref: RunRef | None = None) -> View:
        """Return nothing: there is no UI."""
        del ref
        return View("", "")

    def save_view(self) -> View:
        """Return nothing: there is no UI."""
        return self.view()

    def drop_view(self) -> None:
        """Do nothing: there is no view."""

    def close(self) -> None:
        """Keep the runs: they live as long as the object."""

    def _history(self, ref: RunRef) -> History:
        run = self._run(ref)
        return history_of(ref, lambda key: _series(run, key))

    def _run(self, ref: RunRef) -> MemoryRun:
        if ref.run_id not in self.runs:
            raise RunNotFound(
                f"no run `{ref.run_id}`", fix="list the runs that are there", run=ref.run_id
            )
        return self.runs[ref.run_id]

    def _ref(self, run: MemoryRun, query: Query) -> RunRef:
        candidates = self._keys.candidates(list(run.metrics))
        return RunRef(
            run_id=run.run_id,
            name=run.name,
            group=run.group,
            status=run.status,
            started=run.started,
            ended=run.ended,
            loss_keys=candidates.loss,
            grad_norm_keys=candidates.grad_norm,
            validation_keys=candidates.validation,
            rate_keys=candidates.rate,
            layer_metrics=candidates.layers,
            step_key=candidates.step,
            latest={
                key: f"{run.metrics[key][-1]}#{len(run.metrics[key])}"
                for key in {*candidates.metrics, candidates.step} - {""}
                if run.metrics[key]
            },
            stamp=run.stamp,
            columns=_columns(run, query),
        )


def _columns(run: MemoryRun, query: Query) -> dict[str, str]:
    last = {key: float(points[-1][1]) for key, points in run.metrics.items() if points}
    return columns_of(query.columns, {"metrics": last, "params": run.params})


def _series(run: MemoryRun, key: str) -> Series:
    points = np.asarray(run.metrics[key], dtype=np.float64).reshape(-1, 2)
    return Series(points[:, 0], points[:, 1])
