"""Runs trained online by the real client, with the names that W&B's users log under."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from dqi_tracking import MissingMetric, Query
from dqi_tracking.trackers.summary import KEYS
from tests.wandb_project import history_of, score_all
from tests.wandb_server.client import SERVED, P, wait_for, wandb
from tests.wandb_server.history import plain
from tests.wandb_server.server import WandbServer
from tests.wandb_training import Row, hugging_face, keras, lightning, pairs, train, value

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

NAN, INF = math.nan, math.inf


def signal_of(server: WandbServer, run_id: str = "r") -> str:
    """Score the project, and return what the run says was read of it."""
    assert score_all().failures == []
    return server.run(P, run_id).summary["dqi_signal"]


PARTS = ("train/box_loss", "train/cls_loss", "train/dfl_loss")
FASTAI = [
    {"train_loss": value(n), "raw_loss": 7.0, "epoch": n / 10, "lr_0": 0.1, "momentum_0": 0.9}
    for n in range(30)
]
NESTED = [{"train": {"loss": value(n), "acc": 0.5}, "val": {"loss": 9.0}} for n in range(20)]
YOLO = [
    {**{name: value(n) * (p + 1) for p, name in enumerate(PARTS)}, "val/box_loss": 9.0, "lr/pg0": 1}
    for n in range(12)
]
FRAMEWORKS: dict[str, tuple[Sequence[Row], str]] = {
    "HF Trainer": (hugging_face(), "train/loss"),
    "Keras": (keras(), "batch/loss"),
    "Lightning": (lightning(), "train_loss_step"),
    "fastai": (FASTAI, "train_loss"),
    "a dot in the name": (
        [{"train.loss": value(n), "val.loss": 9.0} for n in range(9)],
        "train.loss",
    ),
    "NeMo": (
        [{"reduced_train_loss": value(n), "val_loss": 9.0} for n in range(9)],
        "reduced_train_loss",
    ),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_loss_is_found_and_read_at_the_steps_of_the_rows(
    wandb_server: WandbServer, framework: str
) -> None:
    rows, key = FRAMEWORKS[framework]
    train(rows)
    history = history_of("r")
    assert pairs(history) == [(n, row[key]) for n, row in enumerate(rows) if key in row]
    assert history.loss_key == key
    assert signal_of(wandb_server) == key


def test_losses_in_nested_dictionaries_are_named_by_a_dot(wandb_server: WandbServer) -> None:
    train(NESTED)
    history = history_of("r")
    assert pairs(history) == [(n, value(n)) for n in range(20)]
    assert signal_of(wandb_server) == history.loss_key == "train.loss"


def test_parts_of_a_loss_are_added(wandb_server: WandbServer) -> None:
    train(YOLO)
    total = [(n, row[PARTS[0]] + row[PARTS[1]] + row[PARTS[2]]) for n, row in enumerate(YOLO)]
    assert pairs(history_of("r")) == total
    assert signal_of(wandb_server) == " + ".join(PARTS)


@pytest.mark.parametrize("exported", [True, 12, 0], ids=["exported", "in part", "live"])
@pytest.mark.parametrize("form", ["struct", "flat"])
def test_nested_losses_are_read_out_of_an_export(
    wandb_server: WandbServer, exported: int | bool, form: str
) -> None:
    wandb_server.behaviour.parquet_nested = form
    rows = [*NESTED, {"val": {"loss": 1.0}}, {"train": {"loss": NAN}}, {"train": {"loss": 0.25}}]
    wandb_server.add_run(P, "r", history=rows, exported=exported)
    found = pairs(history_of("r"))
    wanted = [*((n, value(n)) for n in range(20)), (21, NAN), (22, 0.25)]
    assert np.array_equal(found, wanted, equal_nan=True)
    assert signal_of(wandb_server) == "train.loss"


def test_a_gradient_norm_is_read_where_there_is_no_loss(wandb_server: WandbServer) -> None:
    train(
        {
            "train/grad_norm": 2.0 + value(n),
            "eval/loss": 9.0,
            # as `wandb.watch` logs them
            "gradients/layer.weight": wandb.Histogram([n, n + 1.0]),
            "parameters/layer.weight": wandb.Histogram([1.0, 2.0]),
        }
        for n in range(12)
    )
    history = history_of("r")
    assert history.loss is None
    assert pairs(history) == [(n, 2.0 + value(n)) for n in range(12)]
    assert signal_of(wandb_server) == "train/grad_norm"


def test_media_under_the_name_of_a_loss_are_passed_over(wandb_server: WandbServer) -> None:
    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    rows = [
        {
            "loss": wandb.Histogram([1.0, 2.0]),
            "my_loss": wandb.Table(columns=["loss"], data=[[n]]),
            "batch/loss": wandb.Image(pixels),
            "train/loss": wandb.Html(f"<p>{n}</p>"),
            "text_loss": "falling",
            "training/loss": value(n),
        }
        for n in range(4)
    ]
    train(rows)
    before = wandb_server.run(P, "r").summary
    assert pairs(history_of("r")) == [(n, value(n)) for n in range(4)]
    assert signal_of(wandb_server) == "training/loss"
    after = wandb_server.run(P, "r").summary
    assert {key: after[key] for key in after if key not in KEYS} == before


def test_what_is_not_finite_is_read_as_it_was_logged(wandb_server: WandbServer) -> None:
    logged = [3.0, NAN, 2.0, INF, 1.0, -INF, 0.5]
    train({"train": {"loss": loss}, "lr": NAN} for loss in logged)
    before = plain(wandb_server.run(P, "r").summary)
    found = history_of("r")
    assert np.array_equal(found.loss, logged, equal_nan=True)
    assert found.step.tolist() == list(range(7))
    assert signal_of(wandb_server) == "train.loss"
    after = plain(wandb_server.run(P, "r").summary)
    assert (after["dqi_status"], "dqi" in after) == ("nan", False)
    assert {key: after[key] for key in after if key not in KEYS} == before


def test_a_loss_that_is_logged_now_and_then_comes_whole(wandb_server: WandbServer) -> None:
    rows = [{"lr": 0.1, **({"loss": value(n)} if n % 100 == 0 else {})} for n in range(3_000)]
    train(rows)
    wandb_server.reset_counts()
    assert pairs(history_of("r")) == [(n, value(n)) for n in range(0, 3_000, 100)]
    assert wandb_server.counts["query", "SampledHistoryPage"] == 1
    assert signal_of(wandb_server) == "loss"


def test_a_summary_that_define_metric_made_stays(wandb_server: WandbServer) -> None:
    ways = {
        "loss": {"summary": "min,max,last"},
        "acc": {"summary": "none"},
        "a.b": {"summary": "max"},
    }
    rows = ({"loss": value(n), "acc": 0.5, "a.b": n, "deep": {"x": {"y": n}}} for n in range(9))
    train(rows, metrics=ways)
    before = wandb_server.run(P, "r").summary
    assert isinstance(before["loss"], dict)
    assert signal_of(wandb_server) == "loss"
    after = wandb_server.run(P, "r").summary
    assert {key: after[key] for key in after if key not in KEYS} == before


@pytest.mark.parametrize("told", ["strings", "tokens"])
@pytest.mark.parametrize("how", ["nested", "defined"])
def test_a_diverged_run_is_scored_and_its_summary_stays(
    wandb_server: WandbServer, told: str, how: str
) -> None:
    wandb_server.behaviour.nonfinite = told
    logged = [3.0, INF, 2.0, NAN]
    if how == "nested":
        train({"train": {"loss": loss}} for loss in logged)
    else:
        train(({"loss": loss} for loss in logged), metrics={"loss": {"summary": "min,max,last"}})
    before = plain(wandb_server.run(P, "r").summary)
    assert "NaN" in str(before)
    assert signal_of(wandb_server) == ("train.loss" if how == "nested" else "loss")
    after = plain(wandb_server.run(P, "r").summary)
    assert {key: after[key] for key in after if key not in KEYS} == before


def test_a_run_without_any_loss_is_skipped(wandb_server: WandbServer) -> None:
    train({"accuracy": value(n), "eval/loss": 9.0} for n in range(5))
    with pytest.raises(MissingMetric):
        history_of("r")
    assert score_all().counts == {"skipped": 1}


def test_numbers_of_numpy_and_none_are_read_as_the_client_sends_them(
    wandb_server: WandbServer,
) -> None:
    logged = [np.float32(0.1), 2, None, True, np.float64(1 / 3), np.int64(7), 1e-320, 2.0**70]
    train({"loss": loss, "lr": 0.1} for loss in logged)
    wanted = [(n, float(loss)) for n, loss in enumerate(logged) if loss is not None]
    assert pairs(history_of("r")) == wanted
    assert signal_of(wandb_server) == "loss"


def test_a_run_that_was_resumed_is_read_from_its_beginning(wandb_server: WandbServer) -> None:
    train({"train": {"loss": value(n)}} for n in range(10))
    assert score_all().counts == {"scored": 1}
    before = wandb_server.run(P, "r").summary["dqi_fingerprint"]
    train(({"train": {"loss": value(n)}} for n in range(10, 25)), resume="must")
    assert pairs(history_of("r")) == [(n, value(n)) for n in range(25)]
    assert score_all().counts == {"scored": 1}
    assert wandb_server.run(P, "r").summary["dqi_fingerprint"] != before
    assert score_all().counts == {"unchanged": 1}


def test_a_run_that_goes_on_is_scored_where_it_is_asked_for(wandb_server: WandbServer) -> None:
    with wandb.init(project=P, entity="team", id="r") as run:
        for n in range(12):
            run.log({"loss": value(n)})
        wait_for(lambda: len(wandb_server.run(P, "r").history) == 12)
        assert score_all().counts == {}
        assert score_all(query=Query(include_running=True)).counts == {"scored": 1}
        assert wandb_server.run(P, "r").state == "running"
        run.log({"loss": value(12)})
    assert pairs(history_of("r")) == [(n, value(n)) for n in range(13)]
    assert score_all().counts == {"scored": 1}
    assert wandb_server.run(P, "r").summary["dqi_seen"]
