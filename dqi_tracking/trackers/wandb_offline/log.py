"""The `.wandb` file as a log of records: LevelDB's format behind a header of its own.

::

    file    = header chunk*                 in blocks of 32 KiB, the header in the first of them
    header  = ":W&B" 0xBEE1 version         7 bytes, little-endian
    chunk   = crc32 length type data        7 bytes before the data, little-endian
    record  = full | first middle* last     no chunk crosses a block's end

The checksum covers type and data. Where fewer than 7 bytes are left of a block, they are padding.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 32 * 1024
HEADER = struct.Struct("<4sHB")
CHUNK = struct.Struct("<IHB")
IDENT, MAGIC, VERSION = b":W&B", 0xBEE1, 0
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
MAX_RECORD = 1 << 28
"""Bytes of the longest record that is put together, an eighth of what protobuf allows."""

_CUT, _WRONG = -1, -2
_BEGINS = (FULL, FIRST)
_SEED = tuple(crc32(bytes([kind])) for kind in range(LAST + 1))


class NotALog(Exception):
    """The file does not begin as a log does; the text says how."""


class EmptyLog(Exception):
    """The file ends within its header or right behind it: nothing was ever logged."""


class LogDamage(Exception):
    """The log cannot be read on.

    Parameters
    ----------
    offset : int
        Where the last whole record ends, in bytes.
    is_cut : bool
        Whether the file merely ends within a record, as that of a killed or running process does;
        else its bytes are wrong.
    """

    def __init__(self, offset: int, *, is_cut: bool) -> None:
        super().__init__(f"damage after {offset} bytes")
        self.offset, self.is_cut = offset, is_cut


def check_header(file: BinaryIO) -> None:
    """Read the header.

    Raises
    ------
    EmptyLog
        When nothing stands behind it.
    NotALog
        When it is another's, or of another version.
    """
    head = file.read(HEADER.size + 1)
    expected = HEADER.pack(IDENT, MAGIC, VERSION)
    if expected.startswith(head):
        raise EmptyLog
    if head.startswith(expected):
        return
    if len(head) >= HEADER.size and head.startswith(expected[:-1]):
        version = head[HEADER.size - 1]
        raise NotALog(f"it is of version {version}, and only version {VERSION} is known")
    raise NotALog("it does not begin as one")


def records(
    file: BinaryIO, start: int, stop: int, *, inside_record: bool = False
) -> Iterator[tuple[bytes, int]]:
    """Yield the records between two offsets, each checked against its checksums.

    Parameters
    ----------
    file : binary file
        Read a block at a time: memory is that of a block and of one record, whatever lengths the
        file claims.
    start, stop : int
        Offsets in bytes: `start` where a chunk begins, `stop` the size of the file.
    inside_record : bool
        Whether a record may have begun before `start`; the rest of it is then passed over.

    Yields
    ------
    bytes
        The record.
    int
        The offset at which it ends.

    Raises
    ------
    LogDamage
        When what follows cannot be read. LevelDB reads on at the next block; here reading stops,
        since a curve with a gap in it would be taken for a whole one.
    """
    parts: list[bytes] = []
    n_bytes, whole = 0, start
    for kind, data, end in _chunks(file, start, stop):
        if kind == FULL and not parts:
            yield data, end
            whole, inside_record = end, False
            continue
        if inside_record and kind in (MIDDLE, LAST):
            inside_record = kind == MIDDLE
            continue
        n_bytes += len(data)
        if kind < 0 or (kind in _BEGINS) == bool(parts) or n_bytes > MAX_RECORD:
            raise LogDamage(whole, is_cut=kind == _CUT)
        parts.append(data)
        inside_record = False
        if kind == LAST:
            yield b"".join(parts), end
            parts, n_bytes, whole = [], 0, end
    if parts:
        raise LogDamage(whole, is_cut=True)


def _chunks(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield type, data and end of each chunk; of the one that cannot be read, what is wrong."""
    file.seek(start)
    position = start
    while position < stop:
        room = BLOCK - position % BLOCK
        block = file.read(min(room, stop - position))
        at, end = 0, len(block)
        while end - at >= CHUNK.size:
            checksum, length, kind = CHUNK.unpack_from(block, at)
            at += CHUNK.size
            data = block[at : at + length]
            at += length
            if not FULL <= kind <= LAST or at > room:
                yield _WRONG, b"", position
                return
            if at > end or crc32(data, _SEED[kind]) != checksum:
                yield _CUT if at > end else _WRONG, b"", position
                return
            yield kind, data, position + at
        if end < room:
            # the file ends here; what is left is padding, part of a chunk's head, or was taken away
            is_head = at < end and room - at >= CHUNK.size
            if is_head or position + end < stop:
                yield _CUT, b"", position
            return
        position += end
