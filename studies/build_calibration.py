"""Build the calibration table that the package ships, from a folder of published curves.

    python studies/build_calibration.py DATA_FOLDER

Every family counts the same, and every group (workload × submission) within it, however many runs
it has. All families are in the shipped table; what it is worth on a family it has not seen is
measured by `forecast_study.py`, which leaves each out in turn.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import dqi_tracking.insight.forecasting as package
from dqi_tracking.insight.forecasting.calibration import tabulated
from dqi_tracking.insight.forecasting.replay import replay

sys.path.insert(0, str(Path(__file__).parent))
from published_curves import Published, balance, load

TABLE = Path(package.__file__).with_name("calibration.json")


def sources(curves: list[Published]) -> list[dict[str, object]]:
    """List where the curves come from, with licences and counts."""
    found: list[dict[str, object]] = []
    for name in sorted({curve.source for curve in curves}):
        own = [curve for curve in curves if curve.source == name]
        found.append(
            {
                "name": name,
                "repository": own[0].repo,
                "licence": own[0].licence,
                "families": sorted({curve.family for curve in own}),
                "runs": len({curve.run for curve in own}),
                "curves": len(own),
            }
        )
    return found


def main() -> None:
    """Replay every curve and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder with curves.parquet and runs.csv")
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args()
    curves = load(options.data)
    found = replay([curve.curve for curve in curves])
    calibration = tabulated(
        found,
        balance(curves, found.run),
        name="public runs of 7 workload families",
        sources=sources(curves),
    )
    options.out.write_text(calibration.to_json() + "\n", encoding="utf-8")
    print(f"{options.out}: {found.run.size} forecasts of {len(curves)} curves")


if __name__ == "__main__":
    main()
