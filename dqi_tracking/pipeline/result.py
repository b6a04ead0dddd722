"""From a history to what is to stand on the run: its score, stamp and files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from dqi_tracking.context.layer_reading import listed_layers
from dqi_tracking.forecast_stamp import forecast_metrics, lacks_forecast
from dqi_tracking.insight.insight import insight_of
from dqi_tracking.insight.layers import layers_json
from dqi_tracking.names import LAYERS_FILE
from dqi_tracking.report.artifact import phases_json
from dqi_tracking.report.page import phases_html
from dqi_tracking.stamp import fingerprint_of, stamp_of, standing_mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dqi_tracking.context.phase_plan import PhasePlan
    from dqi_tracking.pipeline.options import Pass
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import History, RunRef, Score, Stamp


class Result(NamedTuple):
    """What became of a history; no stamp where what stands on the run is still right."""

    score: Score
    stamp: Stamp | None = None
    files: Mapping[str, bytes] = {}


def result_of(
    ref: RunRef,
    history: History,
    plan: PhasePlan,
    current: Pass,
    tracker: Tracker | None = None,
) -> Result:
    """Score a history.

    Parameters
    ----------
    ref : RunRef
    history : History
    plan : PhasePlan
    current : Pass
    tracker : Tracker, optional
        For the layers of a run whose listing shows some, which are read by the phases of its
        score; nothing else is asked of it.

    Raises
    ------
    DQIError
        Whatever is wrong with the history.
    """
    scored = current.options.score(ref, history, plan)
    if current.population:
        scored = current.population.noted(scored, ref)
    mark = fingerprint_of(history, current.options.digest, plan.boundaries)
    is_lacking = current.forecast and lacks_forecast(ref)
    if standing_mark(ref) == mark and not current.rescore and not is_lacking:
        return Result(scored)
    insight = insight_of(history, current.population and current.population.comparison(ref))
    stamp = stamp_of(scored, insight, ref, mark, current.started, plan.told)
    ahead = forecast_metrics(ref, history, wanted=current.forecast)
    stamp = replace(stamp, metrics={**stamp.metrics, **ahead})
    if not (current.write and current.files):
        return Result(scored, stamp)
    layers = listed_layers(tracker, ref, scored.boundary_steps) if tracker else None
    at = stamp.facts["scored_at"]
    files: dict[str, bytes] = {}
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
    return Result(scored, stamp, files)
