"""The scripts that build the calibration and evaluate the forecast, on a small folder of runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dqi_tracking.insight.forecasting.calibration import Calibration, shipped

STUDIES = Path(__file__).parent.parent / "studies"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write runs of two families: step losses, validation losses and a learning rate."""
    root = tmp_path_factory.mktemp("published")
    rng = np.random.default_rng(0)
    step = np.arange(0, 2000, 25)
    runs, rows = [], []
    for family in ("wmt", "criteo1tb"):
        for number in range(12):
            name = f"{family}-{number}"
            fall = (step / 25 + 1.0) ** -rng.uniform(0.2, 0.8)
            noisy, level = (fall + scale * rng.normal(size=step.size) for scale in (0.05, 0.01))
            runs.append(
                {
                    "source": "small",
                    "family": family,
                    "group": f"{family}_{number % 6}",
                    "run": name,
                    "repo": "someone/curves",
                    "licence": "MIT",
                    "submission": "adam",
                }
            )
            rows.append(
                pd.DataFrame(
                    {
                        "run": name,
                        "step": step,
                        "loss": noisy,
                        "eval_loss": np.where(step % 50 == 0, level, np.nan),
                        "lr": 1 - step / 2000,
                    }
                )
            )
    pd.DataFrame(runs).to_csv(root / "runs.csv", index=False)
    pd.concat(rows).to_parquet(root / "curves.parquet")
    return root


def script(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(STUDIES / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_is_built_with_its_sources(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    script("build_calibration.py", folder, "--out", out)
    built = Calibration.from_json(out.read_text())
    assert built.sources == (
        {
            "name": "small",
            "repository": "someone/curves",
            "licence": "MIT",
            "families": ["criteo1tb", "wmt"],
            "runs": 24,
            "curves": 48,
        },
    )
    # these runs are tidier than the published ones
    assert (built.table[..., 1] - built.table[..., 0]).max() < (
        shipped().table[..., 1] - shipped().table[..., 0]
    ).max()


def test_the_study_prints_every_table(folder: Path) -> None:
    page = script("forecast_study.py", folder)
    titles = [line for line in page.splitlines() if line.startswith("## ")]
    assert len(titles) == 10
    for title in titles:
        section = page.partition(title)[2].partition("\n## ")[0]
        assert section.count("\n| ") >= 3, title
    assert "| wmt | tuning | eval |" in page
    assert "| criteo1tb | held out | train |" in page
