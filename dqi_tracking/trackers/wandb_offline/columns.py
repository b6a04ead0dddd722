"""Config and summary of an offline run, which its file tells change by change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from dqi_tracking.trackers.columns import columns_of
from dqi_tracking.trackers.wandb_offline.log import EmptyLog, LogDamage, NotALog
from dqi_tracking.trackers.wandb_offline.records import decoded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dqi_tracking.trackers.wandb_offline.folder import LogFile

_OWN = "_wandb"
"""Key under which the client keeps things of its own."""


def read_columns(file: LogFile, names: Sequence[str]) -> dict[str, str]:
    """Return the columns of a run, from its file as far as that is whole.

    Parameters
    ----------
    file : LogFile
    names : sequence of str
        As in `Query`: ``summary.x``, ``config.x``.

    Returns
    -------
    dict of str to str
        None of a file that cannot be read: reading the run says what is wrong with it.
    """
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    try:
        with file.path.open("rb") as opened:
            for record in decoded(opened, file.size):
                if record.HasField("summary"):
                    _change(summary, record.summary)
                elif record.HasField("config"):
                    _change(config, record.config)
                elif record.HasField("run"):
                    _change(config, record.run.config)
                    _change(summary, record.run.summary)
    except (EmptyLog, NotALog, LogDamage, OSError):
        pass
    for held in (config, summary):
        held.pop(_OWN, None)
    return columns_of(names, {"summary": summary, "config": config})


def _change(held: dict[str, Any], record: Any) -> None:
    """Apply one record: values that are set, and values that are taken away."""
    for item in record.update:
        place, last = _place(held, item)
        place[last] = _parsed(item.value_json)
    for item in record.remove:
        place, last = _place(held, item)
        place.pop(last, None)


def _place(held: dict[str, Any], item: Any) -> tuple[dict[str, Any], str]:
    """Return the dictionary that an item is in, made where there is none, and its name there."""
    *way, last = item.nested_key or [item.key]
    for name in way:
        inside = held.get(name)
        if not isinstance(inside, dict):
            inside = held[name] = {}
        held = cast("dict[str, Any]", inside)
    return held, last


def _parsed(text: str) -> Any:
    """Return a value of JSON; text that is none stays text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
