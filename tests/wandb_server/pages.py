"""Pages of a list, as connections with cursors that are offsets."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tests.wandb_server.store import Refused

Item = TypeVar("Item")


def cursor_of(offset: int) -> str:
    """Return the cursor of the item before an offset."""
    return b64encode(f"offset:{offset}".encode()).decode()


def offset_of(cursor: str | None) -> int:
    """Return the offset after a cursor, or refuse a cursor that is not one."""
    if not cursor:
        return 0
    try:
        return int(b64decode(cursor).decode().removeprefix("offset:"))
    except ValueError as error:
        raise Refused(f"invalid cursor: {cursor}") from error


def connection(
    items: Sequence[Item],
    view: Callable[[Item], Any],
    after: str | None = None,
    first: int | None = None,
) -> dict[str, Any]:
    """Return a page of a list: edges with nodes and cursors, and whether there is more."""
    start = offset_of(after)
    stop = min(start + (50 if first is None else first), len(items))
    edges = [
        {"node": view(items[i]), "cursor": cursor_of(i + 1), "version": f"v{i}"}
        for i in range(start, stop)
    ]
    return {
        "edges": edges,
        "total_count": len(items),
        "page_info": {
            "end_cursor": edges[-1]["cursor"] if edges else None,
            "has_next_page": stop < len(items),
        },
    }
