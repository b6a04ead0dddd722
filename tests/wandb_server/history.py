"""History rows as the API hands them out: key by key, by ranges of steps, sampled, counted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from tests.wandb_server.store import Row, Run

MISSING = object()


def step_of(row: Row) -> int:
    """Return the step of a row."""
    return int(row.get("_step", 0))


def lookup(values: Any, key: str) -> Any:
    """Return what a key names: the key itself, or a path with dots into nested dictionaries."""
    if not isinstance(values, dict):
        return MISSING
    if key in values:
        return values[key]
    parts = key.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        head = ".".join(parts[:cut])
        if head in values:
            found = lookup(values[head], ".".join(parts[cut:]))
            if found is not MISSING:
                return found
    return MISSING


def plain(value: Any) -> Any:
    """Return a value with NaN and infinities as the strings that W&B writes."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def json_text(value: Any, nonfinite: str) -> str:
    """Return the text of a JSONString."""
    return json.dumps(plain(value) if nonfinite == "strings" else value)


def thin(rows: list[Row], samples: int) -> list[Row]:
    """Return at most so many rows, evenly spread, the first and the last among them."""
    if len(rows) <= samples:
        return rows
    last = len(rows) - 1
    return [rows[round(i * last / max(samples - 1, 1))] for i in range(samples)]


def between(rows: Sequence[Row], low: int | None, high: int | None) -> list[Row]:
    """Return the rows of the steps from `low` up to `high`, in order of steps."""
    kept = [
        row
        for row in rows
        if (low is None or step_of(row) >= low) and (high is None or step_of(row) < high)
    ]
    return sorted(kept, key=step_of)


def page(run: Run, low: int | None, high: int | None, samples: int, *, exact: bool) -> list[Row]:
    """Return whole rows; a range of steps is read from what is not exported."""
    ranged = low is not None or high is not None
    rows = between(run.history[run.exported :] if ranged else run.history, low, high)
    return rows if ranged and exact else thin(rows, samples)


def sampled(run: Run, spec: dict[str, Any], *, exact: bool) -> list[Row]:
    """Return the rows that have all keys of a spec, with nothing but them.

    A spec's last step belongs to it: the client asks for one step less here than of `history`.
    """
    keys = list(dict.fromkeys(spec["keys"]))
    low, high = spec.get("minStep"), spec.get("maxStep")
    ranged = low is not None or high is not None
    high = None if high is None else high + 1
    found = []
    for row in between(run.history[run.exported :] if ranged else run.history, low, high):
        values = {key: lookup(row, key) for key in keys}
        if MISSING not in values.values() and None not in values.values():
            found.append(plain(values))
    return found if ranged and exact else thin(found, int(spec.get("samples", 500)))


def flat(row: Row, prefix: str = "") -> dict[str, Any]:
    """Return a row with nested dictionaries as keys with dots; media stay whole."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def type_of(value: Any) -> str:
    """Return the type that `historyKeys` tells of a value."""
    if isinstance(value, dict):
        return str(value.get("_type", "map"))
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "list", type(None): "nil"}.get(type(value), "string")


def history_keys(run: Run) -> dict[str, Any] | None:
    """Return which keys were logged, with their types and counts, and the last step."""
    if run.history_keys_null or not run.history:
        return None
    counts: dict[str, dict[str, int]] = {}
    for row in run.history:
        for key, value in flat(row).items():
            types = counts.setdefault(key, {})
            types[type_of(value)] = types.get(type_of(value), 0) + 1
    return {
        "keys": {
            key: {"typeCounts": [{"type": name, "count": n} for name, n in types.items()]}
            for key, types in counts.items()
        },
        "lastStep": max(map(step_of, run.history)),
        "sets": [],
    }
