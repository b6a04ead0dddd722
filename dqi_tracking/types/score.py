"""What the engine says of a history, and what of it stands on a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NanPolicy = Literal["propagate", "omit", "interpolate"]
Units = Literal["relative", "raw"]
Duplicates = Literal["last", "keep"]
Status = Literal["ok", "flat", "too_short", "nan", "no_signal"]
PhaseName = Literal["early", "mid", "late"]
Component = Literal["coverage", "variation", "structure", "density"]

PHASES: tuple[PhaseName, ...] = ("early", "mid", "late")
COMPONENTS: tuple[Component, ...] = ("coverage", "variation", "structure", "density")


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
