"""The four stages composed: `score` for one history, `score_many` for a ragged batch.

`score` is `score_many` of one, so the two cannot differ in any digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from dqi_tracking.engine.components import MIN_POINTS, components
from dqi_tracking.engine.fusion import PHASE_WEIGHTS, checked_weights, fuse, weakest
from dqi_tracking.engine.phases import MIN_CHANGE, at_steps, checked_steps, thirds
from dqi_tracking.engine.phases import boundaries as found_boundaries
from dqi_tracking.engine.result import Numbers, scored, unscorable
from dqi_tracking.engine.signal import Signal, extract, relative_x, relative_y
from dqi_tracking.errors import ConfigError
from dqi_tracking.types import Duplicates, NanPolicy, Units

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dqi_tracking.engine.phases import IntArray
    from dqi_tracking.types import FloatArray, History, Score

    Steps = tuple[float, float] | None
    Run = tuple[Signal, Steps]

BATCH_POINTS = 32_768
"""Points scored in one go: their temporaries stay in a core's cache."""


def score(
    history: History,
    *,
    nan_policy: NanPolicy = "propagate",
    units: Units = "relative",
    duplicates: Duplicates = "last",
    weights: Sequence[float] = PHASE_WEIGHTS,
    boundaries: tuple[float, float] | None = None,
) -> Score:
    """Score one run.

    Parameters
    ----------
    history : History
        Arrays of shape (n,), rows in any order.
    nan_policy : {"propagate", "omit", "interpolate"}
        ``"propagate"``: one non-finite point makes every score NaN (status `nan`);
        ``"omit"`` drops such points; ``"interpolate"`` drops them at both ends and fills them
        linearly in the step inside.
    units : {"relative", "raw"}
        Units of the phase scores, components and boundaries. `dqi` is in relative units and
        `dqi_raw` in logged ones whatever is chosen here, so that a column never mixes the two.
    duplicates : {"last", "keep"}
        Which rows to keep of those logged at one step.
    weights : sequence of three floats
        Early, mid and late; non-negative, sum 1.
    boundaries : (early_end_step, mid_end_step), optional
        Steps at which the phases end, in order; a row at one belongs to the later phase, and a
        step outside of the run counts as its first or last. Without them the method's rule finds
        the rows at 40 % and 75 % of the change. Scores by other boundaries do not compare.

    Returns
    -------
    Score
        `dqi` in [0, 1], or NaN. Too little data is a status, not an error. O(n) for rows in
        order.

    Raises
    ------
    ConfigError
        When an option is not one of the above.

    Examples
    --------
    >>> from dqi_tracking import History, score
    >>> loss = [4.0, 3.1, 3.3, 2.2, 2.4, 1.9, 2.0, 1.6, 1.7, 1.5, 1.55, 1.5]
    >>> result = score(History(step=range(12), loss=loss))
    >>> result.status, round(result.dqi, 4), result.weakest
    ('ok', 0.0145, 'structure')
    """
    return score_many(
        [history],
        nan_policy=nan_policy,
        units=units,
        duplicates=duplicates,
        weights=weights,
        boundaries=[boundaries],
    )[0]


def score_many(
    histories: Iterable[History],
    *,
    nan_policy: NanPolicy = "propagate",
    units: Units = "relative",
    duplicates: Duplicates = "last",
    weights: Sequence[float] = PHASE_WEIGHTS,
    boundaries: Iterable[tuple[float, float] | None] | None = None,
) -> list[Score]:
    """Score many runs of any lengths, in order; the numbers are those of `score`.

    Parameters
    ----------
    histories : iterable of History
        Read lazily; memory beyond the results is bounded by the longest run.
    nan_policy, units, duplicates, weights
        As in `score`.
    boundaries : iterable of (early_end_step, mid_end_step) or None, optional
        As in `score`, one for each history; None for the method's rule.

    Returns
    -------
    list of Score
        One for each history.

    Raises
    ------
    ConfigError
        When an option is not one that `score` takes, or there is not one pair of boundaries for
        each history.
    """
    for name, value, allowed in (
        ("nan_policy", nan_policy, get_args(NanPolicy)),
        ("units", units, get_args(Units)),
        ("duplicates", duplicates, get_args(Duplicates)),
    ):
        if value not in allowed:
            raise ConfigError(f"{name} {value!r} is not known", fix=f"use {', '.join(allowed)}")
    phase_weights = checked_weights(weights)
    scores: list[Score] = []
    runs = (
        (extract(history, nan_policy=nan_policy, duplicates=duplicates), steps)
        for history, steps in _with_steps(histories, boundaries)
    )
    for batch in _batches(runs):
        fit = [_scorable(signal) for signal, _ in batch]
        chosen = [run for run, is_fit in zip(batch, fit, strict=True) if is_fit]
        results = iter(_score_batch(chosen, units, phase_weights))
        scores.extend(
            next(results) if is_fit else unscorable(signal, steps)
            for (signal, steps), is_fit in zip(batch, fit, strict=True)
        )
    return scores


