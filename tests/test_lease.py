"""Who may backfill: what overlaps, which process lives, and exactly one of those that ask."""

from __future__ import annotations

import multiprocessing
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from dqi_tracking.backfill.lease import STALE, Moment, Sign, now
from dqi_tracking.backfill.ledger import Ledger
from dqi_tracking.backfill.recording import Recording, recorded
from dqi_tracking.backfill.scope import Scope, scope_of
from dqi_tracking.backfill.status import Status, status_of
from dqi_tracking.config import load_settings
from dqi_tracking.errors import LeaseHeld

ROUNDS, RIVALS = 40, 3
ALL = Scope("store")


def scope(address: str, uri: str | None = None) -> Scope:
    return scope_of(address, load_settings(tracking_uri=uri))


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("mlflow:a", "mlflow:a", True),
        ("mlflow:a", "mlflow:b", False),
        ("mlflow:", "mlflow:b", True),
        ("mlflow:a", "mlflow:7", True),
        ("mlflow:8", "mlflow:7", False),
        ("mlflow:a", "runs:/1f", True),
        ("mlflow:", "runs:/1f", True),
        ("runs:/2f", "runs:/1f", False),
        ("runs:/1f/", "runs:/1f", True),
        ("wandb:e/p", "wandb:e/p", True),
        ("wandb:e/p", "wandb:e/p/r", True),
        ("wandb:e/p/r", "wandb:e/p/runs/r", True),
        ("wandb:e/p/r", "wandb:e/p/s", False),
        ("wandb:e/p", "wandb:e/q", False),
        ("wandb:e/p", "mlflow:", False),
        ("wandb", "./wandb/offline-run-1", True),
        ("wandb/offline-run-2", "wandb/offline-run-1", False),
        ("wandb", "wandb2", False),
        ("no:such", "mlflow:", False),
    ],
)
def test_two_backfills_overlap_where_a_run_may_be_of_both(
    one: str, other: str, overlap: bool
) -> None:
    assert scope(one).overlaps(scope(other)) is overlap
    assert scope(other).overlaps(scope(one)) is overlap


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://h:5000", "HTTP://H:5000/"),
        ("http://h:5000", "http://user:hunter2@h:5000"),
        ("postgresql://u:hunter2@h/db", "postgresql+psycopg://v:other@h/db"),
        ("sqlite:///runs.db", "sqlite:///./runs.db"),
        ("sqlite:///runs.db", "sqlite:////{here}/runs.db"),
        ("mlruns", "file://{here}/mlruns"),
        ("mlruns", "{here}/x/../mlruns/"),
        ("sqlite:////{here}/mlflow.db", None),
    ],
)
def test_a_store_is_the_same_however_it_is_written(
    one: str, other: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stores = [scope("mlflow:", uri and uri.format(here=tmp_path)).store for uri in (one, other)]
    assert stores[0] == stores[1]
    assert "hunter2" not in stores[0]
    # the setting, and the variables of the tracker
    monkeypatch.setenv("MLFLOW_TRACKING_URI", one.format(here=tmp_path))
    assert scope("mlflow:").store == stores[0]


def test_different_stores_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    uris = ("http://h:5000", "http://h:5001", "https://h:5000", "http://h:5000/x", "databricks")
    assert len({scope("mlflow:", uri).store for uri in (*uris, "postgresql://h/a", "a.db")}) == 7
    cloud = scope("wandb:e/p")
    monkeypatch.setenv("WANDB_BASE_URL", "http://localhost:8080")
    assert not scope("wandb:e/p").overlaps(cloud)


@pytest.mark.parametrize("address", ["", ":", "wandb:", "runs:/", "~nobody-at-all/x", "a\x00b"])
def test_any_address_covers_itself(address: str) -> None:
    assert scope(address).overlaps(scope(address))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that does nothing until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        yield process
        process.kill()


def sign_of(pid: int, *, at: Moment | None = None, host: str = "") -> Sign:
    own = Path(f"/proc/{pid}/stat")
    born = own.read_text().rpartition(")")[2].split()[19] if own.exists() else ""
    return Sign(pid, born, host or platform.node(), at or now())


def test_a_killed_process_is_dead_before_and_after_its_parent_looks(
    sleeper: subprocess.Popen[bytes],
) -> None:
    sign = sign_of(sleeper.pid)
    assert sign.is_alive(now())
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not sign.is_alive(now())
    sleeper.wait()
    assert not sign.is_alive(now())


def test_a_later_process_with_the_same_number_is_another_one() -> None:
    at = now()
    mine = Sign.of_this_process(at)
    assert mine.is_alive(at)
    if mine.born:
        assert not Sign(mine.pid, "1", mine.host, at).is_alive(at)
    # what no system counts up to
    assert not Sign(2**22 + 1, "", mine.host, at).is_alive(at)


@pytest.mark.parametrize(
    ("wall", "steady", "here", "elsewhere"),
    [
        (0, 0.0, True, True),
        (5_000, 5.0, True, True),
        (0, STALE + 1, False, True),
        (int(STALE + 1) * 1000, 5.0, True, False),
        # the clock on the wall was set back, or the machine started again
        (-3_600_000, 5.0, True, False),
        (5_000, -STALE - 1, False, True),
        # signs may be written by one processor and looked at by another
        (-1, -0.001, True, True),
    ],
)
def test_a_sign_of_this_machine_ages_by_the_clock_that_nobody_sets(
    wall: int, steady: float, here: bool, elsewhere: bool
) -> None:
    at = now()
    later = Moment(at.wall + wall, at.steady + steady)
    assert Sign.of_this_process(at).is_alive(later) is here
    assert Sign(1, "", "another-machine", at).is_alive(later) is elsewhere


class Machine:
    """A ledger, and recordings in it that end with the test."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        self.ledger = Ledger(folder, self.told.append)
        self.stop = threading.Event()

    def recording(
        self, scope: Scope = ALL, *, clock: Callable[[], Moment] = now, address: str = "a:"
    ) -> Recording:
        return Recording(self.ledger, scope, address, self.stop, clock)

    def status(self, scope: Scope = ALL) -> Status:
        return status_of(self.ledger, scope, now())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_second_has_to_stand_back_until_the_first_has_ended(machine: Machine) -> None:
    first = machine.recording(Scope("store", "experiment", "e"), address="mlflow:e")
    first.begin()
    with pytest.raises(LeaseHeld) as refusal:
        machine.recording().begin()
    message, fix = refusal.value.message, refusal.value.fix
    assert f"pid {os.getpid()} since 2" in message
    assert "`mlflow:e`" in message
    assert "dqi backfill mlflow:e --status" in fix
    assert f"kill {os.getpid()}" in fix
    elsewhere = machine.recording(Scope("store", "experiment", "f"))
    elsewhere.begin()
    elsewhere.end("done")
    first.end("done")
    last = machine.recording()
    last.begin()
    last.end("done")
    assert [each.state for each in machine.status().passes] == ["done"] * 3


def test_one_that_gives_no_sign_is_taken_over_and_stops(machine: Machine) -> None:
    later = now()._replace(steady=now().steady + STALE + 1)
    second = machine.recording(clock=lambda: later)

    def first_pass() -> None:
        with recorded(machine.recording(), machine.stop):
            second.begin()
            second._clock = now
            second._write()
            # the next sign of the first finds the other one
            assert machine.stop.wait(30)

    with pytest.raises(LeaseHeld, match="at work"):
        first_pass()
    assert [each.state for each in machine.status().passes] == ["running", "stopped"]
    second.end("done")


@pytest.mark.parametrize("state", ["done", "stopped", "failed"])
def test_a_lease_that_was_lost_with_the_ledger_is_taken_again(machine: Machine, state: str) -> None:
    first = machine.recording()
    first.begin()
    machine.ledger.path.unlink()
    first._write()
    with pytest.raises(LeaseHeld):
        machine.recording().begin()
    machine.ledger.path.unlink()
    first.end(state)
    assert [each.state for each in machine.status().passes] == [state]
    assert machine.told == []


def test_without_a_ledger_there_is_no_lease_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine = Machine(tmp_path / "file")
    both = machine.recording(), machine.recording()
    for each in both:
        each.begin()
    for each in both:
        each.end("done")
    assert len(machine.told) == 1


def compete(folder: Path, barrier: Barrier, won: multiprocessing.SimpleQueue[tuple[int, bool]]):
    """Ask for the lease in the same instant as the others, in a round after the other."""
    for number in range(ROUNDS):
        path = folder / str(number)
        asking = Recording(Ledger(path, lambda line: None), ALL, "a:", threading.Event())
        barrier.wait()
        try:
            asking.begin()
        except LeaseHeld:
            has_it = False
        else:
            has_it = True
        won.put((number, has_it))
        barrier.wait()
        if has_it:
            asking.end("done")


def test_of_several_that_start_in_the_same_instant_exactly_one_begins(tmp_path: Path) -> None:
    # an odd round finds a broken ledger, which each of them wants to begin anew
    for number in range(1, ROUNDS, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "ledger.db").write_bytes(b"garbage" * 2_000)
    spawn = multiprocessing.get_context("spawn")
    barrier, won = spawn.Barrier(RIVALS, timeout=60), spawn.SimpleQueue()
    rivals = [spawn.Process(target=compete, args=(tmp_path, barrier, won)) for _ in range(RIVALS)]
    for rival in rivals:
        rival.start()
    told = [won.get() for _ in range(ROUNDS * RIVALS)]
    for rival in rivals:
        rival.join()
        assert rival.exitcode == 0
    assert sorted(number for number, has_it in told if has_it) == list(range(ROUNDS))
