"""Percentiles in the summaries of W&B: what others write at the same time stays."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from dqi_tracking.names import COHORT_FACTS, KEY_OF_FACT, STANDING
from dqi_tracking.types import Stamp
from tests.wandb_project import ADDRESS, falling, listed, score_all, tracker_of
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

OURS = (*STANDING[:2], *(KEY_OF_FACT[fact] for fact in COHORT_FACTS))


@pytest.fixture(autouse=True)
def percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each backfill write percentiles."""
    monkeypatch.setenv("DQI_PERCENTILES", "true")


def fill(server: WandbServer, number: int = 8) -> list[str]:
    runs = [f"r{n}" for n in range(number)]
    for n, run in enumerate(runs):
        rows = [row | {"loss": row["loss"] * (1 + n / 9)} for row in falling(40 + n)]
        server.add_run(P, run, history=rows, config={"optimizer": {"name": "adam", "lr": n}})
    return runs


def summary(server: WandbServer, run: str) -> dict[str, Any]:
    return dict(server.run(P, run).summary)


def test_four_jobs_rank_as_one_does_and_nothing_is_put_back_over_it(
    wandb_env: object, wandb_server: WandbServer
) -> None:
    runs = fill(wandb_server, 16)
    score_all(jobs=4, files=False)
    for run in runs:
        told = summary(wandb_server, run)
        assert [key for key in OURS if key in told] == list(OURS)
    percentiles = sorted(summary(wandb_server, run)["dqi_percentile"] for run in runs)
    assert Counter(percentiles).total() == 16
    assert sum(percentiles) / 16 == 50
    assert {summary(wandb_server, run)["dqi_cohort_size"] for run in runs} == {"16"}
    writes = len(wandb_server.writes)
    report = score_all(jobs=4, files=False)
    assert (report.counts, len(wandb_server.writes)) == ({"unchanged": 16}, writes)


def test_what_a_person_writes_meanwhile_stays_and_a_newer_score_is_left_alone(
    wandb_env: object, wandb_server: WandbServer
) -> None:
    runs = fill(wandb_server)
    score_all(files=False)
    refs = {ref.run_id: ref for ref in listed()}
    change = Stamp({"dqi_percentile": 1.0}, {"cohort": "mine"})
    wandb_server.live(P, runs[0]).summary["note"] = "of a person"
    wandb_server.live(P, runs[1]).summary["dqi_fingerprint"] = "another-score"
    before = summary(wandb_server, runs[1])
    with tracker_of(ADDRESS) as tracker:
        tracker.amend(refs[runs[0]], change)
        tracker.amend(refs[runs[1]], change)
    told = summary(wandb_server, runs[0])
    assert (told["note"], told["dqi_percentile"], told["dqi_cohort"]) == ("of a person", 1, "mine")
    assert told["dqi_cohort_size"] == "8"
    assert summary(wandb_server, runs[1]) == before
