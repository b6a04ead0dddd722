"""The parquet export of a run's older history, as the client's scan reads it by HTTP ranges."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.wandb_server.history import step_of
from tests.wandb_server.store import Row

ROW_GROUP = 10_000


def column(rows: list[Row], key: str) -> pa.Array:
    """Return a key's values: whole `_step`s, other numbers as doubles, mixed kinds as JSON."""
    values = [row.get(key) for row in rows]
    if key == "_step":
        return pa.array(values, pa.int64())
    present: list[Any] = [value for value in values if value is not None]
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in present):
        return pa.array(values, pa.float64())
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if v is None else json.dumps(v) for v in values])


def write(rows: list[Row]) -> bytes:
    """Return rows as a parquet file, in order of steps, with statistics of `_step`."""
    rows = sorted(rows, key=step_of)
    keys = dict.fromkeys(["_step", *(key for row in rows for key in row)])
    table = pa.table({key: column(rows, key) for key in keys})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=ROW_GROUP)
    return sink.getvalue()