def _with_steps(
    histories: Iterable[History], boundaries: Iterable[tuple[float, float] | None] | None
) -> Iterator[tuple[History, Steps]]:
    if boundaries is None:
        yield from ((history, None) for history in histories)
        return
    rest = iter(boundaries)
    one_each = ConfigError(
        "there is not one pair of boundaries for each history",
        fix="pass one pair, or None, for each",
    )
    for history in histories:
        try:
            steps = next(rest)
        except StopIteration:
            raise one_each from None
        yield history, None if steps is None else checked_steps(steps)
    for _ in rest:
        raise one_each


def _batches(runs: Iterable[Run]) -> Iterator[list[Run]]:
    batch: list[Run] = []
    points = 0
    for run in runs:
        batch.append(run)
        points += run[0].y.size
        if points >= BATCH_POINTS:
            yield batch
            batch, points = [], 0
    if batch:
        yield batch


def _scorable(signal: Signal) -> bool:
    if signal.y.size < MIN_POINTS:
        return False
    return signal.n_nonfinite == 0 or bool(np.isfinite(signal.y).all())


@np.errstate(over="ignore", invalid="ignore")  # extreme values saturate, as the method has it
def _score_batch(batch: list[Run], units: Units, weights: FloatArray) -> list[Score]:
    if not batch:
        return []
    runs = len(batch)
    lengths = np.array([signal.y.size for signal, _ in batch])
    stops = np.cumsum(lengths).tolist()
    relative, logged = np.empty((2, stops[-1])), np.empty((2, stops[-1]))
    cuts, cuts_raw = np.empty((runs, 2), np.int64), np.empty((runs, 2), np.int64)
    scale, flat = np.empty(runs), np.empty(runs, np.bool_)
    start = 0
    for run, ((signal, steps), stop) in enumerate(zip(batch, stops, strict=True)):
        here = slice(start, stop)
        y = relative_y(signal.y)
        relative[0, here], relative[1, here] = relative_x(signal.x, signal.gaps), y.relative
        logged[0, here], logged[1, here] = signal.x, y.reduced
        scale[run], flat[run] = y.scale, y.extent == 0.0
        if steps is None:
            *cut, change = found_boundaries(y.relative)
            cuts[run] = cut
            # smoothing is linear: the boundaries of the logged y lie at the same rows
            still = change * y.extent * y.scale <= MIN_CHANGE
            cuts_raw[run] = thirds(stop - start) if still else cut
        else:
            cuts[run] = cuts_raw[run] = at_steps(signal.x, *steps)
        start = stop

    x, y = relative
    parts = components(x, y, _phase_lengths(cuts, lengths)).reshape(runs, 3, 4)
    x, y = logged
    raw_lengths = _phase_lengths(cuts_raw, lengths)
    parts_raw = components(x, y, raw_lengths, scale=np.repeat(scale, 3)).reshape(runs, 3, 4)
    phases, dqi = fuse(parts, weights)
    phases_raw, dqi_raw = fuse(parts_raw, weights)
    if units == "raw":
        phases, parts, cuts = phases_raw, parts_raw, cuts_raw
    columns = zip(
        dqi.tolist(),
        dqi_raw.tolist(),
        phases.tolist(),
        parts.tolist(),
        map(tuple, cuts.tolist()),
        weakest(parts, weights).tolist(),
        ("flat" if is_flat else "ok" for is_flat in flat.tolist()),
        strict=True,
    )
    return [scored(signal, Numbers(*row)) for (signal, _), row in zip(batch, columns, strict=True)]


def _phase_lengths(cuts: IntArray, lengths: IntArray) -> IntArray:
    edges = np.column_stack((np.zeros(len(cuts), np.int64), cuts, lengths))
    return np.diff(edges, axis=1).ravel()
