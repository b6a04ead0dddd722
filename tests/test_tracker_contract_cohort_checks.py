"""A backfill checks runs against a saved population, over every tracker the same."""

from __future__ import annotations

from pathlib import Path

from dqi_tracking.cohorts.histories import read_beside, sampled, with_curves
from dqi_tracking.cohorts.populations import population_at
from dqi_tracking.insight.checks import check
from dqi_tracking.stamp import standing_mark
from tests.insight_runs import clean_run
from tests.tracker_harness.base import Harness

pytest_plugins = ["tests.tracker_harness.fixtures", "tests.wandb_server.fixtures"]

N_ALIKE = 8
ROWS = 120


def fill(harness: Harness) -> tuple[list[str], str]:
    """Put in eight runs that are alike, and one whose loss is three times theirs."""

    def add(seed: int, factor: float) -> str:
        run = clean_run(seed, n=ROWS)
        assert run.loss is not None
        points = list(zip(run.step.astype(int).tolist(), (factor * run.loss).tolist(), strict=True))
        return harness.add(f"r{seed}", {"loss": points})

    return [add(seed, 1.0) for seed in range(N_ALIKE)], add(N_ALIKE, 3.0)


def saved(harness: Harness, path: Path) -> str:
    with harness.opened() as tracker:
        found = population_at(tracker, name="these runs")
        kept = with_curves(tracker, found.population, sampled(found, 60))
    assert (kept.n_runs, kept.n_failed) == (N_ALIKE + 1, 0)
    path.write_text(kept.population.to_json())
    return str(path)


def findings(harness: Harness) -> dict[str, set[str]]:
    written = {ref.run_id: ref.stamp for ref in harness.find()}
    # W&B keeps no empty text
    return {
        run: set(filter(None, stamp.facts.get("checks", "").split(","))) if stamp else set()
        for run, stamp in written.items()
    }


def test_a_population_finds_the_odd_run_once_and_a_second_pass_writes_nothing(
    harness: Harness, tmp_path: Path
) -> None:
    alike, odd = fill(harness)
    harness.backfill()
    before = {ref.run_id: standing_mark(ref) for ref in harness.find()}
    assert not any(findings(harness).values())
    population = saved(harness, tmp_path / "population.json")
    report, _ = harness.backfill(population=population)
    assert report.counts == {"scored": N_ALIKE + 1}
    found = findings(harness)
    assert "rescaled" in found.pop(odd)
    assert found == {run: set() for run in alike}
    files = harness.files(odd)
    told = f"{N_ALIKE + 1} saved runs of cohort `{harness.ref(odd).group}`"
    assert f'"compared_with": "{told}"' in files["phases.json"].decode()
    for name in ("phases.json", "phases.html"):
        assert told in files[name].decode()
        assert "times the cohort's median curve, all along" in files[name].decode().replace(
            "&#39;", "'"
        )
    writes = harness.writes()
    report, _ = harness.backfill(population=population)
    assert report.counts == {"unchanged": N_ALIKE + 1}
    assert harness.writes() == writes
    # without the file the marks are those of before
    harness.backfill()
    assert {ref.run_id: standing_mark(ref) for ref in harness.find()} == before
    assert not any(findings(harness).values())


def test_the_runs_beside_one_are_found_from_its_own_address(harness: Harness) -> None:
    alike, odd = fill(harness)
    ref = harness.ref(odd)
    scheme = harness.address.partition(":")[0]
    address = {"mlflow": f"runs:/{odd}", "wandb": f"{harness.address}/{odd}"}.get(
        scheme, harness.address
    )
    found = read_beside(address, ref, harness.settings())
    assert found.told == f"compared with {len(alike)} other finished runs of cohort `{ref.group}`"
    assert found.comparison is not None
    names = {each.name for each in check(harness.history(odd), cohort=found.comparison.curves)}
    assert "rescaled" in names
