"""A stamp as flat keys, as W&B's run summary holds it: `dqi`, …, `dqi_fingerprint`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dqi_tracking.names import FORECAST, KEY_OF_FACT, LISTED, METRICS, STANDING
from dqi_tracking.types import Stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS: tuple[str, ...] = (*LISTED, *KEY_OF_FACT.values())
"""All keys of ours; a person's `dqi_mine` is none of them."""
MARK = KEY_OF_FACT["fingerprint"]
"""Key of the commit mark."""


def to_summary(stamp: Stamp) -> dict[str, float | str]:
    """Return the keys of a stamp, the fingerprint last.

    Numbers that are not finite and facts that say nothing have no key: W&B would make the former
    null or invalid JSON, and a score that is none must not look like one.
    """
    keys: dict[str, float | str] = {
        name: stamp.metrics[name]
        for name in LISTED
        if math.isfinite(stamp.metrics.get(name, math.nan))
    }
    keys.update(
        {key: stamp.facts[fact] for fact, key in KEY_OF_FACT.items() if stamp.facts.get(fact)}
    )
    return keys


def amended(summary: Mapping[str, Any], stamp: Stamp) -> dict[str, Any]:
    """Return the keys of ours that a summary is to hold: those it has, changed by a stamp."""
    given = {*stamp.metrics, *(KEY_OF_FACT[fact] for fact in stamp.facts)}
    kept = {key: summary[key] for key in KEYS if key in summary and key not in given}
    return kept | to_summary(stamp)


def from_summary(summary: Mapping[str, Any]) -> Stamp | None:
    """Return the stamp that a summary holds, or None where it has none of our keys."""
    if not any(key in summary for key in KEYS):
        return None
    return Stamp(
        metrics={name: number(summary.get(name)) for name in METRICS}
        | {name: number(summary[name]) for name in (*STANDING, *FORECAST) if name in summary},
        facts={fact: str(summary[key]) for fact, key in KEY_OF_FACT.items() if summary.get(key)},
    )


def number(value: Any) -> float:
    """Return a value of JSON as a number, NaN where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
