"""Steps that W&B's users define: metrics of the run that take the place of its steps."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking import Outcome
from tests.wandb_project import history_of, listed, score_all
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.server import WandbServer
from tests.wandb_training import hugging_face, keras, lightning, pairs, train, value

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

HF_STEPS = {"train/global_step": {}, "*": {"step_metric": "train/global_step", "step_sync": True}}
STEP_KEYS = {
    "HF Trainer": (
        hugging_face(), HF_STEPS, {"step_key": "train/global_step"},
        [(n, value(n)) for n in range(10, 210, 10)],
    ),
    "HF Trainer in epochs": (
        hugging_face(), HF_STEPS, {"step_key": "train/epoch"},
        [(n / 100, value(n)) for n in range(10, 210, 10)],
    ),
    "Lightning": (
        lightning(), {"trainer/global_step": {}, "*": {"step_metric": "trainer/global_step"}},
        {"step_key": "trainer/global_step"}, [(n, value(n // 50)) for n in range(49, 1_000, 50)],
    ),
    "Keras": (
        keras(), {"epoch/epoch": {}, "epoch/*": {"step_metric": "epoch/epoch"}},
        {"step_key": "epoch/epoch", "loss_key": "epoch/loss"},
        [(epoch, 12.0 + 10 * epoch) for epoch in range(4)],
    ),
    "tokens": (
        [{"loss": value(n), "tokens": 4_194_304_000 * n} for n in range(30)],
        {"loss": {"step_metric": "tokens"}}, {"step_key": "tokens"},
        [(4_194_304_000 * n, value(n)) for n in range(30)],
    ),
    "nested": (
        [{"loss": value(n), "trainer": {"step": 7 * n}} for n in range(9)], {},
        {"step_key": "trainer.step"}, [(7 * n, value(n)) for n in range(9)],
    ),
    "now and then": (
        [{"loss": value(n), **({"epoch": n / 8} if n % 2 else {})} for n in range(16)], {},
        {"step_key": "epoch"}, [(n / 8, value(n)) for n in range(1, 16, 2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STEP_KEYS)
def test_a_metric_of_the_run_takes_the_place_of_its_steps(
    wandb_server: WandbServer, case: str
) -> None:
    rows, metrics, settings, wanted = STEP_KEYS[case]
    train(rows, metrics=metrics)
    assert pairs(history_of("r", **settings)) == wanted
    score_all(**settings)
    summary = wandb_server.run(P, "r").summary
    assert summary["dqi_boundary_mid_late"] in [step for step, _ in wanted]


def test_without_the_setting_the_steps_are_those_of_the_rows(wandb_server: WandbServer) -> None:
    train(hugging_face(), metrics=HF_STEPS)
    assert pairs(history_of("r"))[:6] == [(n, value(10 * (n + 1))) for n in range(5)] + [
        (6, value(60))
    ]


def test_a_run_without_the_metric_is_scored_over_its_own_steps(wandb_server: WandbServer) -> None:
    train([{"loss": value(n), "epoch": n / 10} for n in range(20)], run_id="with")
    train([{"loss": value(n)} for n in range(20)], run_id="without")
    refs = {ref.run_id: ref for ref in listed(step_key="epoch")}
    assert (refs["with"].step_key, refs["without"].step_key) == ("epoch", "")
    warnings: dict[str, tuple[str, ...]] = {}

    def note(outcome: Outcome) -> None:
        assert outcome.score is not None
        warnings[outcome.ref.run_id] = outcome.score.warnings

    assert score_all(step_key="epoch", on_outcome=note).counts == {"scored": 2}
    assert any("`epoch`" in warning for warning in warnings["without"])
    assert not any("`epoch`" in warning for warning in warnings["with"])
    assert score_all(step_key="epoch").counts == {"unchanged": 2}
    # other steps are another score
    assert score_all().counts == {"scored": 2}


@pytest.mark.parametrize("form", ["struct", "flat"])
def test_steps_are_read_out_of_an_export_too(wandb_server: WandbServer, form: str) -> None:
    wandb_server.behaviour.parquet_nested = form
    rows = [{"train": {"loss": value(n), "tokens": 4_096 * n}, "lr": 0.1} for n in range(20)]
    wandb_server.add_run(P, "r", history=rows, exported=12)
    history = history_of("r", step_key="train.tokens")
    assert pairs(history) == [(4_096 * n, value(n)) for n in range(20)]


def test_steps_that_are_not_finite_are_left_out(wandb_server: WandbServer) -> None:
    train({"loss": value(n), "epoch": np.nan if n == 3 else n / 10} for n in range(8))
    wanted = [(n / 10, value(n)) for n in range(8) if n != 3]
    assert pairs(history_of("r", step_key="epoch")) == wanted


def test_a_point_that_only_the_steps_got_is_a_change(wandb_server: WandbServer) -> None:
    rows = [{"loss": value(n), "epoch": n / 10} for n in range(9)] + [{"loss": value(9)}]
    wandb_server.add_run(P, "r", history=rows)
    assert score_all(step_key="epoch").counts == {"scored": 1}
    wandb_server.live(P, "r").history[-1]["epoch"] = 0.9
    assert score_all(step_key="epoch").counts == {"scored": 1}
