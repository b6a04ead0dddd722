"""A run of an MLflow store is scored again when, and only when, something changed."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

import dqi_tracking.engine.result
import dqi_tracking.pipeline.options
from tests.conftest import Experiment
from tests.mlflow_runs import (
    BOTH,
    IN_PROCESS,
    SERVED,
    LogRun,
    curve,
    history_requests,
    one_pass,
    outcomes_of,
    through,
    written,
)
from tests.proxy import FaultProxy
from tests.stores import Store

LAST = curve()[-1]


def _append(store: Store, run_id: str, step: int, value: float, key: str = "loss") -> None:
    client = MlflowClient(tracking_uri=store.uri)
    client.log_batch(run_id, metrics=[Metric(key, value, 2_000, step)])


def _end_again(store: Store, run_id: str) -> None:
    MlflowClient(tracking_uri=store.uri).set_terminated(run_id, "FAILED", end_time=1)
    MlflowClient(tracking_uri=store.uri).set_terminated(run_id, end_time=2_000)


def test_runs_that_got_points_are_scored_again_and_no_other(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = [log_run(store, experiment.id, metrics={"loss": curve()}) for _ in range(4)]
    one_pass(store, experiment)
    before = [written(store, run) for run in runs]
    for run, value in zip(runs, (0.5, LAST, float("nan")), strict=False):
        _append(store, run, 60, value)

    _, outcomes = one_pass(store, experiment)

    assert [outcomes[run].outcome for run in runs] == ["scored"] * 3 + ["unchanged"]
    after = [written(store, run) for run in runs]
    assert after[3] == before[3]
    for old, new in zip(before[:3], after[:3], strict=True):
        assert {"fingerprint", "seen"} <= {k for k, v in new["tags"].items() if v != old["tags"][k]}
    assert [state["tags"]["status"] for state in after] == ["ok", "ok", "nan", "ok"]
    assert one_pass(store, experiment)[0].counts == {"unchanged": 4}


@BOTH
def test_points_of_other_metrics_change_nothing(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve(), "accuracy": curve()})
    one_pass(store, experiment)
    _append(store, run_id, 99, 0.5, "accuracy")
    _append(store, run_id, 99, 0.5, "val_acc")
    MlflowClient(tracking_uri=store.uri).set_tag(run_id, "team", "b")
    assert one_pass(store, experiment)[0].counts == {"unchanged": 1}


@BOTH
def test_a_longer_series_that_came_later_is_read(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics={"grad_norm": curve()})
    one_pass(store, experiment)
    assert written(store, run_id)["tags"]["signal"] == "grad_norm"
    client = MlflowClient(tracking_uri=store.uri)
    metrics = [Metric("loss", value, 3_000, step) for step, value in enumerate(curve().tolist())]
    client.log_batch(run_id, metrics=metrics)
    assert one_pass(store, experiment)[0].counts == {"scored": 1}
    assert written(store, run_id)["tags"]["signal"] == "loss"


@pytest.mark.parametrize(
    "settings",
    [
        {"nan_policy": "omit"},
        {"weights": (0.2, 0.3, 0.5)},
        {"units": "raw"},
        {"duplicates": "keep"},
        {"loss_key": "loss"},
    ],
    ids=lambda settings: next(iter(settings)),
)
@IN_PROCESS
def test_other_options_score_again(
    store: Store, experiment: Experiment, log_run: LogRun, settings: dict[str, object]
) -> None:
    run_id = log_run(
        store, experiment.id, metrics={"loss": [*enumerate(curve()), (60, float("nan"))]}
    )
    one_pass(store, experiment)
    first = written(store, run_id)
    assert one_pass(store, experiment, settings)[0].counts == {"scored": 1}
    second = written(store, run_id)
    assert second["tags"]["fingerprint"] != first["tags"]["fingerprint"]
    assert second["tags"]["status"] == ("ok" if "nan_policy" in settings else "nan")
    assert one_pass(store, experiment, settings)[0].counts == {"unchanged": 1}
    # back to the first options: scored again, with the first result
    assert one_pass(store, experiment)[0].counts == {"scored": 1}
    assert written(store, run_id)["tags"]["fingerprint"] == first["tags"]["fingerprint"]


@pytest.mark.parametrize("store", ["sqlite", "http_sqlite"], indirect=True)
def test_another_engine_scores_again(
    store: Store, experiment: Experiment, log_run: LogRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    monkeypatch.setattr(dqi_tracking.pipeline.options, "ENGINE_VERSION", "next")
    monkeypatch.setattr(dqi_tracking.engine.result, "ENGINE_VERSION", "next")
    assert one_pass(store, experiment)[0].counts == {"scored": 1}
    assert written(store, run_id)["tags"]["version"] == "next"
    assert one_pass(store, experiment)[0].counts == {"unchanged": 1}


def test_verify_finds_what_the_listing_cannot_show(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = [log_run(store, experiment.id, metrics={"loss": curve()}) for _ in range(2)]
    one_pass(store, experiment)
    before = written(store, runs[0])
    _append(store, runs[0], -1, 40.0)
    assert one_pass(store, experiment)[0].counts == {"unchanged": 2}
    assert written(store, runs[0]) == before

    _, outcomes = one_pass(store, experiment, verify=True)

    assert outcomes_of(outcomes) == {runs[0]: "scored", runs[1]: "unchanged"}
    assert written(store, runs[0])["metrics"]["dqi"] != before["metrics"]["dqi"]
    assert one_pass(store, experiment, verify=True)[0].counts == {"unchanged": 2}


@SERVED
def test_verify_reads_all_and_writes_nothing_that_is_right(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    assert one_pass(through(fault_proxy), experiment, verify=True)[0].counts == {"unchanged": 1}
    assert (fault_proxy.writes, history_requests(fault_proxy)) == (0, 1)


@BOTH
def test_a_run_that_ended_anew_keeps_its_score(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    before = written(store, run_id)
    _end_again(store, run_id)
    # read, because the listing changed, and found to be what was scored
    assert one_pass(store, experiment)[0].counts == {"unchanged": 1}
    assert written(store, run_id) == before


@BOTH
def test_reprocess_all_writes_all_anew(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    first = written(store, run_id)
    client = MlflowClient(tracking_uri=store.uri)
    at = client.get_metric_history(run_id, "dqi")[0].timestamp
    # somebody logged over it
    client.log_batch(run_id, metrics=[Metric("dqi", 0.999, at + 5_000_000, 0)])
    assert one_pass(store, experiment, reprocess="all")[0].counts == {"scored": 1}
    again = written(store, run_id)
    assert again["metrics"] == first["metrics"]
    assert again["tags"]["fingerprint"] == first["tags"]["fingerprint"]


@BOTH
def test_marks_that_were_taken_away_are_put_back(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    first = written(store, run_id)
    MlflowClient(tracking_uri=store.uri).delete_tag(run_id, "dqi.fingerprint")
    assert one_pass(store, experiment)[0].counts == {"scored": 1}
    again = written(store, run_id)
    assert again["metrics"] == first["metrics"]
    assert again["tags"]["fingerprint"] == first["tags"]["fingerprint"]


@BOTH
def test_a_write_that_died_between_metrics_and_tags_is_done_again(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    before = written(store, run)
    client = MlflowClient(tracking_uri=store.uri)
    at = max(point.timestamp for point in client.get_metric_history(run, "dqi"))
    client.log_batch(run, metrics=[Metric("dqi", 0.99, at + 1, 0)])
    assert written(store, run)["metrics"]["dqi"] == 0.99

    _, outcomes = one_pass(store, experiment)

    assert outcomes[run].outcome == "scored"
    assert written(store, run)["metrics"] == before["metrics"]
    assert one_pass(store, experiment)[0].counts == {"unchanged": 1}
