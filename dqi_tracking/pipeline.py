"""read → score → write of runs, and what becomes of each: the `Outcome`.

Whether a run needs reading is decided from the listing alone; whether it needs writing, from the
fingerprint of what was read.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dqi_tracking.context.layer_reading import listed_layers
from dqi_tracking.context.phase_plan import RULE, PhasePlan, check_phases, plan_of
from dqi_tracking.engine import ENGINE_VERSION, score
from dqi_tracking.engine.fusion import checked_weights
from dqi_tracking.errors import DQIError, MissingMetric, TrackerError, masked
from dqi_tracking.forecast_stamp import forecast_metrics, lacks_forecast
from dqi_tracking.insight.insight import INSIGHT_VERSION, insight_of
from dqi_tracking.insight.layers import layers_json
from dqi_tracking.names import LAYERS_FILE
from dqi_tracking.report.artifact import phases_json
from dqi_tracking.report.page import phases_html
from dqi_tracking.stamp import fingerprint_of, seen, stamp_of, standing_mark
from dqi_tracking.trackers.base import Reading
from dqi_tracking.trackers.series import missing_metric
from dqi_tracking.types import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dqi_tracking.cohorts.checks import CohortChecks
    from dqi_tracking.config import Settings
    from dqi_tracking.insight.comparison import Comparison
    from dqi_tracking.insight.insight import Insight
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import Duplicates, History, NanPolicy, RunRef, Score, Units


_ENGINE_OPTIONS = ("nan_policy", "units", "duplicates", "weights")
_REPORT_BUG = "report this as a bug, with the run's history"


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


def without_reading(ref: RunRef, current: Pass) -> Outcome | None:
    """Decide from the listing alone, or return None where the run must be read."""
    if ref.listed and not ref.loss_keys and not ref.grad_norm_keys:
        return Outcome(ref, "skipped", reason=missing_metric(ref).message)
    mark = standing_mark(ref)
    if ref.stamp is None or mark is None or current.verify or current.rescore:
        return None
    if current.forecast and lacks_forecast(ref):
        return None
    facts = ref.stamp.facts
    # the digest covers the versions of engine and insight
    unchanged = mark.startswith(f"{current.options.digest}-") and (
        facts.get("seen") == seen(ref, facts.get("signal", ""))
    )
    return Outcome(ref, "unchanged", stamp=ref.stamp) if unchanged else None


def process(tracker: Tracker, refs: Sequence[RunRef], current: Pass) -> Iterator[Outcome]:
    """Read, score and write runs.

    Parameters
    ----------
    tracker : Tracker
    refs : sequence of RunRef
    current : Pass

    Yields
    ------
    Outcome
        One for each run, as it is done. Nothing that is wrong with one run is raised.
    """
    undecided: list[RunRef] = []
    for ref in refs:
        outcome = without_reading(ref, current)
        if outcome is None:
            undecided.append(ref)
        else:
            yield outcome
    for reading in _readings(tracker, undecided):
        ref = reading.ref
        try:
            yield _score_and_write(tracker, ref, reading.found(), current)
        except MissingMetric as error:
            yield Outcome(ref, "skipped", reason=error.message)
        except DQIError as error:
            yield _failed(ref, error.message, error.fix, transient=error.transient)
        except Exception as error:  # noqa: BLE001 - a defect met on one run must not stop the rest
            yield _failed(ref, _unexpected(error), _REPORT_BUG)


def _readings(tracker: Tracker, refs: Sequence[RunRef]) -> Iterator[Reading]:
    """Yield one reading for each run, even where the tracker raises on one."""
    first = 0
    while first < len(refs):
        try:
            for reading in tracker.read(refs[first:]):
                first += 1
                yield reading
            for ref in refs[first:]:
                first += 1
                yield Reading(ref)
        except DQIError as error:
            yield Reading(refs[first], error=error)
            first += 1
        except Exception as error:  # noqa: BLE001 - as in `process`
            yield Reading(refs[first], error=TrackerError(_unexpected(error), fix=_REPORT_BUG))
            first += 1


def _unexpected(error: Exception) -> str:
    return masked(f"unexpected {type(error).__name__}: {error}")


def _score_and_write(tracker: Tracker, ref: RunRef, history: History, current: Pass) -> Outcome:
    plan = plan_of(tracker, ref, history, current.options.phases)
    scored = current.options.score(ref, history, plan)
    if current.population:
        scored = current.population.noted(scored, ref)
    mark = fingerprint_of(history, current.options.digest, plan.boundaries)
    is_lacking = current.forecast and lacks_forecast(ref)
    if standing_mark(ref) == mark and not current.rescore and not is_lacking:
        return Outcome(ref, "unchanged", stamp=ref.stamp, score=scored)
    insight = insight_of(history, current.population and current.population.comparison(ref))
    stamp = stamp_of(scored, insight, ref, mark, current.started, plan.told)
    ahead = forecast_metrics(ref, history, wanted=current.forecast)
    stamp = replace(stamp, metrics={**stamp.metrics, **ahead})
    if current.write:
        files: dict[str, bytes] = {}
        if current.files:
            at = stamp.facts["scored_at"]
            layers = listed_layers(tracker, ref, scored.boundary_steps)
            if layers:
                files[LAYERS_FILE] = layers_json(layers).encode()
            files["phases.json"] = phases_json(
                scored,
                ref,
                insight=insight,
                phases=plan.told,
                options=current.options.of_engine,
                fingerprint=mark,
                scored_at=at,
            )
            files["phases.html"] = phases_html(
                scored,
                history,
                ref,
                insight=insight,
                phases=plan.told,
                layers=layers,
                scored_at=at,
                duplicates=current.options.duplicates,
                units=current.options.units,
            )
        tracker.write(ref, stamp, files)
    return Outcome(ref, "scored", stamp=stamp, score=scored)


def _failed(ref: RunRef, reason: str, fix: str, *, transient: bool = False) -> Outcome:
    return Outcome(ref, "failed", reason=reason, fix=fix, stamp=ref.stamp, transient=transient)


class Examined(NamedTuple):
    """One run, read and scored, and the phases that it was scored by."""

    history: History
    score: Score
    insight: Insight
    plan: PhasePlan


def examine(
    tracker: Tracker,
    ref: RunRef,
    options: ScoringOptions,
    comparison: Comparison | None = None,
) -> Examined:
    """Read and score one run, and write nothing.

    Raises
    ------
    DQIError
        Whatever is wrong with the run.
    """
    reading = next(iter(tracker.read([ref])))
    history = reading.found()
    plan = plan_of(tracker, reading.ref, history, options.phases)
    scored = options.score(reading.ref, history, plan)
    return Examined(history, scored, insight_of(history, comparison), plan)
