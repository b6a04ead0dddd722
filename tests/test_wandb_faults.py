"""One bad answer of W&B costs one run at most, and never hangs."""

from __future__ import annotations

import time

import pytest

from dqi_tracking.errors import (
    AuthError,
    DQIError,
    ReadRejected,
    TransientTrackerError,
)
from tests.wandb_project import add_runs, failure_of, listed, score_all
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.exchange import Request
from tests.wandb_server.faults import AT_ONCE
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

READING = ("RunHistoryKeys", "RunParquetHistory", "SampledHistoryPage")
WRITING = ("CreateRunFiles", "MarkRunFilesUploaded", "UpsertBucket")
OPERATIONS = READING + WRITING


@pytest.fixture(autouse=True)
def runs(wandb_server: WandbServer) -> None:
    add_runs(wandb_server, "a", "bad", "c")


def of_bad(server: WandbServer, operation: str):
    """Match an operation on the run `bad`."""
    storage_id = server.live(P, "bad").id

    def fits(request: Request) -> bool:
        told = request.variables
        inner = told.get("input") or {}
        names = {told.get("name"), told.get("run"), told.get("runName"), inner.get("runName")}
        return request.operation == operation and ("bad" in names or storage_id == told.get("id"))

    return fits


class TestOneBadRun:
    @pytest.mark.parametrize("operation", OPERATIONS)
    @pytest.mark.parametrize(
        ("status", "transient", "words"),
        [(502, True, "502"), (429, True, "429"), (403, False, "403"), (404, False, "no such run")],
    )
    def test_stops_no_other(
        self, wandb_server: WandbServer, operation: str, status: int, transient: bool, words: str
    ):
        wandb_server.fail(of_bad(wandb_server, operation), status=status, headers=AT_ONCE)
        report = score_all()
        assert report.counts == {"scored": 2, "failed": 1}
        failure = failure_of(report)
        assert failure.ref.run_id == "bad"
        assert words in failure.reason
        assert failure.transient is transient
        assert failure.fix
        assert "dqi_fingerprint" not in wandb_server.run(P, "bad").summary
        wandb_server.clear()
        assert score_all().counts == {"unchanged": 2, "scored": 1}

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_page_in_place_of_data(self, wandb_server: WandbServer, operation: str):
        wandb_server.html(of_bad(wandb_server, operation))
        report = score_all()
        assert report.counts == {"scored": 2, "failed": 1}
        assert "WANDB_BASE_URL" in failure_of(report).fix

    @pytest.mark.parametrize("operation", READING)
    def test_a_body_cut_short(self, wandb_server: WandbServer, operation: str):
        wandb_server.cut(of_bad(wandb_server, operation))
        report = score_all()
        assert report.counts == {"scored": 2, "failed": 1}
        assert "cut off" in failure_of(report).reason

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_a_black_hole_ends_at_the_deadline(self, wandb_server: WandbServer, operation: str):
        wandb_server.hang(of_bad(wandb_server, operation))
        start = time.monotonic()
        report = score_all(deadline=0.5)
        assert report.counts == {"scored": 2, "failed": 1}
        assert "within 0.5 seconds" in failure_of(report).reason
        assert "DQI_DEADLINE" in failure_of(report).fix
        assert time.monotonic() - start < 20  # the client itself would wait for minutes

    def test_a_slow_drip_ends_at_the_deadline(self, wandb_server: WandbServer):
        wandb_server.drip(of_bad(wandb_server, "SampledHistoryPage"), size=1, interval=0.05)
        report = score_all(deadline=0.5)
        assert report.counts == {"scored": 2, "failed": 1}

    @pytest.mark.parametrize("operation", [*READING, "CreateRunFiles", "UpsertBucket"])
    def test_a_run_deleted_meanwhile(self, wandb_server: WandbServer, operation: str):
        wandb_server.before(
            of_bad(wandb_server, operation), lambda: wandb_server.delete_run(P, "bad")
        )
        report = score_all()
        assert report.counts == {"scored": 2, "failed": 1}
        assert "no such run" in failure_of(report).reason or "gone" in failure_of(report).reason

    def test_a_full_blob_store(self, wandb_server: WandbServer):
        wandb_server.fail(lambda request: request.kind == "storage", status=413)
        report = score_all()
        assert report.counts == {"failed": 3}
        assert "413" in report.failures[0].reason


class TestAllOfThem:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [(502, TransientTrackerError), (403, AuthError), (400, ReadRejected)],
    )
    def test_a_listing_that_fails(
        self, wandb_server: WandbServer, status: int, kind: type[DQIError]
    ):
        wandb_server.fail("Runs", status=status, headers=AT_ONCE)
        with pytest.raises(kind, match=str(status)) as caught:
            listed()
        assert caught.value.fix

    def test_a_listing_that_hangs(self, wandb_server: WandbServer):
        wandb_server.hang("Runs")
        with pytest.raises(TransientTrackerError, match=r"within 0\.5 seconds"):
            listed(deadline=0.5)

    def test_a_storm_that_passes_is_waited_for(self, wandb_server: WandbServer):
        for operation in ("Runs", *OPERATIONS):
            wandb_server.fail(operation, status=429, times=1, headers=AT_ONCE)
        assert score_all().counts == {"scored": 3}

    def test_a_storm_that_stays_ends_the_pass(self, wandb_server: WandbServer):
        add_runs(wandb_server, *(f"r{number}" for number in range(40)))
        wandb_server.fail("RunHistoryKeys", status=429, headers=AT_ONCE)
        wandb_server.reset_counts()
        with pytest.raises(TransientTrackerError, match="5 runs in a row failed") as caught:
            score_all()
        assert "--max-requests-per-minute" in caught.value.fix
        assert wandb_server.counts["query", "RunHistoryKeys"] <= 5 * 3  # two retries each

    def test_what_failed_is_done_by_the_next_pass(self, wandb_server: WandbServer):
        wandb_server.fail("CreateRunFiles", status=503, headers=AT_ONCE)
        assert score_all().counts == {"failed": 3}
        assert all(wandb_server.run(P, run_id).summary.keys() == {"_step", "loss"} for run_id in
                   ("a", "bad", "c"))  # fmt: skip
        wandb_server.clear()
        assert score_all().counts == {"scored": 3}
