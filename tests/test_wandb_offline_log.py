"""The log of a `.wandb` file: what is whole is read, what is damaged is told, to the byte."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wandb.proto.wandb_internal_pb2 import Record

from dqi_tracking.trackers.wandb_offline import log
from dqi_tracking.trackers.wandb_offline.log import (
    EmptyLog,
    LogDamage,
    NotALog,
    check_header,
    records,
)
from dqi_tracking.trackers.wandb_offline.records import end_of, head_of
from tests.wandb_logs import (
    BLOCK,
    HEADER,
    LogWriter,
    chunk,
    exit_record,
    losses,
    run_of,
    run_record,
)

pytest_plugins = ["tests.wandb_offline_fixtures"]
pytestmark = pytest.mark.xdist_group("wandb_offline")


@pytest.fixture(scope="module")
def client(offline_files: dict[str, Path]) -> dict[str, bytes]:
    return {run_id: path.read_bytes() for run_id, path in offline_files.items()}


def each(content: bytes):
    file = io.BytesIO(content)
    check_header(file)
    yield from records(file, len(HEADER), len(content))


def read(content: bytes) -> tuple[list[bytes], LogDamage | None]:
    found: list[bytes] = []
    try:
        for data, _ in each(content):
            found.append(data)
    except LogDamage as damage:
        return found, damage
    return found, None


def written(*contents: bytes) -> LogWriter:
    writer = LogWriter()
    for content in contents:
        writer.add(content)
    return writer


@pytest.mark.parametrize("run_id", ["plain", "long", "big", "odd", "empty"])
def test_the_clients_records_come_back_in_order_and_whole(client, run_id: str) -> None:
    found, damage = read(client[run_id])
    assert damage is None
    numbers = [Record.FromString(data).num for data in found]
    assert numbers == list(range(1, len(found) + 1))


@pytest.mark.parametrize("run_id", ["plain", "long", "big", "odd", "empty"])
def test_our_writer_makes_the_bytes_that_the_client_made(client, run_id: str) -> None:
    found, _ = read(client[run_id])
    assert bytes(written(*found).content) == client[run_id]


@pytest.mark.parametrize("left", range(10))
def test_a_record_that_leaves_few_bytes_in_its_block_is_followed_by_the_next(left: int) -> None:
    first = bytes(BLOCK - len(HEADER) - 7 - left)
    writer = written(first, b"second", b"third")
    assert writer.ends[0] == BLOCK - left
    assert read(bytes(writer.content)) == ([first, b"second", b"third"], None)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 7, BLOCK, 3 * BLOCK - 21, 100_000])
def test_a_record_of_any_length_is_put_together(size: int) -> None:
    contents = [b"first", bytes(range(256)) * (size // 256 + 1), b"last"]
    contents[1] = contents[1][:size]
    assert read(bytes(written(*contents).content)) == (contents, None)


@given(st.lists(st.integers(0, 2 * BLOCK), max_size=12))
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read(sizes: list[int]) -> None:
    contents = [bytes([number]) * size for number, size in enumerate(sizes)]
    content = bytes(written(*contents).content)
    if contents:
        assert read(content) == (contents, None)


@pytest.mark.parametrize("size", range(len(HEADER) + 1))
def test_a_file_that_ends_within_its_header_is_empty(size: int) -> None:
    with pytest.raises(EmptyLog):
        check_header(io.BytesIO(HEADER[:size]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"step,loss\n0,1\n", "does not begin as one"),
        (b":W&B\xe1\xbf\x00more", "does not begin as one"),
        (b":W&Bx", "does not begin as one"),
        (b"\x00" * 100, "does not begin as one"),
        (b":W&B\xe1\xbe\x01more", "version 1"),
        (b":W&B\xe1\xbe\x02", "version 2"),
    ],
    ids=["text", "magic", "short", "zeros", "version", "version and nothing else"],
)
def test_another_header_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(NotALog, match=message):
        check_header(io.BytesIO(content))


def test_a_file_cut_at_any_byte_gives_the_records_before_the_cut() -> None:
    writer = written(b"a" * 5, b"b" * 300, b"", b"c" * (BLOCK - 350), b"d" * 20, b"e")
    whole, _ = read(bytes(writer.content))
    # all cuts within the small records, and around the end of the block
    cuts = [*range(8, 400), *range(BLOCK - 40, len(writer.content) + 1)]
    for cut in cuts:
        found, damage = read(bytes(writer.content[:cut]))
        ends = [end for end in writer.ends if end <= cut]
        assert found == whole[: len(ends)]
        if damage is None:
            # between two records, or in the padding of a block
            assert cut == ends[-1] or not any(writer.content[ends[-1] : cut])
        else:
            assert damage.is_cut
            assert damage.offset == (ends or [len(HEADER)])[-1]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_anywhere_costs_no_more_than_what_follows_it(client, data) -> None:
    content = bytearray(client["plain"])
    at = data.draw(st.integers(len(HEADER), len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    found, damage = read(bytes(content))
    whole, _ = read(client["plain"])
    assert damage is not None
    assert damage.offset <= at
    assert found == whole[: len(found)]
    assert bytes(written(*found).content) == client["plain"][: damage.offset]


@pytest.mark.parametrize(
    ("tail", "is_cut"),
    [
        (bytes(100), False),
        (b"\xff" * 100, False),
        (b"garbage, and then some more of it", False),
        (chunk(0, b"x"), False),
        (chunk(1, b"x")[:-1] + b"y", False),
        (chunk(3, b"middle of nothing"), False),
        (chunk(4, b"end of nothing"), False),
        (chunk(2, b"begun") + chunk(1, b"and another"), False),
        (chunk(2, b"begun") + chunk(2, b"begun again"), False),
        (chunk(2, b"begun"), True),
        (chunk(1, b"one more")[:-3], True),
        (b"\x01\x02\x03", True),
        (b"\x00\x00\x00\x00\xff\xff\x01" + bytes(2 * BLOCK), False),
    ],
    ids=[
        "zeros",
        "ones",
        "garbage",
        "type 0",
        "checksum",
        "middle alone",
        "last alone",
        "full within",
        "first within",
        "never ended",
        "cut",
        "part of a head",
        "longer than its block",
    ],
)
def test_what_stands_behind_the_last_whole_record_is_told(tail: bytes, is_cut: bool) -> None:
    writer = written(b"one", b"two")
    found, damage = read(bytes(writer.content) + tail)
    assert found == [b"one", b"two"]
    assert damage is not None
    assert (damage.offset, damage.is_cut) == (writer.ends[-1], is_cut)


def test_a_type_beyond_the_four_is_damage() -> None:
    _, damage = read(HEADER + b"\x00\x00\x00\x00\x01\x00\xffx")
    assert damage is not None
    assert not damage.is_cut


def test_reading_stops_at_damage_and_does_not_begin_again_at_the_next_block() -> None:
    content = written(b"a" * 100, b"b" * 100, b"c" * BLOCK, b"d").content
    content[150] ^= 1
    found, damage = read(bytes(content))
    assert (found, damage and damage.offset) == ([b"a" * 100], 114)


def test_a_claimed_length_takes_no_memory() -> None:
    content = HEADER + b"\x00\x00\x00\x00\xff\xff\x01"
    tracemalloc.start()
    found, damage = read(content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found, damage is not None) == ([], True)
    assert peak < 100_000


def test_a_record_without_end_is_given_up_at_the_longest_there_can_be(monkeypatch) -> None:
    monkeypatch.setattr(log, "MAX_RECORD", 100_000)
    content = bytes(written(b"one", bytes(200_000), b"two").content)
    found, damage = read(content)
    assert (found, damage and damage.is_cut) == ([b"one"], False)


def test_a_file_that_becomes_shorter_while_it_is_read_is_cut() -> None:
    content = bytes(written(b"one", b"two").content)
    with pytest.raises(LogDamage) as caught:
        list(records(io.BytesIO(content), len(HEADER), len(content) + 1000))
    assert caught.value.is_cut


def test_memory_is_that_of_a_block_however_long_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "long.wandb"
    path.write_bytes(bytes(written(*[bytes(1000)] * 20_000).content))
    tracemalloc.start()
    with path.open("rb") as file:
        n_records = sum(1 for _ in records(file, len(HEADER), path.stat().st_size))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_records == 20_000
    assert peak < 300_000


@pytest.mark.parametrize("n_rows", [0, 10, 400, 410, 415, 420, 430, 5000])
@pytest.mark.parametrize("code", [0, 1, 255])
def test_the_end_of_a_run_is_found_without_reading_the_run(n_rows: int, code: int) -> None:
    content = bytes(run_of(losses([0.5] * n_rows), end=exit_record(code, 7)).content)
    assert end_of(io.BytesIO(content), len(content)) == (code, 7)


@pytest.mark.parametrize("left", range(12))
def test_the_end_is_found_where_it_lies_across_two_blocks(left: int) -> None:
    writer = written(run_record("r"), bytes(40_000))
    writer.add(bytes(writer.room - 7 - left))
    writer.add(exit_record(3, 5))
    writer.add(b"\n\x00")
    assert end_of(io.BytesIO(writer.content), len(writer.content)) == (3, 5)


def test_a_file_without_an_end_has_none_and_zeros_behind_the_end_do_not_hide_it() -> None:
    content = bytes(run_of(losses([1.0] * 5), end=None).content)
    assert end_of(io.BytesIO(content), len(content)) is None
    ended = bytes(run_of(losses([1.0] * 5), end=exit_record(2)).content) + bytes(500)
    assert end_of(io.BytesIO(ended), len(ended)) == (2, 0)
    assert end_of(io.BytesIO(b""), 0) is None


def test_the_head_says_who_the_run_is(client) -> None:
    def head(content: bytes):
        return head_of(io.BytesIO(content), len(content))

    plain = head(client["plain"])
    assert plain[:3] == ("plain", "my run", "proj")
    assert plain.started > 1_700_000_000_000
    # a name given later, behind a run record of four blocks
    assert head(client["big"])[:2] == ("big", "named later")
    assert head(client["plain"][:100]) == ("", "", "", 0)
    assert head(b"no log") == head(b"") == ("", "", "", 0)
    # a time that no calendar knows
    assert head(bytes(written(run_record("r", started=2**60)).content)).started == 0
