"""Build the reference population that the package ships, from a folder of published curves.

    python studies/build_reference_population.py DATA_FOLDER

Each workload family is a cohort. Every run with a training loss is scored by the engine with its
default options; a run that scores NaN is left out, and counted as such among the sources.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from real_curves import load

import dqi_tracking.insight as package
from dqi_tracking import Score, score_many
from dqi_tracking.insight.population import measures
from dqi_tracking.insight.saved_population import Population
from dqi_tracking.types import COMPONENTS

FILE = Path(package.__file__).with_name("reference_population.json")


def columns(scores: list[Score]) -> dict[str, list[float]]:
    """Return scores under the names that they have on a run."""
    found: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        found["dqi"].append(score.dqi)
        for phase, part in score.phases.items():
            found[f"dqi_{phase}"].append(part.dqi)
            for name in COMPONENTS:
                found[f"dqi_{phase}_{name}"].append(getattr(part, name))
    return found


def sources(about: pd.DataFrame) -> list[dict[str, object]]:
    """List where the runs come from, with licences and counts."""
    return [
        {
            "name": name,
            "repository": f"https://github.com/{rows['repo'].iloc[0]}",
            "licence": rows["licence"].iloc[0],
            "families": sorted(set(rows["family"])),
            "runs": int(rows["is_scored"].sum()),
            "left_out": int((~rows["is_scored"]).sum()),
        }
        for name, rows in about.groupby("source")
    ]


def main() -> None:
    """Score every run and write the quantiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with curves.parquet and runs.csv")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    runs = load(options.data)
    found = measures(columns(score_many(run.history for run in runs)))
    is_scored = np.isfinite(np.array(list(found.values()))).all(axis=0)
    about = pd.read_csv(options.data / "runs.csv").set_index("run")
    about["is_scored"] = False
    about.loc[[run.name for run, ok in zip(runs, is_scored, strict=True) if ok], "is_scored"] = True
    population = Population.of(
        found,
        [run.family for run in runs],
        name=f"public runs of {len({run.family for run in runs})} workload families",
        sources=sources(about),
    )
    options.out.write_text(population.to_json(), encoding="utf-8")
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")
    for name, cohort in population.cohorts.items():
        print(f"  {name}: {cohort.size} runs")


if __name__ == "__main__":
    main()
