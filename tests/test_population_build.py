"""The script that builds the reference population, on a folder of a few made-up runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dqi_tracking import score
from dqi_tracking.insight.saved_population import Population
from dqi_tracking.types import History
from tests.insight_runs import clean_run

SCRIPT = Path(__file__).parent.parent / "studies" / "build_reference_population.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Write nine runs of one family, a tenth whose loss becomes NaN, and one without a loss."""
    made = tmp_path_factory.mktemp("curves")
    curves = []
    for seed in range(10):
        run = clean_run(seed, n=50)
        loss = np.where(run.step > 300, np.nan, run.loss) if seed == 9 else run.loss
        curves.append(pd.DataFrame({"run": f"r{seed}", "step": run.step, "loss": loss}))
    curves.append(pd.DataFrame({"run": ["r10"], "step": [1.0], "eval_loss": [2.0]}))
    columns = ["grad_norm", "lr", "eval_loss"]
    table = pd.concat(curves).reindex(columns=["run", "step", "loss", *columns])
    table[["loss", *columns]] = table[["loss", *columns]].astype("float32")
    table.to_parquet(made / "curves.parquet")
    about = {"source": "lab", "family": "f", "group": "g", "repo": "a/b", "licence": "MIT"}
    rows = [about | {"run": f"r{row}", "submission": "s"} for row in range(11)]
    pd.DataFrame(rows).to_csv(made / "runs.csv", index=False)
    return made


def test_the_script_scores_with_this_engine_and_counts_what_it_leaves_out(folder: Path) -> None:
    out = folder / "population.json"
    command = [sys.executable, SCRIPT, folder, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "f: 9 runs" in done.stdout
    found = Population.from_json(out.read_text(encoding="utf-8"))
    assert found.name == "public runs of 1 workload families"
    assert found.sources == (
        {
            "name": "lab",
            "repository": "https://github.com/a/b",
            "licence": "MIT",
            "families": ["f"],
            "runs": 9,
            "left_out": 2,
        },
    )
    runs = [clean_run(seed, n=50) for seed in range(9)]
    as_kept = [score(History(run.step, run.loss.astype(np.float32))).dqi for run in runs]
    assert found.cohort("f").quantiles["dqi"].tolist() == sorted(as_kept)
