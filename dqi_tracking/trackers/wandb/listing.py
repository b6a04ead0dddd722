"""Runs as W&B lists them, and as `RunRef`s."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from dqi_tracking.trackers.base import RUNNING
from dqi_tracking.trackers.columns import columns_of
from dqi_tracking.trackers.histograms import TYPE as HISTOGRAM
from dqi_tracking.trackers.histograms import is_gradient
from dqi_tracking.trackers.summary import from_summary
from dqi_tracking.types import RunRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dqi_tracking.trackers.keys import KeyResolver

LAST_STEP = "_step"
"""Key of `RunRef.latest` under which the last step of the run stands."""

_SERIES_TYPES = frozenset({"number", "string", "boolean"})
"""Types of values that make a series; W&B keeps NaN and infinity as strings."""
_HISTOGRAM = frozenset({HISTOGRAM})


def ref_of(run: Any, resolver: KeyResolver, columns: Sequence[str] = ()) -> RunRef:
    """Return the line of the listing that a run of the public API is.

    Parameters
    ----------
    run : wandb.apis.public.Run
        Loaded in full.
    resolver : KeyResolver
    columns : sequence of str
        As in `Query`: `summary.x`, `config.x`.

    Returns
    -------
    RunRef
        `latest` counts the points of each candidate. A run with rows whose metrics W&B does not
        name (`historyKeys` is null) is not `listed`, so that it is not taken for an empty one.
    """
    known = getattr(run, "history_keys", None) or {}
    rows = int(getattr(run, "history_line_count", None) or 0)
    counts = counts_of(run)
    candidates = resolver.candidates(list(counts))
    with_histograms = resolver.candidates([*counts, *histograms_of(run)])
    status = str(run.state).upper()
    latest = {name: counts[name] for name in sorted({*candidates.metrics, candidates.step} - {""})}
    return RunRef(
        run_id=run.id,
        name=run.name or run.id,
        group=run.project,
        status=status,
        started=milliseconds(getattr(run, "created_at", None)),
        # the heartbeat of a run that goes on is no end
        ended=0 if status in RUNNING else milliseconds(getattr(run, "heartbeat_at", None)),
        loss_keys=candidates.loss,
        grad_norm_keys=candidates.grad_norm,
        validation_keys=candidates.validation,
        rate_keys=candidates.rate,
        layer_metrics=with_histograms.layers,
        step_key=candidates.step,
        listed=bool(known.get("keys")) or not rows,
        latest=latest | {LAST_STEP: str(known.get("lastStep", -1))},
        stamp=from_summary(run.summary_metrics),
        columns=_columns(run, columns),
    )


def counts_of(run: Any, *, histograms: bool = False) -> dict[str, str]:
    """Return for each series of a run what the listing says of its points.

    Those of gradients are counted too where histograms are asked for.
    """
    rows = int(getattr(run, "history_line_count", None) or 0)
    counts: dict[str, str] = {}
    for name, key in _listed(run).items():
        more = _HISTOGRAM if histograms and is_gradient(name) else frozenset[str]()
        count = _points(key, rows, _SERIES_TYPES | more)
        if count != "0":
            counts[name] = count
    return counts


def histograms_of(run: Any) -> dict[str, int]:
    """Return how many histograms a run has logged under each name that has any."""
    counts = {
        name: _count(key.get("typeCounts") or (), _HISTOGRAM) for name, key in _listed(run).items()
    }
    return {name: count for name, count in counts.items() if count}


def _listed(run: Any) -> Mapping[str, Mapping[str, Any]]:
    known = getattr(run, "history_keys", None) or {}
    return known.get("keys") or {}


def _columns(run: Any, names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    return columns_of(names, {"summary": run.summary_metrics, "config": run.config})


def n_listed(ref: RunRef, key: str) -> int | None:
    """Return how many points of a metric the listing promises; None where it does not say."""
    told = ref.latest.get(key, "")
    return int(told) if told.isdigit() else None


def _points(key: Mapping[str, Any], rows: int, types: frozenset[str]) -> str:
    """Return how many points a metric has: values that can be points, at most one a row."""
    counted = key.get("typeCounts")
    if counted is None:
        return f"some of {rows}"
    count = _count(counted, types)
    return str(min(count, rows) if rows else count)


def _count(counted: Iterable[Mapping[str, Any]], types: frozenset[str]) -> int:
    return sum(int(each["count"]) for each in counted if each.get("type") in types)


def milliseconds(moment: str | None) -> int:
    """Return an ISO 8601 time in milliseconds since the epoch, 0 where there is none."""
    if not moment:
        return 0
    try:
        parsed = datetime.fromisoformat(moment.replace("Z", "+00:00"))  # 3.10 knows no `Z`
    except ValueError:
        return 0
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    return int(parsed.timestamp() * 1000)
