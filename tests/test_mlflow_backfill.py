"""A backfill of an MLflow experiment: all is scored once, and then there is nothing to do."""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Event
from typing import Any

import numpy as np
import pytest

from dqi_tracking import Outcome, Query, backfill, rank
from dqi_tracking.config import load_settings
from dqi_tracking.trackers.mlflow import tracker
from tests.conftest import Experiment
from tests.mlflow_runs import (
    BOTH,
    FILES,
    IN_PROCESS,
    SERVED,
    LogRun,
    MakeExperiment,
    curve,
    history_requests,
    numbers,
    one_pass,
    outcomes_of,
    through,
    written,
)
from tests.proxy import FaultProxy
from tests.stores import Store

NAN = float("nan")

MIXED: dict[str, dict[str, Any]] = {
    "good": {"loss": curve()},
    "norm": {"grad_norm": curve(seed=1)},
    "nan": {"loss": np.where(np.arange(60) == 30, NAN, curve())},
    "only nan": {"loss": np.full(20, NAN)},
    "flat": {"loss": np.full(30, 2.5)},
    "two points": {"loss": [(0, 1.0), (1, 0.5)]},
    "one point": {"loss": [(0, 1.0)]},
    "other": {"accuracy": curve()},
    "none": {},
}
SCORED = {
    "good": "ok",
    "norm": "ok",
    "nan": "nan",
    "only nan": "nan",
    "flat": "flat",
    "two points": "too_short",
    "one point": "too_short",
}


def _log(store: Store, experiment: Experiment, log_run: LogRun, n: int) -> list[str]:
    return [log_run(store, experiment.id, metrics={"loss": curve(seed=seed)}) for seed in range(n)]


