"""What a pass puts on an MLflow run, and what it leaves alone."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric

from dqi_tracking import Query, RunNotFound, WriteRejected
from dqi_tracking.config import load_settings
from dqi_tracking.names import FACTS, METRICS, SCORES
from dqi_tracking.pipeline import ScoringOptions, begin, process
from dqi_tracking.report.artifact import read_phases
from dqi_tracking.trackers.base import Tracker
from dqi_tracking.types import Outcome, RunRef, Stamp
from tests.conftest import Experiment
from tests.mlflow_runs import (
    BOTH,
    FILES,
    SERVED,
    LogRun,
    curve,
    found,
    one_pass,
    opened,
    others,
    through,
    written,
)
from tests.proxy import FaultProxy
from tests.stores import Store

LOGGED = {"loss": curve(), "grad_norm": curve(seed=1)}
FAR = 2**41
"""A time in milliseconds that no clock of today shows."""


def _pass(
    tracker: Tracker, refs: list[RunRef], started: int | None = None, **options: object
) -> Outcome:
    current = begin(ScoringOptions.of(load_settings(**options)))
    if started is not None:
        current = current._replace(started=started)
    (outcome,) = process(tracker, refs, current)
    return outcome


def _searched(store: Store, experiment: Experiment, where: str) -> list[str]:
    runs = MlflowClient(tracking_uri=store.uri).search_runs([experiment.id], where)
    return [run.info.run_id for run in runs]


def test_a_pass_writes_its_own_and_nothing_else(
    store: Store, experiment: Experiment, log_run: LogRun, tmp_path: Path
) -> None:
    run_id = log_run(
        store,
        experiment.id,
        name="mine",
        metrics={**LOGGED, "accuracy": [(9, 0.5, 77)]},
        params={"lr": "0.1"},
        tags={"team": "a", "dq": "b", "mlflow.note.content": "note"},
    )
    client = MlflowClient(tracking_uri=store.uri)
    client.log_text(run_id, "weights", "dqi-like/model.txt")
    before = others(store, run_id)

    report, outcomes = one_pass(store, experiment)

    assert report.counts == {"scored": 1}
    assert others(store, run_id) == before
    there = written(store, run_id)
    assert there["metrics"].keys() == set(METRICS)
    assert (there["tags"].keys(), there["files"]) == (set(FACTS), FILES)
    stamp = outcomes[run_id].stamp
    assert stamp is not None
    assert there["metrics"] == pytest.approx(dict(stamp.metrics), rel=1e-15)
    assert there["tags"] == dict(stamp.facts)

    local = Path(download_artifacts(run_id=run_id, tracking_uri=store.uri, artifact_path="dqi"))
    artifact = read_phases((local / "phases.json").read_bytes())
    assert (artifact.run.id, artifact.fingerprint) == (run_id, stamp.facts["fingerprint"])
    assert artifact.dqi == stamp.metrics["dqi"]
    assert (local / "phases.html").read_bytes().startswith(b"<!doctype html>")
    # the listing gives back what was written
    assert [ref.stamp for ref in found(store, experiment)] == [stamp]


@BOTH
def test_runs_are_found_by_what_was_read_from_them(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    holed = [(step, value) for step, value in enumerate(curve()) if not 20 <= step < 28]
    odd = log_run(store, experiment.id, metrics={"loss": holed})
    steady = {"loss": curve(), "grad_norm": np.ones(60)}
    clean = log_run(store, experiment.id, metrics=steady)
    one_pass(store, experiment)
    assert written(store, odd)["tags"]["checks"] == "missing_rows,largest_gap"
    states = [written(store, run)["tags"]["state"] for run in (odd, clean)]
    assert states == ["plateau", "stuck"]
    for where in ("metrics.dqi_checks > 0", "tags.`dqi.checks` LIKE '%missing_rows%'"):
        assert _searched(store, experiment, where) == [odd]
    # a run without a gradient norm has no reading of it, and does not pass for one of 0
    for where in ("tags.`dqi.state` = 'stuck'", "metrics.dqi_grad_late > -9"):
        assert _searched(store, experiment, where) == [clean]


@BOTH
def test_runs_of_any_status_keep_it(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    runs = [
        log_run(store, experiment.id, metrics=LOGGED, status=status)
        for status in ("FAILED", "KILLED", "RUNNING")
    ]
    before = [others(store, run) for run in runs]
    query = Query(include_failed=True, include_running=True)
    assert one_pass(store, experiment, query=query)[0].counts == {"scored": 3}
    assert [others(store, run) for run in runs] == before


def test_a_lower_score_replaces_a_higher(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    one_pass(store, experiment)
    first = written(store, run_id)["metrics"]
    phases = [first[f"dqi_{name}"] for name in ("early", "mid", "late")]
    lowest = tuple(float(phase == min(phases)) for phase in phases)
    line = (first["dqi"] + min(phases)) / 2
    assert _searched(store, experiment, f"metrics.dqi < {line}") == []

    one_pass(store, experiment, {"weights": lowest})

    assert written(store, run_id)["metrics"]["dqi"] == min(phases) < first["dqi"]
    assert _searched(store, experiment, f"metrics.dqi < {line}") == [run_id]
    assert _searched(store, experiment, f"metrics.dqi > {line}") == []


def test_a_clock_that_was_set_back_does_not_hide_the_newer_score(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    tracker = opened(store, experiment)
    first = _pass(tracker, list(tracker.find(Query())), started=FAR)
    assert first.stamp is not None
    assert first.stamp.timestamp == FAR
    standing = first.stamp.metrics
    lowest = min("early", "mid", "late", key=lambda phase: standing[f"dqi_{phase}"])
    weights = tuple(float(phase == lowest) for phase in ("early", "mid", "late"))

    second = _pass(tracker, list(tracker.find(Query())), started=FAR - 10**9, weights=weights)

    assert second.stamp is not None
    assert second.stamp.timestamp == FAR + 1
    assert written(store, run_id)["metrics"] == pytest.approx(dict(second.stamp.metrics), rel=1e-15)
    assert written(store, run_id)["metrics"]["dqi"] < standing["dqi"]


def test_a_score_that_is_no_number_replaces_one_that_was(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    one_pass(store, experiment)
    assert written(store, run_id)["metrics"]["dqi"] > 0
    client = MlflowClient(tracking_uri=store.uri)
    client.log_batch(run_id, metrics=[Metric("loss", float("nan"), FAR, 60)])

    report, _ = one_pass(store, experiment)

    assert report.reasons == {("scored", "status nan"): 1}
    there = written(store, run_id)
    assert there["metrics"].keys() == set(METRICS)
    assert all(math.isnan(there["metrics"][name]) for name in SCORES)
    assert (there["tags"]["status"], there["tags"]["weakest"]) == ("nan", "")
    for comparison in ("> -1", "< 1", "= 0"):
        assert _searched(store, experiment, f"metrics.dqi {comparison}") == []
    assert one_pass(store, experiment)[0].counts == {"unchanged": 1}


@BOTH
def test_the_same_write_twice_leaves_one_score(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    tracker = opened(store, experiment)
    refs = list(tracker.find(Query()))
    _pass(tracker, refs, started=FAR)
    first = written(store, run_id)
    _pass(tracker, refs, started=FAR)
    assert written(store, run_id) == first
    client = MlflowClient(tracking_uri=store.uri)
    assert len({(p.step, p.timestamp) for p in client.get_metric_history(run_id, "dqi")}) == 1


def test_a_deleted_run_refuses_the_write(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    tracker = opened(store, experiment)
    (ref,) = tracker.find(Query())
    client = MlflowClient(tracking_uri=store.uri)
    client.delete_run(run_id)
    stamp = Stamp({"dqi": 0.5}, {"status": "ok", "fingerprint": "f"}, FAR)
    with pytest.raises(RunNotFound, match=r"deleted|active") as refusal:
        tracker.write(ref, stamp, {"phases.json": b"{}"})
    assert refusal.value.fix
    assert refusal.value.run == run_id
    there = written(store, run_id)
    assert (there["metrics"], there["tags"]) == ({}, {})


def test_a_run_that_never_was_refuses_the_write(store: Store, experiment: Experiment) -> None:
    stamp = Stamp({"dqi": 0.5}, {"fingerprint": "f"}, FAR)
    for files in ({}, {"phases.json": b"{}"}):
        with pytest.raises(RunNotFound) as refusal:
            opened(store, experiment).write(RunRef("0" * 32), stamp, files)
        assert refusal.value.fix


@BOTH
def test_files_can_be_left_out(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    one_pass(store, experiment, files=False)
    there = written(store, run_id)
    assert (there["files"], there["tags"].keys()) == ([], set(FACTS))


@SERVED
def test_metrics_and_tags_go_in_one_request_after_the_files(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    sent: list[tuple[str, bytes]] = []

    def watch(method: str, target: str, body: bytes) -> bool:
        if method != "GET" and not target.endswith("/search"):
            sent.append((target.partition("?")[0], body))
        return False

    fault_proxy.fail(watch)
    one_pass(through(fault_proxy), experiment)
    targets = [target for target, _ in sent]
    assert sorted(target.rpartition("/")[2] for target in targets[:2]) == [
        "phases.html",
        "phases.json",
    ]
    # the last is the saved view of the experiment
    ours = ["runs/log-batch", "experiments/set-experiment-tag"]
    assert targets[2:] == [f"/api/2.0/mlflow/{path}" for path in ours]
    batch = json.loads(sent[2][1])
    assert batch["run_id"] == run_id
    assert batch["tags"][-1]["key"] == "dqi.fingerprint"
    assert len({(metric["step"], metric["timestamp"]) for metric in batch["metrics"]}) == 1


def test_a_write_that_mlflow_finds_invalid_is_refused_whole(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics=LOGGED)
    (ref,) = found(store, experiment)
    stamp = Stamp({"dqi": 0.5, "dqi<b>": 0.5}, {"fingerprint": "f"}, FAR)
    with pytest.raises(WriteRejected, match="Invalid value") as refusal:
        opened(store, experiment).write(ref, stamp, {})
    assert refusal.value.fix
    there = written(store, run_id)
    assert (there["metrics"], there["tags"]) == ({}, {})
