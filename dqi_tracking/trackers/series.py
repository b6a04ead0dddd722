"""Series of one metric, and how those of a run become a `History`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from dqi_tracking.errors import DQIError, MissingMetric
from dqi_tracking.trackers.base import Reading
from dqi_tracking.trackers.keys import MIN_POINTS, choose
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dqi_tracking.types import FloatArray, MetricKey, RunRef


class Series(NamedTuple):
    """One metric of one run: step and value, each of shape (n,), in the order of logging."""

    step: FloatArray
    value: FloatArray


def history_of(ref: RunRef, fetch: Callable[[str], Series]) -> History:
    """Read a run's candidates and make the chosen ones its history.

    Parameters
    ----------
    ref : RunRef
        The run, with its candidates.
    fetch : callable
        Returns the series of one metric by name, rows of one step in the order of logging.

    Returns
    -------
    History
        With the validation loss, where there is one beside the loss. What keeps it from being read
        is told in `History.warnings` and never raised.

    Raises
    ------
    MissingMetric
        When no candidate of either kind has a point.
    """
    loss = _read_best(ref.loss_keys, fetch)
    grad_norm = _read_best(ref.grad_norm_keys, fetch)
    if loss is None and grad_norm is None:
        raise missing_metric(ref)
    steps = fetch(ref.step_key) if ref.step_key else None
    if steps is not None:
        loss, grad_norm = (
            best and (best[0], against(best[1], steps)) for best in (loss, grad_norm)
        )
        if not any(best and best[1].step.size for best in (loss, grad_norm)):
            raise MissingMetric(
                f"`{ref.step_key}` was logged at none of the steps of the loss",
                fix="leave --step-key out, or log both in one call",
                run=ref.run_id,
            )
    if loss is None:
        key, series = cast("tuple[MetricKey, Series]", grad_norm)
        return History(series.step, grad_norm=series.value, grad_norm_key=str(key))
    key, series = loss
    history = History(series.step, series.value, loss_key=str(key))
    if grad_norm is not None:
        key, series = grad_norm
        history = replace(
            history, grad_norm=series.value, grad_step=series.step, grad_norm_key=str(key)
        )
    return _with_validation(history, ref, fetch, steps) if ref.validation_keys else history


def _with_validation(
    history: History, ref: RunRef, fetch: Callable[[str], Series], steps: Series | None
) -> History:
    try:
        best = _read_best(ref.validation_keys, fetch)
    except DQIError as error:
        told = f"the validation loss could not be read, the state is without it: {error.message}"
        return replace(history, warnings=(*history.warnings, told))
    if best is None:
        return history
    key, series = best
    series = series if steps is None else against(series, steps)
    validation = History(series.step, series.value, loss_key=str(key))
    return replace(history, validation=validation)


def against(series: Series, steps: Series) -> Series:
    """Return a series over another metric, such as epochs or tokens, in place of its steps.

    Parameters
    ----------
    series : Series
    steps : Series
        The metric to take the steps from. Points logged where it was not, or where it is not
        finite, are left out.

    Returns
    -------
    Series
        In the order of logging.
    """
    at = _last_at_step(steps)
    at = Series(*(column[np.isfinite(at.value)] for column in at))
    if not at.step.size:
        return Series(at.step, at.value)
    row = np.minimum(np.searchsorted(at.step, series.step), at.step.size - 1)
    both = at.step[row] == series.step
    return Series(at.value[row][both], series.value[both])


def readings(refs: Sequence[RunRef], history: Callable[[RunRef], History]) -> Iterator[Reading]:
    """Yield one reading for each run, in order; what is wrong with one is told in its own.

    Parameters
    ----------
    refs : sequence of RunRef
    history : callable
        Returns the history of one run, or raises a `DQIError`.
    """
    for ref in refs:
        try:
            reading = Reading(ref, history(ref))
        except DQIError as error:
            reading = Reading(ref, error=error)
        yield reading


def missing_metric(ref: RunRef) -> MissingMetric:
    """Return the error of a run that has nothing to read."""
    return MissingMetric(
        "no loss and no gradient norm was logged under a known name",
        fix="name the metric with --loss-key or --grad-norm-key",
        run=ref.run_id,
    )


def _read_best(
    candidates: Sequence[MetricKey], fetch: Callable[[str], Series]
) -> tuple[MetricKey, Series] | None:
    series: dict[MetricKey, Series] = {}
    n_points: dict[MetricKey, int] = {}
    for position, key in enumerate(candidates):
        series[key] = added([fetch(part) for part in key.parts])
        n_points[key] = series[key].step.size
        last_of_tier = position + 1 == len(candidates) or candidates[position + 1].tier > key.tier
        if last_of_tier and any(n >= MIN_POINTS for n in n_points.values()):
            break
    chosen = choose(list(series), n_points)
    return None if chosen is None else (chosen, series[chosen])


def added(parts: Sequence[Series]) -> Series:
    """Add several series at the steps that all of them have, the last value at each step."""
    if len(parts) == 1:
        return parts[0]
    columns = [_last_at_step(part) for part in parts]
    step = columns[0].step
    for column in columns[1:]:
        step = np.intersect1d(step, column.step, assume_unique=True)
    total = np.zeros_like(step)
    for column in columns:
        total += column.value[np.searchsorted(column.step, step)]
    return Series(step, total)


def _last_at_step(series: Series) -> Series:
    order = np.argsort(series.step, kind="stable")
    step, value = series.step[order], series.value[order]
    last = np.append(step[1:] != step[:-1], True)[: step.size]
    return Series(step[last], value[last])
