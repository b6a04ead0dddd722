"""Reading histories with the real client: live, sampled, and exported to parquet."""

from __future__ import annotations

import math

import pytest

from tests.wandb_server.client import PATH, SERVED, P, losses, scan, wandb
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


class TestHistory:
    def test_one_key_is_three_requests(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r", history=losses(10))
        run = api.run(f"{PATH}/r")
        wandb_server.reset_counts()
        assert [row["loss"] for row in scan(run, "loss")] == [1 / (i + 1) for i in range(10)]
        expected = ["RunHistoryKeys", "RunParquetHistory", "SampledHistoryPage"]
        assert [name for _, name in wandb_server.requests] == expected

    def test_pages_are_ranges_of_steps(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r", history=losses(10, 100_000))
        run = api.run(f"{PATH}/r")
        for page, requests in ((1_000_000, 1), (100_000, 10)):
            wandb_server.reset_counts()
            assert [row["_step"] for row in scan(run, "loss", page=page)] == [
                i * 100_000 for i in range(10)
            ]
            assert wandb_server.counts["query", "SampledHistoryPage"] == requests

    def test_keys_of_all_kinds(self, wandb_server: WandbServer, api: wandb.Api):
        rows = [{"train/loss": 1.0, "a.b": 2, "nest": {"x": 3}, "odd": math.nan, "some": 1}, {}]
        wandb_server.add_run(P, "r", history=rows)
        run = api.run(f"{PATH}/r")
        for key, value in {"train/loss": 1, "a.b": 2, "nest.x": 3, "odd": "NaN"}.items():
            assert scan(run, key) == [{"_step": 0, key: value}]
        # Only rows with all of the keys.
        assert scan(run, "some", "absent") == []
        assert [sorted(row) for row in scan(run)] == [
            ["_step", "a.b", "nest", "odd", "some", "train/loss"],
            ["_step"],
        ]
        wandb_server.behaviour.nonfinite = "tokens"
        assert math.isnan(scan(run)[0]["odd"])

    @pytest.mark.parametrize("exported", [True, 6])
    def test_parquet(self, wandb_server: WandbServer, api: wandb.Api, exported: int):
        rows = [{**row, "odd": math.nan, "nest": {"x": i}} for i, row in enumerate(losses(10, 7))]
        wandb_server.add_run(P, "r", history=rows, exported=exported)
        run = api.run(f"{PATH}/r")
        wandb_server.reset_counts()
        assert [(row["_step"], row["loss"]) for row in scan(run, "loss")] == [
            (row["_step"], row["loss"]) for row in rows
        ]
        read = wandb_server.counts["storage", "GET"]
        assert read > 1
        assert {r.headers["range"][:6] for r in wandb_server.seen if r.kind == "storage"} == {
            "bytes="
        }
        live = wandb_server.counts["query", "SampledHistoryPage"]
        assert live == (0 if exported is True else 1)
        odd = [row["odd"] for row in scan(run, "odd")]
        assert all(math.isnan(float(value)) for value in odd)
        assert [row["nest"] for row in scan(run)] == [{"x": i} for i in range(10)]

    def test_rows_without_the_key(self, wandb_server: WandbServer, api: wandb.Api):
        rows = [{"a": 1.5, **({"b": 2.5} if i == 1 else {})} for i in range(3)]
        wandb_server.add_run(P, "r", history=rows)
        run = api.run(f"{PATH}/r")
        assert scan(run, "b") == [{"_step": 1, "b": 2.5}]
        wandb_server.live(P, "r").exported = 3
        # Of exported history every row comes, without a value.
        assert [row["b"] for row in scan(run, "b")] == [None, 2.5, None]

    def test_nested_keys_of_parquet(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r", history=[{"nest": {"x": i}} for i in range(3)], exported=True)
        run = api.run(f"{PATH}/r")
        # A key that is no column is lost in silence: rows come without it.
        assert scan(run, "nest.x") == [{"_step": i} for i in range(3)]
        wandb_server.reset()
        wandb_server.behaviour.parquet_nested = "flat"
        wandb_server.add_run(P, "r", history=[{"nest": {"x": i}} for i in range(3)], exported=True)
        assert [row["nest.x"] for row in scan(run, "nest.x")] == [0, 1, 2]

    def test_history_that_is_lost_in_silence(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "null", history=losses(5), history_keys_null=True)
        run = api.run(f"{PATH}/null")
        assert (run.lastHistoryStep, run.historyLineCount, scan(run, "loss")) == (-1, 5, [])
        wandb_server.add_run(P, "short", history=losses(5), line_count=9)
        run = api.run(f"{PATH}/short")
        assert (run.historyLineCount, len(scan(run, "loss"))) == (9, 5)

    def test_duplicate_steps(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r", history=[{"_step": i // 3, "loss": i} for i in range(9)])
        run = api.run(f"{PATH}/r")
        assert [row["loss"] for row in scan(run, "loss")] == list(range(9))
        wandb_server.behaviour.exact_pages = False
        assert len(scan(run, "loss")) == 3

    def test_sampled_history(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r", history=losses(2000))
        run = api.run(f"{PATH}/r")
        assert len(run.history(pandas=False)) == 500
        rows = run.history(keys=["loss"], samples=10, pandas=False)
        assert (len(rows), rows[0]["_step"], rows[-1]["_step"]) == (10, 0, 1999)