def test_a_mixed_experiment_ends_with_a_word_on_each_run(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    names = {
        log_run(store, experiment.id, name=name, metrics=metrics): name
        for name, metrics in MIXED.items()
    }
    report, outcomes = one_pass(store, experiment)

    by_name = {names[run]: outcome for run, outcome in outcomes.items()}
    scored = {n: o.score.status for n, o in by_name.items() if o.outcome == "scored" and o.score}
    assert scored == SCORED
    skipped = {n: o.reason for n, o in by_name.items() if o.outcome == "skipped"}
    reason = "no loss and no gradient norm was logged under a known name"
    assert skipped == {"other": reason, "none": reason}
    assert report.reasons == {
        ("scored", ""): 2,
        ("scored", "status nan"): 2,
        ("scored", "status flat"): 1,
        ("scored", "status too_short"): 2,
        ("skipped", reason): 2,
    }
    assert (report.n_found, report.n_left, report.failures, report.stopped) == (9, 0, [], False)
    for run, name in names.items():
        there = written(store, run)
        assert there["tags"].get("status") == SCORED.get(name)
        assert there["files"] == (FILES if name in SCORED else [])

    table = rank(f"mlflow:{experiment.name}", settings=load_settings(tracking_uri=store.uri))
    assert set(table["name"][:2]) == {"good", "norm"}
    assert table["dqi"][0] > table["dqi"][1] > 0
    assert list(table["dqi"][2:5]) == [0.0, 0.0, 0.0]
    assert table["dqi"][5:].isna().all()
    assert table.attrs["n_unscored"] == 0
    _, again = one_pass(store, experiment)
    assert {names[run]: o.outcome for run, o in again.items()} == {
        name: "unchanged" if name in SCORED else "skipped" for name in MIXED
    }


@SERVED
def test_a_second_pass_reads_no_history_and_writes_nothing(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = _log(store, experiment, log_run, 4)
    served = through(fault_proxy)
    assert one_pass(served, experiment)[0].counts == {"scored": 4}
    before = {run: written(store, run) for run in runs}
    assert fault_proxy.writes == 4 * (len(FILES) + 1) + 1, "two files and a batch each, one view"
    fault_proxy.reset()

    report, _ = one_pass(served, experiment)

    assert report.counts == {"unchanged": 4}
    assert (fault_proxy.writes, history_requests(fault_proxy)) == (0, 0)
    assert fault_proxy.counts.total() <= 3
    assert {run: written(store, run) for run in runs} == before
    fault_proxy.reset()
    # the same of another process, which knows nothing but what stands in the tracker
    command = [sys.executable, "-m", "dqi_tracking", "backfill", f"mlflow:{experiment.name}"]
    done = subprocess.run(
        [*command, "--tracking-uri", served.uri, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["run"]: line["outcome"] for line in lines} == dict.fromkeys(runs, "unchanged")
    assert (fault_proxy.writes, history_requests(fault_proxy)) == (0, 0)


@SERVED
def test_a_dry_run_tells_all_and_writes_nothing(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = _log(store, experiment, log_run, 2)
    report, outcomes = one_pass(through(fault_proxy), experiment, dry_run=True)
    assert (fault_proxy.writes, report.dry_run, report.counts) == (0, True, {"scored": 2})
    assert all(written(store, run)["tags"] == {} for run in runs)
    said = {run: outcome.stamp for run, outcome in outcomes.items()}
    one_pass(store, experiment)
    for run, stamp in said.items():
        assert stamp is not None
        there = written(store, run)
        assert there["metrics"] == pytest.approx(dict(stamp.metrics), nan_ok=True)
        assert there["tags"]["fingerprint"] == stamp.facts["fingerprint"]


@BOTH
def test_jobs_make_no_difference(
    store: Store,
    make_experiment: MakeExperiment,
    log_run: LogRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracker, "BATCH", 2)
    states: list[list[Any]] = []
    for jobs in (1, 4):
        experiment = make_experiment(store)
        runs = _log(store, experiment, log_run, 7)
        assert one_pass(store, experiment, jobs=jobs)[0].counts == {"scored": 7}
        # what the listing said holds times of logging
        states.append(list(numbers(store, runs, without={"seen"}).values()))
        assert one_pass(store, experiment, jobs=jobs)[0].counts == {"unchanged": 7}
    assert states[0] == states[1]


@IN_PROCESS
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stop_leaves_the_rest_for_the_next_pass(
    store: Store,
    experiment: Experiment,
    log_run: LogRun,
    monkeypatch: pytest.MonkeyPatch,
    jobs: int,
) -> None:
    monkeypatch.setattr(tracker, "BATCH", 3)
    runs = _log(store, experiment, log_run, 8)
    stop, seen = Event(), list[Outcome]()

    def after_two(outcome: Outcome) -> None:
        seen.append(outcome)
        if len(seen) == 2:
            stop.set()

    settings = load_settings(tracking_uri=store.uri)
    report = backfill(
        f"mlflow:{experiment.name}", settings=settings, jobs=jobs, on_outcome=after_two, stop=stop
    )

    assert report.stopped
    assert report.counts["scored"] + report.n_left == 8
    if jobs == 1:
        assert report.n_left == 6
    done = {outcome.ref.run_id for outcome in seen}
    assert {run for run in runs if "fingerprint" in written(store, run)["tags"]} == done
    _, outcomes = one_pass(store, experiment)
    assert outcomes_of(outcomes) == {run: "unchanged" if run in done else "scored" for run in runs}


@IN_PROCESS
def test_a_stop_before_the_start_does_nothing(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = _log(store, experiment, log_run, 2)
    stop = Event()
    stop.set()
    report, outcomes = one_pass(store, experiment, stop=stop)
    assert (report.stopped, report.n_left, outcomes) == (True, 2, {})
    assert all(written(store, run)["tags"] == {} for run in runs)


@BOTH
def test_limits_and_filters_choose_the_runs(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = [
        log_run(store, experiment.id, metrics={"loss": curve()}, tags={"n": str(n)})
        for n in range(3)
    ]
    _, outcomes = one_pass(store, experiment, query=Query("tags.n = '0'"))
    assert list(outcomes) == runs[:1]
    _, outcomes = one_pass(store, experiment, query=Query(limit=1))
    assert list(outcomes) == runs[2:]
    _, outcomes = one_pass(store, f"runs:/{runs[1]}")
    assert outcomes_of(outcomes) == {runs[1]: "scored"}
