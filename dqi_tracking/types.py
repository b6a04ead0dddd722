"""The objects that travel from tracker to engine and back: frozen, slotted, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dqi_tracking.errors import MalformedHistory

FloatArray = NDArray[np.float64]

NanPolicy = Literal["propagate", "omit", "interpolate"]
Units = Literal["relative", "raw"]
Duplicates = Literal["last", "keep"]
Status = Literal["ok", "flat", "too_short", "nan", "no_signal"]
PhaseName = Literal["early", "mid", "late"]
Component = Literal["coverage", "variation", "structure", "density"]
Outcomes = Literal["scored", "unchanged", "skipped", "failed", "unscored"]

PHASES: tuple[PhaseName, ...] = ("early", "mid", "late")
COMPONENTS: tuple[Component, ...] = ("coverage", "variation", "structure", "density")


def _array(values: ArrayLike, name: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise MalformedHistory(
            f"`{name}` holds something that is not a number",
            fix=f"pass `{name}` as a sequence of numbers",
        ) from error
    if array.ndim != 1:
        raise MalformedHistory(
            f"`{name}` has {array.ndim} dimensions", fix=f"pass `{name}` as an array of shape (n,)"
        )
    return array


@dataclass(frozen=True, slots=True, eq=False, init=False)
class History:
    """What one run logged: the loss, and the gradient norm where there is one.

    Rows may come in any order; the engine sorts them.

    Parameters
    ----------
    step : array_like of shape (n,)
        Training step of each row, finite, in any unit (steps, tokens, epochs).
    loss : array_like of shape (n,), optional
        Loss logged at each step. NaN and ±inf are *logged* non-finite values; leave the row out
        where nothing was logged.
    grad_norm : array_like of shape (n,) or the shape of `grad_step`, optional
        Gradient norm, read as the signal only where there is no loss point at all.
    grad_step : array_like, optional
        Steps of `grad_norm` where it was logged at other steps than the loss.
    loss_key, grad_norm_key : str
        Names under which the tracker holds the two series.
    warnings : tuple of str
        What whoever read it has to tell, one sentence each: a damaged file, another step axis.
        They come back in `Score.warnings`.

    Raises
    ------
    MalformedHistory
        When an array is not one-dimensional, lengths differ, or a step is not finite.
    """

    step: FloatArray
    loss: FloatArray | None
    grad_norm: FloatArray | None
    grad_step: FloatArray | None
    loss_key: str
    grad_norm_key: str
    warnings: tuple[str, ...]

    def __init__(
        self,
        step: ArrayLike,
        loss: ArrayLike | None = None,
        grad_norm: ArrayLike | None = None,
        *,
        grad_step: ArrayLike | None = None,
        loss_key: str = "loss",
        grad_norm_key: str = "grad_norm",
        warnings: tuple[str, ...] = (),
    ) -> None:
        given = {"loss": loss, "grad_norm": grad_norm, "grad_step": grad_step}
        arrays = {"step": _array(step, "step")} | {
            name: _array(values, name) for name, values in given.items() if values is not None
        }
        grad_rows = arrays.get("grad_step", arrays["step"])
        for name, expected in (("loss", arrays["step"]), ("grad_norm", grad_rows)):
            if name in arrays and arrays[name].shape != expected.shape:
                raise MalformedHistory(
                    f"`{name}` has {arrays[name].size} values for {expected.size} steps",
                    fix=f"pass one `{name}` for each step",
                )
        for name in ("step", "grad_step"):
            if name in arrays and not np.isfinite(arrays[name]).all():
                raise MalformedHistory(
                    f"`{name}` holds a value that is not finite",
                    fix="drop the rows without a step",
                )
        for name in ("step", *given):
            object.__setattr__(self, name, arrays.get(name))
        object.__setattr__(self, "loss_key", loss_key)
        object.__setattr__(self, "grad_norm_key", grad_norm_key)
        object.__setattr__(self, "warnings", tuple(warnings))


@dataclass(frozen=True, slots=True)
class PhaseScore:
    """One phase of a run: its score, its components, and where it lies.

    Attributes
    ----------
    dqi : float
        Product of the four components, in [0, 1]; NaN where the signal holds a non-finite value.
    coverage, variation, structure, density : float
        The components, each in [0, 1], higher is more of it; NaN as `dqi`.
    start, stop : int
        Row indices into the sorted signal, half-open: ``[start, stop)``.
    start_step, stop_step : float
        Step of the first row, and step at which the phase ends (the first step of the next phase;
        the last step of the run for the late phase). NaN for an empty signal.
    n_points : int
        ``stop - start``.
    """

    dqi: float
    coverage: float
    variation: float
    structure: float
    density: float
    start: int
    stop: int
    start_step: float
    stop_step: float
    n_points: int


@dataclass(frozen=True, slots=True)
class Score:
    """What the engine says of one history.

    Attributes
    ----------
    dqi : float
        Data Quality Index in relative units, in [0, 1]; NaN for status `nan` and `no_signal`.
    dqi_raw : float
        The same in the units that were logged.
    early, mid, late : PhaseScore
        The phases, in the units asked for.
    boundaries : tuple of int or None
        Row indices of the early/mid and mid/late boundary; None where there are none to be found
        (status `nan`, `no_signal`).
    boundary_steps : tuple of float or None
        Steps at those rows.
    weakest : str or None
        Component with the lowest weighted mean over the phases; None where no component is worse
        than another (`too_short`, `nan`, `no_signal`).
    status : {"ok", "flat", "too_short", "nan", "no_signal"}
        Why the number is what it is.
    signal : str
        Metric key that was read; empty for `no_signal`.
    n_points, n_nonfinite : int
        Points in the signal, and how many of the logged ones were not finite.
    warnings : tuple of str
        What to bear in mind, one sentence each.
    version : str
        Engine version; it changes with any number above.
    """

    dqi: float
    dqi_raw: float
    early: PhaseScore
    mid: PhaseScore
    late: PhaseScore
    boundaries: tuple[int, int] | None
    boundary_steps: tuple[float, float] | None
    weakest: Component | None
    status: Status
    signal: str
    n_points: int
    n_nonfinite: int
    warnings: tuple[str, ...]
    version: str

    @property
    def phases(self) -> dict[PhaseName, PhaseScore]:
        """The three phases by name, in order."""
        return {"early": self.early, "mid": self.mid, "late": self.late}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What stands on a run under the names of DQI, whichever tracker holds it.

    Attributes
    ----------
    metrics : mapping of str to float
        `dqi`, `dqi_raw`, `dqi_early` …, the boundaries and readings, as `names.METRICS` has them;
        NaN where a number is not finite or not known.
    facts : mapping of str to str
        `status`, `weakest`, `state`, `checks`, `signal`, `version`, `seen`, `scored_at` and, last
        of all that is written, `fingerprint`: its presence says that the write was finished.
    timestamp : int
        Milliseconds since the epoch at which the metrics were logged; 0 where none are.
    standing_at : int
        The same of the percentiles (`names.STANDING`), which are logged by themselves.
    """

    metrics: Mapping[str, float]
    facts: Mapping[str, str]
    timestamp: int = 0
    standing_at: int = 0


