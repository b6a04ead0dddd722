"""Listing, filtering and reading runs with the real client."""

from __future__ import annotations

import pytest

from tests.wandb_server.client import (
    PATH,
    SERVED,
    CommError,
    P,
    WandbApiFailedError,
    losses,
    names,
    wandb,
)
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


FILTERS = [
    (None, "012345"),
    ({"state": "finished"}, "135"),
    ({"state": {"$ne": "finished"}}, "024"),
    ({"tags": "keep"}, "135"),
    ({"tags": {"$in": ["even", "none"]}}, "024"),
    ({"tags": {"$nin": ["even"]}}, "135"),
    ({"summary_metrics.dqi": {"$gt": 0.1, "$lt": 0.3}}, "2"),
    ({"summary_metrics.dqi": {"$gte": 0.3}}, "3"),
    ({"summaryMetrics.val/loss": {"$lte": 0.8}}, "23"),
    ({"summary_metrics.dqi": {"$exists": False}}, "45"),
    ({"summary_metrics.dqi": {"$exists": True}}, "0123"),
    ({"summary_metrics.dqi": None}, "45"),
    ({"config.lr.value": {"$gt": 0.35}}, "45"),
    ({"config.lr": 0.1}, "1"),
    ({"config.net.value.depth": 2}, "2"),
    ({"displayName": "run 3"}, "3"),
    ({"display_name": {"$regex": "[45]$"}}, "45"),
    ({"name": {"$in": ["r1", "r4"]}}, "14"),
    ({"$or": [{"name": "r1"}, {"state": "crashed"}]}, "0124"),
    ({"$and": [{"group": "g"}, {"state": "crashed"}]}, "0"),
    ({"state": {"$not": {"$in": ["crashed"]}}}, "135"),
]


ORDERS = [
    ("+created_at", "012345"),
    ("-created_at", "543210"),
    ("+summary_metrics.dqi", "450123"),
    ("-summary_metrics.dqi", "321045"),
    ("-config.lr.value", "543210"),
    ("+heartbeat_at", "012345"),
]


class TestListing:
    @pytest.fixture(autouse=True)
    def runs(self, wandb_server: WandbServer):
        for i in range(6):
            wandb_server.add_run(
                P,
                f"r{i}",
                name=f"run {i}",
                state="finished" if i % 2 else "crashed",
                tags=["even"] if i % 2 == 0 else ["odd", "keep"],
                config={"lr": 0.1 * i, "net": {"depth": i}},
                summary={"dqi": i / 10, "val/loss": 1 - i / 10} if i < 4 else {},
                group="g" if i < 2 else None,
            )

    def test_filters(self, api: wandb.Api):
        for filters, found in FILTERS:
            runs = api.runs(PATH, filters=filters, lazy=False)
            assert names(runs) == [f"r{i}" for i in found], filters
            assert len(runs) == len(found)

    def test_ne_of_an_absent_key_may_go_either_way(self, wandb_server: WandbServer, api: wandb.Api):
        unscored = {"summary_metrics.dqi": {"$ne": 0.2}}
        assert names(api.runs(PATH, filters=unscored)) == ["r0", "r1", "r3"]
        wandb_server.behaviour.ne_matches_absent = True
        api.flush()  # it keeps listings
        assert names(api.runs(PATH, filters=unscored)) == ["r0", "r1", "r3", "r4", "r5"]

    def test_order(self, api: wandb.Api):
        for order, found in ORDERS:
            assert names(api.runs(PATH, order=order)) == [f"r{i}" for i in found], order

    def test_what_cannot_be_asked_is_refused(self, api: wandb.Api):
        for filters in ({"bogus": 1}, {"state": {"$like": "x"}}):
            with pytest.raises(WandbApiFailedError, match=r"invalid filter|unknown operator"):
                names(api.runs(PATH, filters=filters))

    def test_full_and_lazy_runs(self, wandb_server: WandbServer, api: wandb.Api):
        assert api.default_entity  # asked for once, with the first listing at the latest
        wandb_server.reset_counts()
        for run in api.runs(PATH, lazy=False):
            assert run.summary.get("dqi", -1) < 1
            assert "lr" in run.config
        assert [name for _, name in wandb_server.requests] == ["Runs"]
        api.flush()
        wandb_server.reset_counts()
        for run in api.runs(PATH, lazy=True):
            assert run.summary.get("dqi", -1) < 1
        assert [name for _, name in wandb_server.requests] == ["Runs"] + 6 * ["Run"]

    def test_pages(self, wandb_server: WandbServer, api: wandb.Api):
        for i in range(114):
            wandb_server.add_run(P, f"more{i}")
        assert api.default_entity
        wandb_server.reset_counts()
        assert len(set(names(api.runs(PATH, per_page=50, lazy=False)))) == 120
        assert [name for _, name in wandb_server.requests] == 3 * ["Runs"]
        assert wandb_server.writes == []

    def test_what_leaves_a_filter_moves_the_pages(self, wandb_server: WandbServer, api: wandb.Api):
        visited = []
        for run in api.runs(PATH, filters={"tags": {"$ne": "seen"}}, per_page=1):
            wandb_server.live(P, run.id).tags.append("seen")
            visited.append(run.id)
        assert visited == ["r0", "r2", "r4"]


class TestRun:
    def test_attributes(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r", history=losses(10, 3), config={"lr": 1}, tags=["a"], notes="n")
        run = api.run(f"{PATH}/r")
        assert (run.state, run.tags, run.notes, run.config) == ("finished", ["a"], "n", {"lr": 1})
        assert run.summary["loss"] == 0.1
        assert (run.lastHistoryStep, run.historyLineCount) == (27, 10)
        assert run.historyKeys["keys"]["loss"] == {"typeCounts": [{"type": "number", "count": 10}]}

    def test_what_is_not_there(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r")
        wandb_server.add_run("secret", "r", entity="others")
        wandb_server.add_project("secret", entity="others").private = True
        for path in (f"{PATH}/none", "team/none/r", "others/secret/r"):
            with pytest.raises(CommError, match="Could not find run"):
                api.run(path)
        for path in ("team/none", "others/secret"):
            with pytest.raises(ValueError, match="Could not find project"):
                names(api.runs(path))

    def test_others_runs_can_be_read_but_not_written(
        self, wandb_server: WandbServer, api: wandb.Api
    ):
        wandb_server.add_run("open", "r", entity="others", summary={"x": 1})
        run = api.run("others/open/r")
        assert run.read_only
        with pytest.raises(WandbApiFailedError, match="permission denied") as caught:
            run.summary.update({"dqi": 1})
        assert caught.value.response.http_status == 403

    def test_delete(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r")
        api.run(f"{PATH}/r").delete()
        assert wandb_server.runs(P) == []
