"""`--every`: turns, jitter, long passes, errors and stops, on a clock that the test moves."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.backfill.schedule import (
    LONGEST,
    NAP,
    SHORTEST,
    PassStop,
    repeat,
    until_next,
)
from dqi_tracking.errors import AuthError, ConfigError, LeaseHeld, TransientTrackerError
from tests.strategies import FEW

NOON = datetime(2026, 3, 1, 12)
LINE = re.compile(r"(2026-03-\d\d \d\d:\d\d:\d\d) (pass (\d+): .*|stopped between two passes)")


class Day:
    """A clock and a time of day that only sleeping and working move.

    `work` is the length of each pass in seconds, or the error that ends it; the last one counts for
    all that follow. After as many passes as `until`, a stop is asked for: while it works, or `rest`
    seconds later.
    """

    def __init__(
        self,
        work: Sequence[float | Exception] = (1.0,),
        *,
        until: int = 3,
        rest: float | None = None,
        nap: float = NAP,
    ) -> None:
        self.seconds = 1_000.0
        self.stop = Event()
        self.begun: list[float] = []
        self.lines: list[str] = []
        self._work = work
        self._until = until
        self._rest = rest
        self._nap = nap
        self._deadline = float("inf")

    def one_pass(self, stop: Event) -> str:
        assert not stop.is_set()
        n = len(self.begun)
        self.begun.append(self.seconds)
        work = self._work[min(n, len(self._work) - 1)]
        self.seconds += 0.5 if isinstance(work, Exception) else work
        if n + 1 == self._until:
            self._deadline = self.seconds + (self._rest or 0)
            if self._rest is None:
                self.stop.set()
                assert stop.is_set()
        if isinstance(work, Exception):
            raise work
        return f"{n + 1} scored"

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= NAP
        # a coarse clock: what is asked for at least, as a suspended or busy machine does
        self.seconds += max(seconds, self._nap)
        if self.seconds >= self._deadline:
            self.stop.set()

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1_000)

    def run(self, seconds: float, draw: Callable[[], float] = lambda: 0.5, **given: object) -> int:
        return repeat(
            seconds,
            self.one_pass,
            self.stop,
            tell=self.lines.append,
            clock=lambda: self.seconds,
            sleep=self.sleep,
            now=self.now,
            draw=draw,
            **given,
        )

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.begun, self.begun[1:], strict=False)]


@given(st.floats(SHORTEST, LONGEST), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_the_jitter_stays_within_its_part_of_the_interval(
    seconds: float, jitter: float, drawn: float
) -> None:
    found = until_next(seconds, jitter, drawn)
    slack = 1e-9 * seconds
    assert (1 - jitter) * seconds - slack <= found <= (1 + jitter) * seconds + slack
    # drawn evenly, the interval is the mean
    assert (found + until_next(seconds, jitter, 1 - drawn)) / 2 == pytest.approx(seconds)


def test_jitter_moves_turns_apart() -> None:
    draws = iter((0.0, 0.5, 1.0))
    day = Day(until=4)
    assert day.run(100, lambda: next(draws, 0.5), jitter=0.1) == 4
    assert day.gaps == pytest.approx([90, 100, 110], abs=NAP)
    assert len({until_next(100, 0.1, i / 10) for i in range(10)}) == 10


@FEW
@given(st.lists(st.floats(0, 300), min_size=1, max_size=6), st.floats(0, 0.9), st.data())
def test_for_any_lengths_passes_never_overlap_and_missed_turns_are_not_made_up(
    work: list[float], jitter: float, data: st.DataObject
) -> None:
    day = Day(work, until=len(work), nap=0.2)
    assert day.run(60, lambda: data.draw(st.floats(0, 1)), jitter=jitter) == len(work)
    for length, gap in zip(work, day.gaps, strict=False):
        # at its turn, or as soon as the pass before has ended
        assert gap >= length - 1e-6
        assert max(length, 60 * (1 - jitter)) - 1e-6 <= gap
        assert gap <= max(length, 60 * (1 + jitter)) + 0.2 + 1e-6


def test_a_pass_longer_than_its_turn_is_followed_at_once_by_one() -> None:
    day = Day([1_000.0, 1.0], until=4)
    day.run(60)
    # sixteen turns were missed, and the beat starts anew
    assert day.gaps == pytest.approx([1_000, 60, 60], abs=0.1)
    assert "pass 1: 1 scored; took longer than its turn, next at once" in day.lines[0]
    assert "took longer" not in "".join(day.lines[1:])


def test_a_machine_that_slept_through_many_turns_does_one_pass() -> None:
    day = Day(until=3, nap=100_000.0)
    day.run(60)
    assert day.gaps == [100_001, 100_001]


def test_the_time_of_day_may_be_set_back() -> None:
    day = Day(until=3)
    times = iter([NOON, NOON, NOON - timedelta(hours=2)])
    day.now = lambda: next(times, NOON - timedelta(hours=5))
    day.run(60)
    assert day.gaps == pytest.approx([60, 60], abs=NAP)


def test_each_line_says_what_was_done_and_when_the_next_pass_starts() -> None:
    day = Day([2.0, 120.0, 3.0], until=3, rest=10)
    assert day.run(60) == 3
    assert day.lines == [
        "2026-03-01 12:00:02 pass 1: 1 scored; next at 12:01:00",
        "2026-03-01 12:03:00 pass 2: 2 scored; took longer than its turn, next at once",
        "2026-03-01 12:03:03 pass 3: 3 scored; next at 12:04:00",
        "2026-03-01 12:03:13 stopped between two passes",
    ]
    assert all(LINE.fullmatch(line) for line in day.lines)


def test_a_turn_of_another_day_is_told_with_its_date() -> None:
    day = Day(until=1, rest=5)
    day.run(86_400)
    assert day.lines[0].endswith("pass 1: 1 scored; next at 2026-03-02 12:00:00")


def test_a_stop_while_working_ends_after_the_pass_without_waiting() -> None:
    day = Day([5.0], until=2)
    assert day.run(60) == 2
    assert day.seconds == pytest.approx(1_000 + 60 + 5, abs=NAP)
    assert day.lines[-1] == "2026-03-01 12:01:05 pass 2: 2 scored"


def test_a_stop_while_waiting_is_seen_within_a_nap() -> None:
    day = Day([5.0], until=1, rest=700)
    assert day.run(3_600) == 1
    assert day.seconds == pytest.approx(1_000 + 5 + 700, abs=NAP)


def test_a_stop_before_the_first_pass_does_nothing() -> None:
    day = Day()
    day.stop.set()
    assert day.run(60) == 0
    assert (day.begun, day.lines) == ([], [])


def test_a_server_that_is_down_or_a_held_lease_is_told_and_tried_again_at_the_next_turn() -> None:
    down = TransientTrackerError("connection refused", fix="check that it is up")
    held = LeaseHeld("another backfill is at work: pid 7", fix="wait")
    day = Day([1.0, down, held, AuthError("key refused", fix="log in"), 1.0], until=5)
    assert day.run(60) == 5
    assert day.gaps == pytest.approx([60] * 4, abs=0.1)
    assert [re.sub(r"; next.*", "", line)[20:] for line in day.lines] == [
        "pass 1: 1 scored",
        "pass 2: failed: connection refused (fix: check that it is up)",
        "pass 3: failed: another backfill is at work: pid 7 (fix: wait)",
        "pass 4: failed: key refused (fix: log in)",
        "pass 5: 5 scored",
    ]


@pytest.mark.parametrize("error", [ConfigError("no such filter", fix="x"), ValueError("a bug")])
def test_what_no_waiting_mends_ends_it_at_once(error: Exception) -> None:
    day = Day([1.0, error], until=9)
    with pytest.raises(type(error)) as caught:
        day.run(60)
    assert caught.value is error
    assert len(day.begun) == 2


def test_the_caller_says_which_errors_are_waited_out() -> None:
    day = Day([LeaseHeld("held", fix="wait"), 1.0], until=2)
    with pytest.raises(LeaseHeld):
        day.run(60, passing=(TransientTrackerError,))


def test_a_pass_that_stops_itself_stops_no_later_one() -> None:
    seen: list[bool] = []
    stop = Event()

    def one_pass(mine: Event) -> str:
        seen.append(mine.is_set())
        mine.set()
        assert mine.is_set()
        if len(seen) == 3:
            stop.set()
        return "done"

    moment = [0.0]

    def sleep(seconds: float) -> None:
        moment[0] += seconds

    n = repeat(10, one_pass, stop, tell=lambda _: None, clock=lambda: moment[0], sleep=sleep)
    assert (n, seen) == (3, [False] * 3)


def test_the_stop_of_a_pass_is_seen_from_other_threads() -> None:
    whole = Event()
    mine = PassStop(whole)
    found: list[bool] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: found.append(mine.is_set()))
        thread.start()
        thread.join()
        whole.set()
    assert found == [False, True]
    assert not PassStop(Event()).is_set()
