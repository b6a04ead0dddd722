"""What stop advice would have saved and cost on finished runs, against patience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.forecasting.calibration import shipped
from dqi_tracking.insight.forecasting.replay import blocks
from dqi_tracking.insight.stop_replay import PATIENCE, replayed
from dqi_tracking.insight.stopping import STALL, TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dqi_tracking.insight.forecasting.calibration import Calibration
    from dqi_tracking.types import FloatArray, History

_RESAMPLES = 1000


class GroupBacktest(NamedTuple):
    """What the advice did to the runs of one group, against the patience that saves as much there.

    Attributes
    ----------
    group : object
        Its label.
    runs, stopped : int
    saved, regret, patience_regret : float
        As in `Backtest`.
    """

    group: object
    runs: int
    stopped: int
    saved: float
    regret: float
    patience_regret: float


@dataclass(frozen=True, slots=True)
class Backtest:
    """Stop advice replayed on finished runs.

    Regret is the best loss of the whole run taken from the best until the stop, as a share of the
    run's range (its middle 90 %), at most 1; saved is a share of the steps. Both are means over
    all runs, those that were not stopped included.

    Attributes
    ----------
    runs, stopped : int
        Runs replayed, and how many the advice would have stopped.
    saved, regret : float
        Of the advice.
    patience : float
        The patience, as a share of the run, that saves as much.
    patience_regret : float
        Its regret.
    reduction : float
        1 − `regret` / `patience_regret`; NaN where neither costs anything.
    reduction_low, reduction_high : float
        95 % bootstrap interval of the reduction, over groups of runs.
    each_saved, each_regret : tuple of float
        Of each run that was replayed, in the order given.
    sentence : str
        The same in words.
    groups : tuple of GroupBacktest
        Each group by itself, in the order of its first run.
    """

    runs: int
    stopped: int
    saved: float
    regret: float
    patience: float
    patience_regret: float
    reduction: float
    reduction_low: float
    reduction_high: float
    each_saved: tuple[float, ...]
    each_regret: tuple[float, ...]
    sentence: str
    groups: tuple[GroupBacktest, ...] = ()


def backtest(
    histories: Iterable[History],
    *,
    groups: Sequence[object] | None = None,
    higher_is_better: bool = False,
    calibration: Calibration | None = None,
    stall: float = STALL,
    tolerance: float = TOLERANCE,
) -> Backtest:
    """Replay stop advice on finished runs.

    After 10, 12 … 98 % of its steps each run is forecast at its own end; the advice stops it at the
    first of these where it would say so. Patience stops a run once it has not had a new best loss
    for so many steps; the patience is the one that saves as many steps over all runs.

    Parameters
    ----------
    histories : iterable of History
        Finished runs, drawn and let go in blocks.
    groups : sequence, optional
        One label for each history; runs of one group are drawn together in the bootstrap. Each run
        is its own group otherwise.
    higher_is_better : bool
        Whether the metric should rise.
    calibration : Calibration, optional
        That of the package otherwise. One made on the same runs makes the result too good.
    stall, tolerance : float
        As in `advise`.

    Returns
    -------
    Backtest

    Raises
    ------
    ConfigError
        When no run can be replayed, or there is not one group a history.
    """
    table = shipped() if calibration is None else calibration
    kept: list[int] = []
    outcomes: list[FloatArray] = []
    n_runs = 0
    for block in blocks(histories, higher_is_better=higher_is_better):
        some, outcome = replayed(block, table, stall, tolerance)
        kept.extend(n_runs + run for run in some)
        outcomes.append(outcome)
        n_runs += len(block)
    labels = list(range(n_runs)) if groups is None else list(groups)
    if len(labels) != n_runs:
        raise ConfigError(
            f"{len(labels)} groups for {n_runs} runs", fix="pass one group for each run"
        )
    if not kept:
        raise ConfigError(
            "no run can be replayed",
            fix="pass finished runs of at least 8 points in their early part",
        )
    return summary(np.concatenate(outcomes), [labels[run] for run in kept])


def summary(outcome: FloatArray, labels: Sequence[object]) -> Backtest:
    """Sum up what `replayed` found.

    Parameters
    ----------
    outcome : ndarray of shape (R, 1 + P, 2)
    labels : sequence of R
        Group of each run, for the bootstrap.

    Returns
    -------
    Backtest
    """
    saved, regret, patience, patience_regret = _means(outcome.mean(axis=0))
    members: dict[object, list[int]] = {}
    for row, label in enumerate(labels):
        members.setdefault(label, []).append(row)
    sums = np.array([outcome[rows].sum(axis=0) for rows in members.values()])
    sizes = np.array([len(rows) for rows in members.values()])
    low, high = _bootstrap(sums, sizes)
    each: NDArray[np.float64] = outcome[:, 0]
    stopped = int((each[:, 0] > 0).sum())
    reduction = _reduction(regret, patience_regret)
    told = (
        f"the advice would have stopped {stopped} of {len(labels)} runs, saved {saved:.1%} of all"
        f" steps and cost {regret:.2%} of the range of the loss;"
        f" patience that saves as much costs {patience_regret:.2%}"
    )
    return Backtest(
        runs=len(labels),
        stopped=stopped,
        saved=saved,
        regret=regret,
        patience=patience,
        patience_regret=patience_regret,
        reduction=reduction,
        reduction_low=low,
        reduction_high=high,
        each_saved=tuple(each[:, 0].tolist()),
        each_regret=tuple(each[:, 1].tolist()),
        sentence=told,
        groups=tuple(_group(label, outcome[rows]) for label, rows in members.items()),
    )


def _group(label: object, outcome: FloatArray) -> GroupBacktest:
    saved, regret, _, patience_regret = _means(outcome.mean(axis=0))
    stopped = int((outcome[:, 0, 0] > 0).sum())
    return GroupBacktest(label, len(outcome), stopped, saved, regret, patience_regret)


def _means(means: FloatArray) -> tuple[float, float, float, float]:
    """From means over runs, (1 + P, 2), to the advice and the patience that saves as much."""
    saved, regret = means[0].tolist()
    order = np.argsort(means[1:, 0])
    by_saving = means[1:][order]
    patience = float(np.interp(saved, by_saving[:, 0], PATIENCE[order]))
    return saved, regret, patience, float(np.interp(saved, by_saving[:, 0], by_saving[:, 1]))


def _reduction(regret: float, against: float) -> float:
    return 1 - regret / against if against > 0 else float("nan")


def _bootstrap(sums: FloatArray, sizes: NDArray[np.int64]) -> tuple[float, float]:
    if len(sizes) < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(0)
    found: list[float] = []
    for _ in range(_RESAMPLES):
        drawn = random.integers(0, len(sizes), len(sizes))
        _, regret, _, against = _means(sums[drawn].sum(axis=0) / sizes[drawn].sum())
        found.append(_reduction(regret, against))
    low, high = np.nanpercentile(found, (2.5, 97.5)) if np.isfinite(found).any() else (np.nan,) * 2
    return float(low), float(high)
