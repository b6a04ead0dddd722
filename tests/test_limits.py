"""Pace and deadline of the calls to a far tracker."""

from __future__ import annotations

import threading
import time

import pytest

from dqi_tracking.errors import TransientTrackerError
from dqi_tracking.trackers.limits import Deadline, Pace
from tests.wandb_project import add_runs, score_all
from tests.wandb_server.client import P
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = pytest.mark.xdist_group("wandb")


class TestPace:
    def test_no_pace_is_no_wait(self):
        start = time.monotonic()
        for _ in range(10_000):
            Pace(None).wait(5)
        assert time.monotonic() - start < 5

    def test_requests_of_all_threads_share_it(self):
        pace = Pace(1_200)  # one in 50 ms
        start = time.monotonic()
        threads = [threading.Thread(target=pace.wait, args=(2,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - start >= 7 * 0.05

    def test_it_bounds_what_a_pass_sends(self, wandb_env, wandb_server: WandbServer):
        add_runs(wandb_server, "a", "b")
        wandb_server.reset_counts()
        start = time.monotonic()
        assert score_all(files=False, max_requests_per_minute=1_200).counts == {"scored": 2}
        sent = [name for kind, name in wandb_server.requests if kind in ("query", "mutation")]
        assert len(sent) >= 10
        # the login is sent before there is anything to pace
        assert time.monotonic() - start >= (len(sent) - 2) * 0.05

    def test_slowness_is_no_lateness(self, wandb_env, wandb_server: WandbServer):
        add_runs(wandb_server, "a")
        report = score_all(files=False, max_requests_per_minute=300, deadline=0.5)
        assert report.counts == {"scored": 1}
        assert "dqi" in wandb_server.run(P, "a").summary


class TestDeadline:
    def test_what_a_call_returns_or_raises_comes_through(self):
        deadline = Deadline(5, "count", "r")
        assert deadline.call(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            deadline.call(lambda: 1 // 0)

    def test_a_call_that_does_not_end_is_given_up(self):
        release = threading.Event()
        with pytest.raises(TransientTrackerError, match=r"could not wait within 0\.05 s") as caught:
            Deadline(0.05, "wait", "r").call(release.wait)
        release.set()
        assert (caught.value.run, caught.value.transient) == ("r", True)

    def test_nothing_is_begun_once_it_is_over(self):
        release, begun = threading.Event(), []
        deadline = Deadline(0.05, "wait", "r")
        with pytest.raises(TransientTrackerError):
            deadline.call(release.wait)
        with pytest.raises(TransientTrackerError):
            deadline.call(lambda: begun.append(1))
        release.set()
        assert begun == []
