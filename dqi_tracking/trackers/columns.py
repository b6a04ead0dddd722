"""Columns that a listing brings along on request: what a person logged, by the tracker's names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVERY = "*"
"""In `Query.columns`: all there are. For telling a person what exists, not for a whole listing."""

MAX_DEPTH = 8
"""How deep a dictionary is looked into for names."""

_QUOTES = ("`", '"', "'")


def keys_of(names: Iterable[str], holder: str) -> tuple[str, ...] | None:
    """Return the keys that are asked for of a holder such as `params`; None for all of them.

    Parameters
    ----------
    names : iterable of str
        ``holder.key``, the key in quotes or backticks where a person likes to, or `EVERY`.
    holder : str
    """
    names = tuple(names)
    if EVERY in names:
        return None
    return tuple(key for name in names if (key := _key(name, holder)) is not None)


def columns_of(names: Iterable[str], holders: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the columns of a run that are there, as text, by the names that were asked for.

    Parameters
    ----------
    names : iterable of str
        ``holder.key``; a key with dots in it may lead into dictionaries. `EVERY` gives all.
    holders : mapping of str to mapping
        ``{"params": {"lr": "0.1"}}``: values of any kind that JSON knows.

    Returns
    -------
    dict of str to str
        Text as it is, numbers to the last digit (``nan`` and ``inf`` for those that are none),
        anything else as JSON. What is not there, or null, is not in it.
    """
    names = tuple(names)
    if EVERY in names:
        names = tuple(
            f"{holder}.{name}" for holder, values in holders.items() for name in _leaves(values)
        )
    found: dict[str, str] = {}
    for name in names:
        holder = name.partition(".")[0]
        key = _key(name, holder)
        value = None if key is None else _value(holders.get(holder, {}), key)
        if value is not None:
            found[name] = text_of(value)
    return found


def text_of(value: Any) -> str:
    """Return a logged value as the text of a column."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, sort_keys=True, default=str)


def _key(name: str, holder: str) -> str | None:
    start, _, key = name.partition(".")
    if start != holder or not key:
        return None
    is_quoted = len(key) > 2 and key[0] == key[-1] and key[0] in _QUOTES
    return key[1:-1] if is_quoted else key


def _value(values: Mapping[str, Any], key: str) -> Any:
    """Return a value by its name, or by its path through dictionaries."""
    if key in values:
        return values[key]
    first, dot, rest = key.partition(".")
    while dot:
        inside = values.get(first)
        if isinstance(inside, Mapping):
            found = _value(cast("Mapping[str, Any]", inside), rest)
            if found is not None:
                return found
        more, dot, rest = rest.partition(".")
        first = f"{first}.{more}"
    return None


def _leaves(values: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            inside = cast("Mapping[str, Any]", value)
            yield from (f"{name}.{leaf}" for leaf in _leaves(inside, depth + 1))
        else:
            yield name
