"""Reads a folder of published training curves: `curves.parquet` and `runs.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dqi_tracking import History


@dataclass(frozen=True)
class Run:
    """One run: its training history, its validation loss, and where it comes from.

    Attributes
    ----------
    history : History
        Loss and gradient norm, each on its own steps.
    validation : History or None
        The validation loss, as the `loss` of a history.
    family, cohort, configuration : str
        Workload family; workload and submission; the hyperparameters within a cohort, equal for
        repeats.
    """

    name: str
    family: str
    cohort: str
    configuration: str
    history: History
    validation: History | None


def load(folder: Path) -> list[Run]:
    """Return the runs that have a training loss, in the order of `runs.csv`."""
    curves = pd.read_parquet(folder / "curves.parquet")
    columns = ["step", "loss", "grad_norm", "eval_loss", "lr"]
    tables = {
        str(name): table[columns].to_numpy(dtype=np.float64)
        for name, table in curves.groupby("run", sort=False)
    }
    found: list[Run] = []
    for row in pd.read_csv(folder / "runs.csv").itertuples():
        table = tables.get(row.run)
        if table is None:
            continue
        step, loss, grad_norm, eval_loss, _ = table.T
        # a row of nulls is a logged NaN
        has_loss = np.isfinite(loss) | np.isinf(loss) | np.isnan(table[:, 1:]).all(axis=1)
        has_grad, has_eval = ~np.isnan(grad_norm), ~np.isnan(eval_loss)
        if not has_loss.any():
            continue
        submission = row.submission if isinstance(row.submission, str) else ""
        found.append(
            Run(
                name=row.run,
                family=row.family,
                cohort=f"{row.group}/{submission}",
                configuration=row.run.rpartition("-trial_")[2] if submission else row.run,
                history=History(
                    step[has_loss],
                    loss[has_loss],
                    grad_norm[has_grad] if has_grad.any() else None,
                    grad_step=step[has_grad] if has_grad.any() else None,
                ),
                validation=History(step[has_eval], eval_loss[has_eval]) if has_eval.any() else None,
            )
        )
    return found


def until(history: History | None, step: float) -> History | None:
    """Return what was logged up to a step."""
    if history is None:
        return None
    seen = history.step <= step
    grad_step = history.step if history.grad_step is None else history.grad_step
    grad_seen = grad_step <= step
    return History(
        history.step[seen],
        None if history.loss is None else history.loss[seen],
        None if history.grad_norm is None else history.grad_norm[grad_seen],
        grad_step=None if history.grad_norm is None else grad_step[grad_seen],
    )


def markdown(head: list[str], rows: list[list[object]]) -> str:
    """Return a table in Markdown; floats with two digits after the point."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.2f}"
    return str(value)
