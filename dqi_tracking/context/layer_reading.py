"""The gradient norms of a run's layers, read from its tracker at once and scored layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dqi_tracking.errors import MissingMetric, ReadRejected
from dqi_tracking.insight.layers import find_layers, profile
from dqi_tracking.trackers.series import against
from dqi_tracking.types import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dqi_tracking.insight.layers import LayerProfile
    from dqi_tracking.trackers.base import Tracker
    from dqi_tracking.types import RunRef


def listed_layers(
    tracker: Tracker, ref: RunRef, boundaries: tuple[float, float] | None
) -> LayerProfile | None:
    """Profile the layers of a run whose listing shows them, where that takes one read.

    An MLflow server reads one metric a request, so that through it there is no profile here: of
    hundreds of layers it would cost more than all else of a run. `read_layers` reads them.

    Returns
    -------
    LayerProfile or None
        None where there are none, or what they hold is no series of numbers: the score stands
        without them.

    Raises
    ------
    TrackerError
        When the tracker is not reached, or the run is gone.
    """
    if not ref.layer_metrics or not tracker.reads_several:
        return None
    try:
        return read_layers(tracker, ref, ref.layer_metrics, boundaries=boundaries)
    except (MissingMetric, ReadRejected):
        return None


def read_layers(
    tracker: Tracker,
    ref: RunRef,
    names: Iterable[str],
    *,
    boundaries: tuple[float, float] | None = None,
    pattern: str | None = None,
    announce: Callable[[int], None] | None = None,
) -> LayerProfile:
    """Read and score the gradient norm of each layer of a run.

    Parameters
    ----------
    tracker : Tracker
        Asked once for all of the layers; where it does not read several metrics at once, as
        through an MLflow server, that is a request for each.
    ref : RunRef
    names : iterable of str
        Names of the run's metrics.
    boundaries : (early_end_step, mid_end_step), optional
        Phases of the run's loss, which the layers then share.
    pattern : str, optional
        As in `find_layers`.
    announce : callable, optional
        Called with the number of layers before they are read by a request for each.

    Returns
    -------
    LayerProfile
        Of the layers that hold a number, or histograms: of those the norm is estimated, as
        `trackers.histograms` says.

    Raises
    ------
    ConfigError
        When the pattern cannot be meant.
    MissingMetric
        When the run logs no gradient norm of a layer.
    TrackerError
        As `Tracker.series`.
    """
    keys = find_layers(names, pattern).keys
    if announce and len(keys) > 1 and not tracker.reads_several:
        announce(len(keys))
    steps = [ref.step_key] if ref.step_key else []
    found = tracker.series(ref, [*keys.values(), *steps]) if keys else {}
    logged = {layer: found[key] for layer, key in keys.items() if key in found}
    if steps and steps[0] in found:
        over = found[steps[0]]
        logged = {layer: against(series, over) for layer, series in logged.items()}
    if not logged:
        raise MissingMetric(
            "no gradient norm of a layer was logged under a known name",
            fix="log `grad_2.0_norm/LAYER`, or name them: --layer-pattern 'grad_norm/(.+)'",
            run=ref.run_id,
        )
    histories = [History(series.step, grad_norm=series.value) for series in logged.values()]
    return profile(None, histories, list(logged), boundaries=boundaries)
