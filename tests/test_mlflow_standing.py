"""The end of a backfill on MLflow: killed in the middle, half of a batch, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from dqi_tracking.stamp import is_whole, standing_mark
from tests.conftest import Experiment
from tests.mlflow_runs import (
    BATCH,
    IN_PROCESS,
    SERVED,
    LogRun,
    MakeExperiment,
    curve,
    found,
    history_requests,
    one_pass,
    through,
    written,
)
from tests.proxy import FaultProxy
from tests.stores import Store

N_RUNS = 9
SECONDS = 60.0
DQI = [sys.executable, "-m", "dqi_tracking"]


@pytest.fixture(autouse=True)
def percentiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each backfill write percentiles."""
    monkeypatch.setenv("DQI_PERCENTILES", "true")


@pytest.fixture
def runs(store: Store, experiment: Experiment, log_run: LogRun) -> list[str]:
    series = [{"loss": curve(seed=n), "grad_norm": 1 + abs(curve(seed=n))} for n in range(N_RUNS)]
    return [
        log_run(store, experiment.id, name=f"r{n}", metrics=each, params={"optimizer": "adam"})
        for n, each in enumerate(series)
    ]


def is_ranking(_method: str, target: str, body: bytes) -> bool:
    return target.endswith(BATCH) and b"dqi_percentile" in body


def ranked(store: Store, runs: list[str]) -> list[str]:
    return [run for run in runs if "dqi_percentile" in written(store, run)["metrics"]]


@SERVED
def test_killed_while_it_ranks_it_loses_nothing_and_the_next_pass_does_the_rest(
    store: Store,
    experiment: Experiment,
    runs: list[str],
    fault_proxy: FaultProxy,
    tmp_path: Path,
) -> None:
    reached, left = threading.Event(), [3]

    def is_fourth(*request: object) -> bool:
        if not is_ranking(*request):  # type: ignore[arg-type]
            return False
        left[0] -= 1
        if left[0] < 0:
            reached.set()
        return left[0] < 0

    fault_proxy.hang(is_fourth, applied=True)
    command = [*DQI, "backfill", f"mlflow:{experiment.name}", "--jobs", "1"]
    with subprocess.Popen(
        [*command, "--tracking-uri", fault_proxy.uri],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert reached.wait(SECONDS)
        process.kill()
    fault_proxy.reset()
    # the fourth was applied, though the answer never came
    some = ranked(store, runs)
    assert 3 <= len(some) <= 4
    refs = found(store, experiment)
    assert [bool(standing_mark(ref)) for ref in refs] == [True] * N_RUNS
    report, _ = one_pass(through(fault_proxy), experiment)
    assert (report.counts, history_requests(fault_proxy)) == ({"unchanged": N_RUNS}, 0)
    assert report.standings is not None
    # the hanging request may be applied before or after the look
    assert report.standings.n_written in (N_RUNS - 4, N_RUNS - 3)
    shares = [round(100 * (place + 0.5) / N_RUNS, 2) for place in range(N_RUNS)]
    for name in ("dqi_percentile", "dqi_loss_percentile", "dqi_grad_percentile"):
        assert sorted(written(store, run)["metrics"][name] for run in runs) == shares
    fault_proxy.reset()
    report, _ = one_pass(through(fault_proxy), experiment, {"view": False})
    assert (report.counts, fault_proxy.writes) == ({"unchanged": N_RUNS}, 0)


@SERVED
def test_ranking_costs_one_request_a_run_and_no_listing(
    experiment: Experiment, runs: list[str], fault_proxy: FaultProxy
) -> None:
    store = through(fault_proxy)
    one_pass(store, experiment, {"view": False}, files=False)
    batches = sum(n for (_, path), n in fault_proxy.counts.items() if path.endswith(BATCH))
    assert batches == 2 * len(runs)
    searches = sum(n for (_, path), n in fault_proxy.counts.items() if path.endswith("runs/search"))
    assert searches == 1


@IN_PROCESS
def test_half_of_a_batch_leaves_the_score_whole_and_is_written_again(
    store: Store, experiment: Experiment, runs: list[str]
) -> None:
    one_pass(store, experiment)
    before = written(store, runs[0])
    client = MlflowClient(tracking_uri=store.uri)
    # a cohort of a new name was about to be written, and its metrics came first
    at = max(metric.timestamp for metric in client.get_metric_history(runs[0], "dqi_percentile"))
    client.log_batch(runs[0], metrics=[Metric("dqi_percentile", 1.0, at + 1, 0)])
    refs = {ref.run_id: ref for ref in found(store, experiment)}
    assert refs[runs[0]].stamp is not None
    assert is_whole(refs[runs[0]].stamp)
    report, outcomes = one_pass(store, experiment)
    assert {each.outcome for each in outcomes.values()} == {"unchanged"}
    assert report.standings is not None
    assert report.standings.n_written == 1
    assert written(store, runs[0]) == before


@IN_PROCESS
def test_a_lower_percentile_shows_within_the_same_millisecond(
    store: Store, experiment: Experiment, runs: list[str], log_run: LogRun
) -> None:
    one_pass(store, experiment)
    (ref,) = [ref for ref in found(store, experiment) if ref.run_id == runs[0]]
    assert ref.stamp is not None
    # all are scored again at a time that lies before what stands there
    report, _ = one_pass(store, experiment, reprocess="all")
    assert report.standings is not None
    assert report.standings.n_written == N_RUNS
    late = log_run(
        store, experiment.id, name="late", metrics={"loss": [(0, 2.0), (1, 1.0), (2, 5)]}
    )
    one_pass(store, experiment)
    stamps = {ref.run_id: ref.stamp for ref in found(store, experiment)}
    told = sorted(stamps[run].metrics["dqi_percentile"] for run in [*runs, late])
    assert told == [round(100 * (place + 0.5) / 10, 2) for place in range(10)]
    assert {stamps[run].facts["cohort_size"] for run in runs} == {"10; grad 9"}


@IN_PROCESS
def test_all_experiments_at_once_are_ranked_each_by_itself(
    fresh_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun, store: Store
) -> None:
    del store
    first, second = make_experiment(fresh_sqlite), make_experiment(fresh_sqlite)
    for number in range(8):
        for experiment in (first, second):
            log_run(fresh_sqlite, experiment.id, metrics={"loss": curve(seed=number)})
    report, _ = one_pass(fresh_sqlite, "mlflow:")
    assert report.standings is not None
    assert (report.standings.n_ranked, report.standings.n_cohorts) == (16, 2)
    run = found(fresh_sqlite, first)[0]
    assert run.stamp is not None
    place = dict(run.stamp.facts)
    assert (place["cohort"], place["cohort_size"]) == (first.name, "8")
    # of one run alone nothing is ranked, and nothing taken off
    report, _ = one_pass(fresh_sqlite, f"runs:/{run.run_id}", reprocess="missing")
    assert report.standings is None
    assert found(fresh_sqlite, first)[0].stamp == run.stamp
