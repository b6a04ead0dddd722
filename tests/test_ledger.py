"""The ledger as a file: made, broken, locked, replaced; and what is told of it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dqi_tracking.backfill import ledger as ledger_module
from dqi_tracking.backfill.ledger import Ledger, Unusable, storable
from dqi_tracking.config import load_settings

Break = Callable[[Path], object]


def n_passes(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT COUNT(token) FROM passes").fetchone()[0])


def add_pass(connection: sqlite3.Connection) -> int:
    token = str(n_passes(connection))
    connection.execute(
        "INSERT INTO passes VALUES (NULL, ?, '', '', '', '', 1, '', '', 1, 1, 1, 1, 1, 'done', '', "
        "0, 0, 0, 0, 0)",
        (token,),
    )
    return n_passes(connection)


class Told(list[str]):
    """A ledger in a folder, and the lines that it told."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.ledger = Ledger(folder, self.append)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "state")


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to hold a header" * 400)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def statement(text: str) -> Break:
    def change(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(text)
            connection.commit()

    return change


BROKEN: dict[str, Break] = {
    "garbage": garbage,
    "half of it": half,
    "header alone": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "newer version": statement("PRAGMA user_version = 2"),
    "no version": statement("PRAGMA user_version = 0"),
    "no table": statement("DROP TABLE passes"),
    "another column": statement("ALTER TABLE passes RENAME COLUMN token TO other"),
}


def test_the_file_is_made_with_the_first_write_for_its_owner_alone(told: Told) -> None:
    assert told.ledger.read(n_passes) is None
    assert not told.ledger.path.parent.exists()
    assert [told.ledger.write(add_pass) for _ in range(2)] == [1, 2]
    assert told.ledger.read(n_passes) == 2
    assert told.ledger.path.parent.stat().st_mode & 0o777 == 0o700
    assert told == []


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_moved_aside_and_begun_anew(told: Told, kind: str) -> None:
    told.ledger.write(add_pass)
    BROKEN[kind](told.ledger.path)
    broken = told.ledger.path.read_bytes()
    with pytest.raises(Unusable):
        told.ledger.read(n_passes)
    assert told.ledger.path.read_bytes() == broken
    assert told.ledger.write(add_pass) == 1
    assert told.ledger.path.with_name("ledger.db.broken").read_bytes() == broken
    assert len(told) == 1
    assert "begun anew" in told[0]
    # another process finds a sound one
    assert Told(told.ledger.path.parent).ledger.write(add_pass) == 2


@pytest.mark.parametrize("remove", ["the file", "the folder", "its bytes", "all but one"])
def test_what_is_gone_is_made_again_without_a_word(told: Told, remove: str) -> None:
    told.ledger.write(add_pass)
    if remove in ("its bytes", "all but one"):
        told.ledger.path.write_bytes(b"S" if remove == "all but one" else b"")
    else:
        told.ledger.path.unlink()
    if remove == "the folder":
        told.ledger.path.parent.rmdir()
    assert told.ledger.write(add_pass) == 1
    assert told == []


def test_a_journal_of_the_broken_file_is_not_played_into_the_new_one(told: Told) -> None:
    told.ledger.write(add_pass)
    journal = told.ledger.path.with_name("ledger.db-journal")
    garbage(told.ledger.path)
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    assert told.ledger.write(add_pass) == 1
    assert not journal.exists()
    assert told.ledger.read(n_passes) == 1


def test_a_file_that_breaks_again_and_again_is_done_without(told: Told) -> None:
    told.ledger.write(add_pass)
    for _ in range(3):
        garbage(told.ledger.path)
        told.ledger.attempt(add_pass)
    assert ["begun anew" in line for line in told] == [True, False]
    assert "cannot be used (file is not a database)" in told[1]


def test_a_lock_that_lasts_is_told_once_and_waited_out_the_next_time(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "PATIENCE", 0.01)
    told.ledger.write(add_pass)
    with contextlib.closing(sqlite3.connect(told.ledger.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert [told.ledger.attempt(add_pass) for _ in range(2)] == [None, None]
    assert told.ledger.attempt(add_pass) == 2
    assert len(told) == 1
    assert "(database is locked): going on without" in told[0]


@pytest.mark.parametrize("kind", ["a file where its folder should be", "a folder in its place"])
def test_a_place_that_cannot_hold_it_is_told_once(told: Told, kind: str) -> None:
    if kind == "a folder in its place":
        told.ledger.path.mkdir(parents=True)
    else:
        told.ledger.path.parent.write_text("")
    assert [told.ledger.attempt(add_pass) for _ in range(2)] == [None, None]
    assert len(told) == 1
    assert str(told.ledger.path) in told[0]


def test_work_that_fails_leaves_nothing_behind(told: Told) -> None:
    def work(connection: sqlite3.Connection) -> None:
        add_pass(connection)
        raise KeyError

    with pytest.raises(KeyError):
        told.ledger.write(work)
    assert told.ledger.write(n_passes) == 0


def test_names_of_files_that_are_no_text_can_be_kept(told: Told) -> None:
    name = storable("run-\udcff\x00\x1b[31m")
    assert told.ledger.write(lambda each: each.execute("SELECT ?", (name,)).fetchone()) == (name,)
    assert storable("naïve 走") == "naïve 走"


def test_the_setting_beats_the_folder_of_the_system(
    tmp_path: Path, hermetic: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Ledger.of(load_settings(), print).path == hermetic / "state" / "dqi" / "ledger.db"
    for value, folder in ((str(tmp_path), tmp_path), ("~/mine", hermetic / "mine")):
        monkeypatch.setenv("DQI_STATE_DIR", value)
        assert Ledger.of(load_settings(), print).path == folder / "ledger.db"
    monkeypatch.setenv("DQI_STATE_DIR", "~nobody-of-this-name/mine")
    assert Ledger.of(load_settings(), print).path.name == "ledger.db"
