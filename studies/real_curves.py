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
    source, licence, repo : str
        Where it was published.
    family, group, submission : str
        Workload family, workload, and what was submitted to it; the last may be empty.
    configuration : str
        The hyperparameters within a cohort, equal for repeats.
    history : History
        Loss and gradient norm, each on its own steps; no rows where there is no training loss.
    validation : History or None
        The validation loss, as the `loss` of a history.
    learning_rate : tuple of two ndarray of shape (m,), or None
        Steps and learning rates.
    """

    name: str
    source: str
    licence: str
    repo: str
    family: str
    group: str
    submission: str
    configuration: str
    history: History
    validation: History | None
    learning_rate: tuple[np.ndarray, np.ndarray] | None

    @property
    def cohort(self) -> str:
        """Workload and submission."""
        return f"{self.group}/{self.submission}"


def load(folder: Path) -> list[Run]:
    """Return the runs that have a training loss, in the order of `runs.csv`."""
    return [run for run in load_all(folder) if run.history.step.size]


def load_all(folder: Path) -> list[Run]:
    """Return every run, in the order of `runs.csv`, with a training loss or without."""
    curves = pd.read_parquet(folder / "curves.parquet")
    columns = ["step", "loss", "grad_norm", "eval_loss", "lr"]
    # a folder whose runs log no learning rate, say, need not have the column
    tables = {
        str(name): table.reindex(columns=columns).to_numpy(dtype=np.float64)
        for name, table in curves.groupby("run", sort=False)
    }
    found: list[Run] = []
    for row in pd.read_csv(folder / "runs.csv").itertuples():
        table = tables.get(row.run)
        if table is None:
            continue
        step, loss, grad_norm, eval_loss, rate = table.T
        # a row of nulls is a logged NaN
        has_loss = np.isfinite(loss) | np.isinf(loss) | np.isnan(table[:, 1:]).all(axis=1)
        has_eval, has_rate = ~np.isnan(eval_loss), np.isfinite(rate)
        has_grad = ~np.isnan(grad_norm) & has_loss.any()
        submission = row.submission if isinstance(row.submission, str) else ""
        found.append(
            Run(
                name=row.run,
                source=row.source,
                licence=row.licence,
                repo=row.repo,
                family=row.family,
                group=row.group,
                submission=submission,
                configuration=row.run.rpartition("-trial_")[2] if submission else row.run,
                history=History(
                    step[has_loss],
                    loss[has_loss],
                    grad_norm[has_grad] if has_grad.any() else None,
                    grad_step=step[has_grad] if has_grad.any() else None,
                ),
                validation=History(step[has_eval], eval_loss[has_eval]) if has_eval.any() else None,
                learning_rate=(step[has_rate], rate[has_rate]) if has_rate.any() else None,
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
