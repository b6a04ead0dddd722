"""Histories of W&B runs come back exact, or not at all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dqi_tracking.errors import MissingMetric, ReadRejected, RunNotFound
from tests.wandb_project import ADDRESS, falling, history_of, listed, score_all, tracker_of
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


def rows_of(history) -> list[tuple[float, float]]:
    return list(zip(history.step.tolist(), history.loss.tolist(), strict=True))


class TestExact:
    def test_more_points_than_a_sample_holds(self, wandb_server: WandbServer):
        rows = falling(3_000)
        wandb_server.add_run(P, "r", history=rows)
        assert rows_of(history_of("r")) == [(row["_step"], row["loss"]) for row in rows]

    def test_ten_points_over_900_000_steps_are_one_page(self, wandb_server: WandbServer):
        rows = falling(10, spread=100_000)
        wandb_server.add_run(P, "r", history=rows)
        wandb_server.reset_counts()
        assert rows_of(history_of("r")) == [(row["_step"], row["loss"]) for row in rows]
        assert wandb_server.counts["query", "SampledHistoryPage"] == 1

    @pytest.mark.parametrize("exported", [25, True])
    def test_live_and_exported_rows(self, wandb_server: WandbServer, exported: int | bool):
        rows = falling(50)
        wandb_server.add_run(P, "r", history=rows, exported=exported)
        assert rows_of(history_of("r")) == [(row["_step"], row["loss"]) for row in rows]

    def test_a_run_of_another_server_with_the_same_name_is_another(self, wandb_server: WandbServer):
        # the client's cache names an export by run, not by server and not by version
        wandb_server.add_run(P, "r", history=falling(50), exported=True)
        assert history_of("r").loss[0] == falling(50)[0]["loss"]
        wandb_server.reset()
        wandb_server.add_run(P, "r", history=[{"loss": 2.0}] * 50, exported=True)
        assert set(history_of("r").loss.tolist()) == {2.0}

    def test_a_series_logged_now_and_then(self, wandb_server: WandbServer):
        rows = [{"lr": 0.1} | ({"loss": 1 / (i + 1)} if i % 10 == 0 else {}) for i in range(200)]
        for exported in (0, 120):
            wandb_server.add_run(P, "r", history=rows, exported=exported)
            history = history_of("r")
            assert history.step.tolist() == list(range(0, 200, 10))

    @pytest.mark.parametrize("exported", [0, True])
    def test_numbers_of_every_kind(self, wandb_server: WandbServer, exported: int | bool):
        values = [1, 2.0, 0.1, 1e-310, 1e308, -3.5, math.nan, math.inf, -math.inf, 7]
        wandb_server.add_run(P, "r", history=[{"loss": one} for one in values], exported=exported)
        np.testing.assert_array_equal(history_of("r").loss, values)

    def test_steps_logged_twice_stay_in_order(self, wandb_server: WandbServer):
        rows = [{"_step": step, "loss": i} for i, step in enumerate([0, 1, 2, 1, 2, 3])]
        wandb_server.add_run(P, "r", history=rows)
        history = history_of("r")
        assert dict(rows_of(history)) == {0: 0, 1: 3, 2: 4, 3: 5}
        assert history.step.size == 6

    @pytest.mark.parametrize(("exported", "form"), [(0, "struct"), (30, "struct"), (True, "flat")])
    def test_nested_dictionaries(self, wandb_server: WandbServer, exported: int | bool, form: str):
        wandb_server.behaviour.parquet_nested = form
        rows = [{"train": {"loss": row["loss"]}, "x": 1} for row in falling(50)]
        wandb_server.add_run(P, "r", history=rows, exported=exported)
        history = history_of("r")
        assert history.loss_key == "train.loss"
        assert history.loss.tolist() == [row["train"]["loss"] for row in rows]


class TestNotExact:
    def test_lost_rows_are_a_failure(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "r", history=falling(50))
        live = wandb_server.live(P, "r")
        whole, cut = list(live.history), live.history[:30]
        (ref,) = listed()
        for operation in ("SampledHistoryPage", "HistoryPage"):
            wandb_server.before(operation, lambda: setattr(live, "history", cut), times=None)
        wandb_server.before("Runs", lambda: setattr(live, "history", whole), times=None)
        with tracker_of() as tracker:
            (reading,) = tracker.read([ref])
        assert isinstance(reading.error, ReadRejected)
        assert "30 of 50 points" in str(reading.error)

    def test_nested_steps_too_far_apart_are_refused_rather_than_asked_for_a_thousand_times(
        self, wandb_server: WandbServer
    ):
        rows = [{"_step": n * 10**12, "train": {"loss": 1 / (n + 1)}} for n in range(12)]
        wandb_server.add_run(P, "r", history=rows, exported=6)
        wandb_server.reset_counts()
        with pytest.raises(ReadRejected, match="requests") as caught:
            history_of("r")
        assert "nesting" in caught.value.fix
        assert len(wandb_server.requests) < 50

    def test_a_run_whose_metrics_are_not_named(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "r", history=falling(50), history_keys_null=True)
        report = score_all()
        assert report.counts == {"failed": 1}
        assert "names none of its metrics" in report.failures[0].reason
        assert report.failures[0].fix

    def test_a_run_without_any_row_is_skipped(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "r", history=[])
        assert score_all().counts == {"skipped": 1}

    def test_text_is_no_number(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "r", history=[{"loss": 1}, {"loss": "diverged"}])
        with pytest.raises(ReadRejected, match="step 1: 'diverged'") as caught:
            history_of("r")
        assert caught.value.run == "r"

    def test_a_chosen_metric_that_was_not_logged(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "r", history=falling(50))
        with pytest.raises(MissingMetric):
            history_of("r", loss_key="mine")

    def test_a_run_that_is_deleted_before_it_is_read(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "r", history=falling(50))
        wandb_server.add_run(P, "s", history=falling(50))
        with tracker_of(ADDRESS) as tracker:
            refs = listed()
            wandb_server.delete_run(P, "r")
            gone, there = sorted(tracker.read(refs), key=lambda reading: reading.ref.run_id)
        assert isinstance(gone.error, RunNotFound)
        assert there.found().step.size == 50

    def test_a_run_that_grows_while_it_is_read(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "r", history=falling(50))
        live = wandb_server.live(P, "r")
        more = {"_step": 50, "loss": 0.5}
        wandb_server.before("RunHistoryKeys", lambda: live.history.append(more))
        assert history_of("r").step.size == 51