@dataclass(frozen=True, slots=True)
class MetricKey:
    """A series by name: one metric of the tracker, or the sum of several.

    Attributes
    ----------
    parts : tuple of str
        Metric names; their values at common steps are added.
    tier : int
        0 a person's choice, 1 an exact alias, 2 a suffix. Lower is better.
    """

    parts: tuple[str, ...]
    tier: int = 1

    def __str__(self) -> str:
        return " + ".join(self.parts)


@dataclass(frozen=True, slots=True)
class RunRef:
    """One line of a tracker's listing: enough to decide whether the run needs reading.

    Attributes
    ----------
    run_id, name : str
        The tracker's identifier, and the name that people gave. Data, never trusted.
    group : str
        Experiment or project, by name.
    status : str
        The tracker's own word: `FINISHED`, `RUNNING`, …
    started, ended : int
        Start and end time in milliseconds since the epoch; 0 where unknown.
    loss_keys, grad_norm_keys : tuple of MetricKey
        Series that may be the loss and the gradient norm, best first.
    rate_keys : tuple of MetricKey
        Series that may be the learning rate, likewise, where phases by the schedule are asked for.
    layer_metrics : tuple of str
        Names of metrics that may be gradient norms of layers. Data, never trusted.
    step_key : str
        Metric to take the steps from, where a person named one and the run has it; empty for the
        tracker's own steps.
    listed : bool
        Whether the listing tells the run's metrics. Where it does not, only reading shows what
        there is to score.
    revision : str
        What the listing says of all that was logged, where it says so as a whole (the size of a
        file); it changes when the run gets data.
    latest : mapping of str to str
        For each metric of those series what the listing says of its last point. It changes when
        the run gets a point.
    stamp : Stamp or None
        What DQI wrote on it before.
    columns : mapping of str to str
        Of the columns that the query asked for, those that the run has, by the names asked for:
        text as it was logged, numbers to the last digit. Data, never trusted.
    """

    run_id: str
    name: str = ""
    group: str = ""
    status: str = "FINISHED"
    started: int = 0
    ended: int = 0
    loss_keys: tuple[MetricKey, ...] = ()
    grad_norm_keys: tuple[MetricKey, ...] = ()
    rate_keys: tuple[MetricKey, ...] = ()
    layer_metrics: tuple[str, ...] = ()
    step_key: str = ""
    listed: bool = True
    revision: str = ""
    latest: Mapping[str, str] = field(default_factory=dict[str, str])
    stamp: Stamp | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run.

    Attributes
    ----------
    ref : RunRef
        The run.
    outcome : {"scored", "unchanged", "skipped", "failed", "unscored"}
        `scored`: a score was made, and written unless it was a dry run. `unscored`: what was
        written was taken off again, but for what `reason` names.
    reason : str
        Why it was skipped or failed, and what could not be taken off; empty otherwise.
    fix : str
        What to do about a failure; empty otherwise.
    stamp : Stamp or None
        What now stands, or would stand, on the run.
    score : Score or None
        The full score where one was made.
    transient : bool
        Whether a failure may go away by itself (the tracker is down, busy or slow).
    """

    ref: RunRef
    outcome: Outcomes
    reason: str = ""
    fix: str = ""
    stamp: Stamp | None = None
    score: Score | None = None
    transient: bool = False
