"""The scored runs of a pass, ranked within their cohorts: which percentiles are written where.

Of a run a line of numbers is kept, so that a store of many scored runs costs little memory.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.cohorts.place import MAX_LABEL, label_of, optimizer_of, size_text
from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.cohort import ranks
from dqi_tracking.insight.population import MIN_COHORT, moved, standing
from dqi_tracking.names import COHORT_FACTS, STANDING
from dqi_tracking.report.printable import printable
from dqi_tracking.stamp import is_whole
from dqi_tracking.trackers.base import FINISHED
from dqi_tracking.types import RunRef, Stamp

if TYPE_CHECKING:
    from dqi_tracking.insight.population import IntArray
    from dqi_tracking.types import FloatArray

_RANKED = ("dqi", "dqi_loss_lowest", "dqi_grad_late")
"""What is ranked for each of `STANDING`."""
_NO_NUMBER = ("too_short", "no_signal")
"""Statuses of runs that are left out: a score of 0 for want of points is no low score."""
_NAN = float("nan")


class _Run(NamedTuple):
    run_id: str
    mark: str
    label: str
    key: str
    optimizer: str
    written_label: str
    standing_at: int


@dataclass(slots=True)
class Standings:
    """What came of ranking the runs of a pass.

    Attributes
    ----------
    n_ranked, n_cohorts : int
        Runs with a percentile, and the cohorts that they are in.
    n_written : int
        Runs on which it was written: those where it moved by a point or more.
    n_failed : int
        Runs on which it could not be written; the next pass does.
    reason, fix : str
        Why there are none, or why some were not written, and what to do; empty otherwise.
    """

    n_ranked: int = 0
    n_cohorts: int = 0
    n_written: int = 0
    n_failed: int = 0
    reason: str = ""
    fix: str = ""


@dataclass(slots=True)
class Cohorts:
    """The scored runs of a pass, to be ranked at its end.

    Attributes
    ----------
    digest : str
        Of the scoring options: scores of other ones do not compare.
    column : str or None
        Column whose value names the cohort; the experiment or project where left out.
    """

    digest: str
    column: str | None = None
    _runs: list[_Run] = field(default_factory=list["_Run"])
    _numbers: array[float] = field(default_factory=lambda: array("d"))
    _texts: dict[str, str] = field(default_factory=dict[str, str])

    def __len__(self) -> int:
        """Return how many runs were taken."""
        return len(self._runs)

    def add(self, ref: RunRef, stamp: Stamp | None) -> None:
        """Take a run, if it is finished and scored with these options.

        A run that goes on or broke off is compared at another share of itself, and is left out.

        Parameters
        ----------
        ref : RunRef
            With the columns of `cohorts.columns_for`.
        stamp : Stamp or None
            What stands on it now.
        """
        if stamp is None or not is_whole(stamp) or ref.status not in FINISHED:
            return
        mark = stamp.facts["fingerprint"]
        if not mark.startswith(f"{self.digest}-"):
            return
        label = label_of(ref, self.column)
        has_number = bool(label) and stamp.facts.get("status") not in _NO_NUMBER
        self._numbers.extend(
            stamp.metrics.get(name, _NAN) if has_number else _NAN for name in _RANKED
        )
        self._numbers.extend(stamp.metrics.get(name, _NAN) for name in STANDING)
        self._runs.append(
            _Run(
                ref.run_id,
                mark,
                self._kept(label),
                self._kept(f"{len(ref.group)} {ref.group} {label}"),
                self._kept(optimizer_of(ref)),
                self._kept(stamp.facts.get("cohort", "")),
                stamp.standing_at,
            )
        )

    def changes(self, started: int, found: Standings) -> list[tuple[RunRef, Stamp]]:
        """Return what is to be put on which runs, and count in `found` what was ranked.

        Parameters
        ----------
        started : int
            Time of the pass in milliseconds since the epoch.
        found : Standings

        Raises
        ------
        ConfigError
            When no run has the column that names the cohort.
        """
        runs = self._runs
        if self.column and not any(run.label for run in runs):
            # a mistyped name must not take the percentiles off all runs
            raise ConfigError(
                f"no scored run has `{printable(self.column)}`",
                fix="name a column as in --cohort params.model, or on W&B config.model",
            )
        numbers = np.frombuffer(self._numbers).reshape(-1, len(_RANKED) + len(STANDING))
        given, written = np.hsplit(numbers, [len(_RANKED)])
        now, sizes = self._ranked(given)
        is_ranked = np.logical_or.reduce(np.isfinite(now), axis=1)
        found.n_ranked = int(is_ranked.sum())
        found.n_cohorts = len({runs[row].key for row in np.flatnonzero(is_ranked).tolist()})
        if not found.n_ranked:
            found.reason = self._why_none(sizes[:, 0])
        labels = [
            run.label[:MAX_LABEL] if ranked else ""
            for run, ranked in zip(runs, is_ranked.tolist(), strict=True)
        ]
        is_other = [moved(written[:, row], now[:, row]) for row in range(len(STANDING))]
        relabelled = [run.written_label != label for run, label in zip(runs, labels, strict=True)]
        is_todo = np.logical_or.reduce([*is_other, np.array(relabelled)])
        return [
            self._change(runs[row], labels[row], now[row], written[row], sizes[row], started)
            for row in np.flatnonzero(is_todo).tolist()
        ]

    def _ranked(self, given: FloatArray) -> tuple[FloatArray, IntArray]:
        """Return percentiles and sizes of cohorts, each of shape (n, 3)."""
        keys = [run.key for run in self._runs]
        dqi = standing(given[:, 0], keys)
        readings = ranks(
            given[:, 1], given[:, 2], cohort=keys, optimizer=[run.optimizer for run in self._runs]
        )
        three = (dqi, readings.loss, readings.grad)
        return (
            np.column_stack([each.percentile for each in three]),
            np.column_stack([each.cohort_size for each in three]),
        )

    def _change(
        self,
        run: _Run,
        label: str,
        now: FloatArray,
        written: FloatArray,
        sizes: IntArray,
        started: int,
    ) -> tuple[RunRef, Stamp]:
        metrics = {
            # a point is what counts
            name: round(percentile, 2)
            for name, percentile, before in zip(
                STANDING, now.tolist(), written.tolist(), strict=True
            )
            if not (math.isnan(percentile) and math.isnan(before))
        }
        size = size_text(
            [
                int(each if math.isfinite(percentile) else sizes[0])
                for each, percentile in zip(sizes, now, strict=True)
            ]
        )
        facts = dict(zip(COHORT_FACTS, (label, size if label else ""), strict=True))
        # MLflow shows the newest value, and a clock may have been set back
        at = max(started, run.standing_at + 1)
        mark = Stamp({}, {"fingerprint": run.mark})
        return RunRef(run.run_id, stamp=mark), Stamp(metrics, facts, standing_at=at)

    def _why_none(self, sizes: IntArray) -> str:
        if not self._runs:
            return ""
        size = int(sizes.max())
        runs = "1 run" if size == 1 else f"{size} runs"
        return f"the largest cohort has {runs} with a score, {MIN_COHORT} are needed"

    def _kept(self, text: str) -> str:
        # labels are the same on many runs
        return self._texts.setdefault(text, text)
