"""What decides the numbers of a pass, and what the pass does: the same for each of its runs."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dqi_tracking.context.phase_plan import RULE, PhasePlan, check_phases
from dqi_tracking.engine import ENGINE_VERSION, score
from dqi_tracking.engine.fusion import checked_weights
from dqi_tracking.insight.insight import INSIGHT_VERSION

if TYPE_CHECKING:
    from dqi_tracking.cohorts.checks import CohortChecks
    from dqi_tracking.config import Settings
    from dqi_tracking.types import Duplicates, History, NanPolicy, RunRef, Score, Units


_ENGINE_OPTIONS = ("nan_policy", "units", "duplicates", "weights")


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """What of the settings decides the numbers; part of the fingerprint."""

    nan_policy: NanPolicy = "propagate"
    units: Units = "relative"
    duplicates: Duplicates = "last"
    weights: tuple[float, float, float] = (0.5, 0.3, 0.2)
    loss_key: str | None = None
    grad_norm_key: str | None = None
    validation_key: str | None = None
    step_key: str | None = None
    weights_hash: str = ""
    phases: str = "auto"
    population_hash: str = ""

    def __post_init__(self) -> None:
        # once for the pass, not once for each of its runs
        checked_weights(self.weights)
        check_phases(self.phases)

    @classmethod
    def of(cls, settings: Settings) -> ScoringOptions:
        """Take the options out of the settings."""
        # a population is none of the settings: `checked_against` sets its hash
        names = (name for name in cls.__slots__ if name != "population_hash")
        return cls(**{name: getattr(settings, name) for name in names})

    def checked_against(self, population: CohortChecks | None) -> ScoringOptions:
        """Return the options of runs that are checked against a population, if there is one."""
        return replace(self, population_hash=population.digest) if population else self

    @property
    def of_engine(self) -> dict[str, Any]:
        """The options of `score`, by name."""
        return {name: getattr(self, name) for name in _ENGINE_OPTIONS}

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with the options, the engine or the insight."""
        told = {name: getattr(self, name) for name in self.__slots__}
        # younger than marks that stand on runs: where nobody chose it, they still hold
        if self.validation_key is None:
            del told["validation_key"]
        if not self.population_hash:
            del told["population_hash"]
        text = json.dumps([ENGINE_VERSION, INSIGHT_VERSION, told], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def score(self, ref: RunRef, history: History, plan: PhasePlan = RULE) -> Score:
        """Score a history, read from a run, with these options and the phases of its plan."""
        scored = score(history, **self.of_engine, boundaries=plan.boundaries)
        warnings = plan.warnings
        if self.step_key and not ref.step_key:
            own = f"no `{self.step_key}` was logged: the steps are the tracker's own"
            warnings = (own, *warnings)
        return replace(scored, warnings=(*warnings, *scored.warnings)) if warnings else scored


class Pass(NamedTuple):
    """One pass over runs: what it does, the same for each of them.

    Attributes
    ----------
    options : ScoringOptions
    started : int
        Milliseconds since the epoch. All metrics of the pass carry it, so that a write that is
        sent twice leaves an exact duplicate.
    write : bool
        Whether scores go onto the runs.
    verify : bool
        Read runs that look unchanged, and compare their histories.
    rescore : bool
        Score and write whatever stands on the run.
    files : bool
        Whether `phases.json` and `phases.html` are written.
    forecast : bool
        Whether runs that are not finished get a forecast.
    population : CohortChecks, optional
        Curves that the runs are checked against; the options are those of `checked_against`.
    """

    options: ScoringOptions
    started: int
    write: bool = True
    verify: bool = False
    rescore: bool = False
    files: bool = True
    forecast: bool = False
    population: CohortChecks | None = None


def begin(
    options: ScoringOptions, *, population: CohortChecks | None = None, **given: bool
) -> Pass:
    """Start a pass now."""
    options = options.checked_against(population)
    return Pass(options, int(time.time() * 1000), **given, population=population)
