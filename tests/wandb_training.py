"""Training runs online with the real client: what frameworks log, and what is read of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from dqi_tracking import History
from tests.wandb_server.client import P, wandb

Row = Mapping[str, Any]


def value(step: int) -> float:
    """Return the loss at a step: a falling curve without a round number in it."""
    return math.exp(-step / 9) + math.sin(step) / 20


def train(
    rows: Iterable[Row],
    *,
    run_id: str = "r",
    metrics: Mapping[str, Mapping[str, Any]] | None = None,
    **given: Any,
) -> None:
    """Train a run: log the rows, one a step, after `define_metric` for each of the metrics."""
    with wandb.init(project=P, entity="team", id=run_id, **given) as run:
        for name, how in (metrics or {}).items():
            run.define_metric(name, **how)
        for row in rows:
            run.log(dict(row))


def pairs(history: History) -> list[tuple[float, float]]:
    series = history.loss if history.loss is not None else history.grad_norm
    assert series is not None
    return list(zip(history.step.tolist(), series.tolist(), strict=True))


def hugging_face() -> list[Row]:
    """Return what HF Trainer logs: evaluations between, one scalar of the whole run at the end."""
    rows: list[Row] = []
    for step in range(10, 210, 10):
        shared = {"train/epoch": step / 100, "train/global_step": step}
        rows.append({"train/loss": value(step), "train/grad_norm": 2.5, "train/lr": 0.1, **shared})
        if step % 50 == 0:
            rows.append({"eval/loss": 9.0, "eval/runtime": 1.5, **shared})
    return [*rows, {"train/train_loss": 0.5, "train/total_flos": 1e17, "train/global_step": 200}]


def keras() -> list[Row]:
    """Return what Keras' callback logs: batches by their count, epochs by theirs."""
    rows: list[Row] = []
    for step in range(40):
        rows.append({"batch/loss": value(step), "batch/batch_step": step})
        if step % 10 == 9:
            epoch = {"epoch/loss": 3.0 + step, "epoch/val_loss": 9.0, "epoch/epoch": step // 10}
            rows.append(epoch)
    return rows


def lightning() -> list[Row]:
    """Return what Lightning's logger logs: the step beside each metric, epochs between."""
    rows: list[Row] = []
    for step in range(49, 1_000, 50):
        rows.append({"train_loss_step": value(step // 50), "trainer/global_step": step})
        if step % 250 == 249:
            epoch = {"train_loss_epoch": 5.0, "val_loss": 9.0, "epoch": step // 250}
            rows.append({**epoch, "trainer/global_step": step})
    return rows
