"""Phases from a run's own plan: its learning-rate schedule, or steps that a person gave.

==================  =======================  ================================================
what the rate does  the early phase ends     the mid phase ends
==================  =======================  ================================================
`wsd`               with the warm-up         where the decay starts: the last step at the peak
`step`              with the warm-up         at the first drop: the first step at a lower rate
`step`, no warm-up  at the first drop        at the last drop, where there are two or more
`cosine`,           with the warm-up         where the rate falls through half of its peak
`linear`, `decay`
==================  =======================  ================================================

The warm-up ends at the first step at the peak. A plan that gives one boundary only (no warm-up
was logged, the rate never falls) gives no phases, but says why, and which boundary it does give.
A boundary is as exact as the learning rate was logged: within one interval.

A warm-up is short, and an early phase of few points scores low in coverage: scores by a plan do
not compare with scores by the 40 % and 75 % rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dqi_tracking.insight.schedules.given import steps_of_annotations, steps_of_text
from dqi_tracking.insight.schedules.series import MIN_POINTS, read_rate
from dqi_tracking.insight.schedules.shape import FALL, HALF, Shape, ShapeName, shape_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from dqi_tracking.insight.schedules.series import RateSeries

ScheduleKind = ShapeName | Literal["unknown"]
PhaseSource = ShapeName | Literal["given", "annotated"]

TOO_NOISY = 0.05
"""Scatter of the rate, as a share of its highest value, above which no corner is told. Ours: below,
nine of ten corners of simulated schedules are within 5 % of the run, above only within 16 %."""


@dataclass(frozen=True, slots=True)
class SchedulePhases:
    """Where the phases of a run lie by its plan.

    Attributes
    ----------
    kind : str
        The schedule that was seen, `wsd`, `step`, `cosine`, `linear` or `decay` (another smooth
        decay); or `given`, `annotated` for steps that a person gave.
    early_end, mid_end : float
        Steps, early_end < mid_end; a row at a boundary belongs to the later phase.
    sentence : str
        The same in words.
    """

    kind: PhaseSource
    early_end: float
    mid_end: float
    sentence: str

    @property
    def boundaries(self) -> tuple[float, float]:
        """The two steps, as `dqi_tracking.score` takes them."""
        return self.early_end, self.mid_end


@dataclass(frozen=True, slots=True)
class NoPhases:
    """Why a learning rate gives no phases.

    Attributes
    ----------
    kind : str
        What was seen: as in `SchedulePhases`, or `constant`, `warmup` (it only rises), `cyclic`
        (it rises again), `unknown`.
    reason : str
        Why there are not two boundaries.
    fix : str
        What a person can do.
    early_end, mid_end : float or None
        The boundary that it does give, if any.
    """

    kind: ScheduleKind
    reason: str
    fix: str
    early_end: float | None = None
    mid_end: float | None = None


def phases_of_schedule(
    step: ArrayLike,
    learning_rate: ArrayLike,
    *,
    loss_span: tuple[float, float] | None = None,
) -> SchedulePhases | NoPhases:
    """Read the phases off a logged learning rate.

    Parameters
    ----------
    step, learning_rate : array_like of shape (n,)
        Rows in any order, on other steps than the loss if need be. Rows that are not finite and
        single glitches are left out; of repeated steps the last row counts; noise is smoothed.
    loss_span : (first, last), optional
        Steps between which the loss was logged: a boundary must lie inside.

    Returns
    -------
    SchedulePhases or NoPhases
        Unchanged by scaling the rate; steps scale with the steps. O(n log n).

    Raises
    ------
    MalformedHistory
        When the two are not arrays of numbers of one length.

    Examples
    --------
    >>> from dqi_tracking.insight.schedule import phases_of_schedule
    >>> rate = [min(step / 10, 1, (100 - step) / 20) for step in range(101)]
    >>> phases = phases_of_schedule(range(101), rate)
    >>> phases.kind, phases.boundaries
    ('wsd', (10.0, 80.0))
    """
    series = read_rate(step, learning_rate)
    unreadable = _unreadable(series)
    if unreadable:
        return NoPhases("unknown", unreadable, _fix(None, None))
    found = _phases(shape_of(series))
    if isinstance(found, SchedulePhases) and loss_span is not None:
        return _inside(found, loss_span)
    return found


def parse_boundaries(text: str, *, run: str | None = None) -> SchedulePhases:
    """Read the steps at which the phases end from ``"STEP,STEP"``.

    Raises
    ------
    ConfigError
        When there are not two numbers, one is not finite, or they are not in order.
    """
    return _by_hand("given", *steps_of_text(text, run=run))


def phases_of_annotations(
    early_end: str | None, mid_end: str | None, *, run: str | None = None
) -> SchedulePhases | None:
    """Read the phases from the texts of `dqi.phase.early_end` and `dqi.phase.mid_end`.

    Parameters
    ----------
    early_end, mid_end : str or None
        Value of the tag, param or config key; None where the run has none.
    run : str, optional
        Identifier of the run, for the errors.

    Returns
    -------
    SchedulePhases or None
        None where the run has neither.

    Raises
    ------
    ConfigError
        When one of the two is missing, is no finite number, or they are not in order.
    """
    steps = steps_of_annotations(early_end, mid_end, run=run)
    return None if steps is None else _by_hand("annotated", *steps)


def _by_hand(
    kind: Literal["given", "annotated"], early_end: float, mid_end: float
) -> SchedulePhases:
    sentence = f"{kind}: early until step {_shown(early_end)}, mid until step {_shown(mid_end)}"
    return SchedulePhases(kind, early_end, mid_end, sentence)


def _unreadable(series: RateSeries) -> str:
    n = series.step.size
    if n < MIN_POINTS:
        return f"{n} steps with a learning rate are too few to tell a plan ({MIN_POINTS} needed)"
    if series.rate.min() < 0:
        return "the learning rate is negative at times: this is another series"
    if series.peak <= 0:
        return "the learning rate is 0 throughout, single rows aside"
    if series.scatter > TOO_NOISY:
        return f"the learning rate scatters by {100 * series.scatter:.0f} % of its peak"
    return ""


def _phases(shape: Shape) -> SchedulePhases | NoPhases:
    reason = _planless(shape)
    if reason:
        return NoPhases(shape.name, reason, _fix(shape.warmup_end, None), shape.warmup_end)
    early_end, mid_end, words = shape.warmup_end, shape.decay_start, "the decay starts"
    if shape.name == "step":
        words = "the rate first drops"
        if early_end is None and shape.last_drop is not None:
            early_end, mid_end, words = mid_end, shape.last_drop, "the rate last drops"
    elif shape.name != "wsd":
        mid_end, words = shape.half, "the rate is down to half of its peak"
    if mid_end is None:
        lowest = f"the learning rate is still at {100 * shape.lowest:.0f} % of its peak at its end"
        reason = f"{lowest}: it does not fall to {100 * HALF:.0f} %"
    elif early_end is None:
        reason = f"no warm-up was logged: {words} at step {_shown(mid_end)}, the only boundary"
    elif early_end < mid_end:
        start = "warm-up" if shape.warmup_end is not None else "first rate"
        sentence = (
            f"{shape.name}: {start} until step {_shown(early_end)}, {words} at {_shown(mid_end)}"
        )
        return SchedulePhases(shape.name, early_end, mid_end, sentence)
    else:
        reason = f"nothing lies between the warm-up and where {words}, step {_shown(mid_end)}"
    return NoPhases(shape.name, reason, _fix(early_end, mid_end), early_end, mid_end)


def _planless(shape: Shape) -> str:
    if shape.name == "cyclic":
        return "the learning rate rises again after it fell: cycles, or a run that was restarted"
    if shape.name == "warmup":
        return "the learning rate still rises at its last step"
    if shape.name == "constant":
        after = " after its warm-up" if shape.warmup_end is not None else ""
        fall = f"it never falls by {100 * FALL:.0f} % of its peak"
        return f"the learning rate is constant{after}: {fall}"
    return ""


def _inside(found: SchedulePhases, loss_span: tuple[float, float]) -> SchedulePhases | NoPhases:
    first, last = loss_span
    if first < found.early_end and found.mid_end <= last:
        return found
    reason = (
        f"the loss was logged from step {_shown(first)} to {_shown(last)}, but by the learning "
        f"rate the early phase ends at {_shown(found.early_end)} and the mid phase at "
        f"{_shown(found.mid_end)}"
    )
    kind = found.kind if found.kind not in ("given", "annotated") else "unknown"
    return NoPhases(kind, reason, _fix(None, None), found.early_end, found.mid_end)


def _shown(step: float) -> str:
    return f"{step:,.0f}" if abs(step) >= 1000 else f"{step:.4g}"


def _fix(early_end: float | None, mid_end: float | None) -> str:
    if early_end is None and mid_end is None:
        return "give both steps yourself (STEP,STEP), or leave the phases to the rule (auto)"
    early = "STEP" if early_end is None else f"{early_end:.15g}"
    mid = "STEP" if mid_end is None else f"{mid_end:.15g}"
    return f"give the missing step yourself ({early},{mid}), or leave the phases to the rule (auto)"
