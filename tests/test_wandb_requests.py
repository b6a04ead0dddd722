"""How many requests a pass over W&B sends, and what for: counted at the server, never timed."""

from __future__ import annotations

import math

import pytest

from dqi_tracking.trackers.wandb.artifacts import REQUESTS_AN_ARTIFACT
from dqi_tracking.trackers.wandb.history import REQUESTS_A_SCAN
from dqi_tracking.trackers.wandb.tracker import PAGE
from tests.wandb_requests import one_pass, seed, spread_one_score
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

N = 4
READING_A_SERIES = 3
WRITING_WITH_FILES = 8
WRITING_WITHOUT_FILES = 2
VERIFYING = 1
LOGIN = 10


@pytest.mark.parametrize("keys", [("loss",), ("loss", "grad_norm")], ids=["one", "two"])
def test_reading_sends_three_requests_a_series(
    wandb_server: WandbServer, keys: tuple[str, ...]
) -> None:
    seed(wandb_server, N, *keys)
    report, counts = one_pass(wandb_server, artifact=False, files=False)
    assert report.counts == {"scored": N}
    assert counts["reading"] == N * len(keys) * READING_A_SERIES
    assert REQUESTS_A_SCAN == READING_A_SERIES


def test_a_metric_that_is_not_read_costs_nothing(wandb_server: WandbServer) -> None:
    seed(wandb_server, N, "loss", "val_acc", "lr", "accuracy")
    assert one_pass(wandb_server, artifact=False)[1]["reading"] == N * READING_A_SERIES


def test_one_validation_loss_is_read_of_however_many(wandb_server: WandbServer) -> None:
    seed(wandb_server, N, "loss", *(f"eval/{name}/loss" for name in ("c4", "wiki", "code", "qa")))
    assert one_pass(wandb_server, artifact=False)[1]["reading"] == 2 * N * READING_A_SERIES


def test_writing_sends_two_requests_without_files_and_one_at_the_end(
    wandb_server: WandbServer,
) -> None:
    seed(wandb_server, N)
    _, counts = one_pass(wandb_server, files=False)
    assert counts.keys() == {"login", "listing", "reading", "summary"}
    assert counts["summary"] <= N * WRITING_WITHOUT_FILES + VERIFYING


def test_writing_sends_eight_requests_at_most_with_both_files(wandb_server: WandbServer) -> None:
    seed(wandb_server, N)
    _, counts = one_pass(wandb_server, artifact=False)
    assert counts.keys() == {"login", "listing", "reading", "files", "summary"}
    assert counts["summary"] + counts["files"] <= N * WRITING_WITH_FILES + VERIFYING
    assert wandb_server.counts["storage", "PUT"] == 2 * N


def test_the_artifact_comes_on_top_and_no_upload_is_sent_twice(wandb_server: WandbServer) -> None:
    seed(wandb_server, N)
    without = one_pass(wandb_server, artifact=False)[1]
    wandb_server.reset()
    seed(wandb_server, N)
    _, counts = one_pass(wandb_server)
    for part in ("listing", "reading", "files", "summary"):
        assert counts[part] == without[part], part
    assert counts["artifact"] == N * REQUESTS_AN_ARTIFACT
    uploads = [r.path for r in wandb_server.seen if (r.kind, r.method) == ("storage", "PUT")]
    assert len(set(uploads)) == len(uploads)
    assert wandb_server.counts["mutation", "CommitArtifact"] == N


def test_what_is_sent_once_a_pass_is_not_sent_for_each_run(wandb_server: WandbServer) -> None:
    n_runs = 3 * LOGIN
    seed(wandb_server, n_runs)
    report, counts = one_pass(wandb_server)
    assert report.counts == {"scored": n_runs}
    assert counts["listing"] == 1
    # the client's parts log in and ask for the server's features, some of them at the same time
    assert counts["login"] <= LOGIN
    assert wandb_server.counts["query", "RunResumeStatus"] == 1


@pytest.mark.parametrize("n_runs", [1, PAGE, 2 * PAGE + 5])
def test_a_second_pass_asks_for_the_pages_and_writes_nothing(
    wandb_server: WandbServer, n_runs: int
) -> None:
    seed(wandb_server, n_runs)
    spread_one_score(wandb_server)
    report, counts = one_pass(wandb_server)
    assert report.counts == {"unchanged": n_runs}
    assert counts["listing"] == math.ceil(n_runs / PAGE)
    assert sum(counts.values()) <= math.ceil(n_runs / PAGE) + 3
    assert wandb_server.writes == []


def test_a_pass_after_a_real_one_reads_nothing_of_its_runs(wandb_server: WandbServer) -> None:
    seed(wandb_server, N)
    one_pass(wandb_server)
    report, counts = one_pass(wandb_server)
    assert (report.counts, counts) == ({"unchanged": N}, {"login": 1, "listing": 1})
    assert wandb_server.runs(P) == ["dqi-backfill", *(f"r{number}" for number in range(N))]
