"""What the records of a run say, in the client's own protobuf messages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from dqi_tracking.errors import ConfigError
from dqi_tracking.trackers.wandb_offline.log import (
    BLOCK,
    HEADER,
    EmptyLog,
    LogDamage,
    NotALog,
    check_header,
    records,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = 1 << 22
"""Bytes within which the run record has to begin; it is the client's second."""

_RUN_TAG = b"\x8a\x01"
_EXIT_TAG = b"\x92\x01"
"""How the fields `run` and `exit` begin: telling that one is missing costs no decoding."""
_LATEST = 253_402_300_800
"""Seconds from the epoch to the year 10000, which no calendar here knows."""


class Head(NamedTuple):
    """What the head of a file says of its run; empty and 0 where it says nothing.

    Attributes
    ----------
    run_id, name, project : str
    started : int
        Milliseconds since the epoch.
    """

    run_id: str = ""
    name: str = ""
    project: str = ""
    started: int = 0


class End(NamedTuple):
    """How a run ended: its exit code, and its runtime in seconds."""

    exit_code: int
    runtime: int


def decoder() -> Callable[[bytes], Any]:
    """Return what makes a `Record` of bytes.

    Raises
    ------
    ConfigError
        When the W&B client is not installed, or does not go with the protobuf package there is.
    """
    try:
        # here, since it takes half a second
        messages: Any = import_module("wandb.proto.wandb_internal_pb2")
    except ImportError as error:
        raise ConfigError(
            f"the W&B client, which defines the records, cannot be imported: {error}",
            fix="pip install 'wandb>=0.31'",
        ) from error
    return messages.Record.FromString


def decoded(file: BinaryIO, size: int) -> Iterator[Any]:
    """Yield the records of a file from the first on.

    Raises
    ------
    EmptyLog, NotALog
        As `check_header`.
    LogDamage
        As `log.records`, and when a record is none.
    """
    from google.protobuf.message import DecodeError

    decode = decoder()
    check_header(file)
    whole = HEADER.size
    for data, end in records(file, whole, size):
        try:
            record = decode(data)
        except DecodeError as error:
            raise LogDamage(whole, is_cut=False) from error
        yield record
        whole = end


def head_of(file: BinaryIO, size: int) -> Head:
    """Read what the head of a file says of the run, as far as it can be read.

    Of several run records close together the last counts: a run is often given its name right
    after it was begun.
    """
    head, stop = Head(), HEAD
    try:
        check_header(file)
        for run, end in _tagged(file, HEADER.size, size, _RUN_TAG, "run"):
            if run is not None:
                stop = stop if head.run_id else end + BLOCK
                head = _head(run)
            if end >= stop:
                break
    except (EmptyLog, NotALog, LogDamage):
        pass
    return head


def end_of(file: BinaryIO, size: int) -> End | None:
    """Read how the run ended from the last two blocks; None where no end is found there."""
    last = max(size - 1, 0) // BLOCK * BLOCK
    for block in (last, last - BLOCK):
        if block < 0:
            break
        end = None
        start = max(block, HEADER.size)
        try:
            for exited, _ in _tagged(file, start, size, _EXIT_TAG, "exit"):
                end = End(exited.exit_code, exited.runtime) if exited is not None else end
        except LogDamage:
            pass
        if end is not None:
            return end
    return None


def _head(run: Any) -> Head:
    seconds = run.start_time.seconds
    started = seconds * 1000 + run.start_time.nanos // 1_000_000
    return Head(run.run_id, run.display_name, run.project, started if 0 < seconds < _LATEST else 0)


def _tagged(
    file: BinaryIO, start: int, size: int, tag: bytes, field: str
) -> Iterator[tuple[Any, int]]:
    """Yield the field, None in records of another kind, and where the record ends."""
    from google.protobuf.message import DecodeError

    decode = decoder()
    for data, end in records(file, start, size, inside_record=start > HEADER.size):
        found = None
        if tag in data:
            try:
                record = decode(data)
            except DecodeError:
                raise LogDamage(start, is_cut=False) from None
            found = getattr(record, field) if record.HasField(field) else None
        yield found, end
