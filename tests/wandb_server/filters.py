"""Which runs a listing names, and in which order: Mongo-like filters, `+key` and `-key`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from tests.wandb_server.behaviour import Behaviour
from tests.wandb_server.history import MISSING, lookup
from tests.wandb_server.store import Refused, Run, stamp

FIELDS: dict[str, Callable[[Run], Any]] = {
    "state": lambda run: run.state,
    "tags": lambda run: run.tags,
    "name": lambda run: run.name,
    "displayname": lambda run: run.display_name,
    "group": lambda run: run.group,
    "jobtype": lambda run: run.job_type,
    "createdat": lambda run: stamp(run.created_at),
    "heartbeatat": lambda run: stamp(run.heartbeat_at),
    "historylinecount": lambda run: len(run.history),
}


def value_of(run: Run, key: str) -> Any:
    """Return the value of a run that a key of a filter or an order names, or MISSING."""
    prefix, _, rest = key.partition(".")
    prefix = prefix.replace("_", "").lower()
    if prefix == "summarymetrics" and rest:
        return lookup(run.summary, rest)
    if prefix == "config" and rest:
        found = lookup(run.config, rest)
        return found["value"] if isinstance(found, dict) and "value" in found else found
    if rest or prefix not in FIELDS:
        raise Refused(f"invalid filter or order key: {key}")
    found = FIELDS[prefix](run)
    return MISSING if found is None else found


def equals(found: Any, wanted: Any) -> bool:
    """Return whether a value is the wanted one, or a list that has it."""
    if found is MISSING:
        return wanted is None
    if isinstance(found, list) and not isinstance(wanted, list):
        return wanted in found
    return bool(found == wanted)


def ordered(found: Any, wanted: Any, compare: Callable[[Any, Any], bool]) -> bool:
    """Return a comparison of two numbers or of two strings; nothing else compares."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (found, wanted))
    strings = isinstance(found, str) and isinstance(wanted, str)
    return (numbers or strings) and compare(found, wanted)


def holds(found: Any, operator: str, wanted: Any, behaviour: Behaviour) -> bool:
    """Return whether one condition on a value holds."""
    checks: dict[str, Callable[[], bool]] = {
        "$eq": lambda: equals(found, wanted),
        "$ne": lambda: (
            behaviour.ne_matches_absent if found is MISSING else not equals(found, wanted)
        ),
        "$gt": lambda: ordered(found, wanted, lambda a, b: a > b),
        "$gte": lambda: ordered(found, wanted, lambda a, b: a >= b),
        "$lt": lambda: ordered(found, wanted, lambda a, b: a < b),
        "$lte": lambda: ordered(found, wanted, lambda a, b: a <= b),
        "$in": lambda: any(equals(found, item) for item in wanted),
        "$nin": lambda: not any(equals(found, item) for item in wanted),
        "$exists": lambda: (found is not MISSING) == bool(wanted),
        "$regex": lambda: isinstance(found, str) and re.search(wanted, found) is not None,
        "$not": lambda: not condition(found, wanted, behaviour),
    }
    if operator not in checks:
        raise Refused(f"unknown operator in filter: {operator}")
    return checks[operator]()


def condition(found: Any, wanted: Any, behaviour: Behaviour) -> bool:
    """Return whether a value is the wanted one, or meets all conditions on it."""
    if isinstance(wanted, dict) and wanted and all(key.startswith("$") for key in wanted):
        return all(holds(found, key, value, behaviour) for key, value in wanted.items())
    return equals(found, wanted)


def matches(run: Run, filters: dict[str, Any], behaviour: Behaviour) -> bool:
    """Return whether a run passes a filter."""
    for key, wanted in filters.items():
        if key in {"$and", "$or", "$nor"}:
            each = [matches(run, part, behaviour) for part in wanted]
            passed = {"$and": all(each), "$or": any(each), "$nor": not any(each)}[key]
        elif key.startswith("$"):
            raise Refused(f"unknown operator in filter: {key}")
        else:
            passed = condition(value_of(run, key), wanted, behaviour)
        if not passed:
            return False
    return True


def rank(value: Any) -> tuple[int, Any]:
    """Return a value's place among values of all kinds: missing, numbers, strings, the rest."""
    if value is MISSING or value is None or (isinstance(value, float) and math.isnan(value)):
        return (0, 0)
    if isinstance(value, int | float):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, str(value))


def select(
    runs: Iterable[Run], filters: str | None, order: str | None, behaviour: Behaviour
) -> list[Run]:
    """Return the runs that pass, in order; missing values come first, or last when descending."""
    wanted = json.loads(filters) if filters else {}
    found = [run for run in runs if matches(run, wanted, behaviour)]
    found.sort(key=lambda run: (run.created_at, run.name))
    order = order or "+created_at"
    key = order.lstrip("+-")
    if key.replace("_", "") in {"createdat"}:
        found.sort(key=lambda run: run.created_at, reverse=order.startswith("-"))
    else:
        found.sort(key=lambda run: rank(value_of(run, key)), reverse=order.startswith("-"))
    return found
