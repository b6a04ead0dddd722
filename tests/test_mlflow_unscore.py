"""Taking scores off MLflow runs, whole or broken off: what goes, what stays, what is said."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from mlflow import MlflowClient

from dqi_tracking import Outcome, Query, Report, RunNotFound, rank, unscore
from dqi_tracking.config import load_settings
from dqi_tracking.names import FACTS
from dqi_tracking.stamp import standing_mark
from dqi_tracking.types import RunRef
from tests.conftest import Experiment
from tests.mlflow_runs import (
    BOTH,
    FILES,
    SERVED,
    LogRun,
    curve,
    found,
    numbers,
    one_pass,
    opened,
    others,
    through,
    written,
)
from tests.proxy import FaultProxy
from tests.stores import Store

STAY = "metrics stay, since MLflow cannot delete them"


def taken_off(
    store: Store, experiment: Experiment, **given: object
) -> tuple[Report, dict[str, Outcome]]:
    settings = {name: given.pop(name) for name in ("artifact", "jobs") if name in given}
    outcomes: list[Outcome] = []
    report = unscore(
        f"mlflow:{experiment.name}",
        settings=load_settings(tracking_uri=store.uri, **settings),
        on_outcome=outcomes.append,
        **given,
    )
    return report, {outcome.ref.run_id: outcome for outcome in outcomes}


def n_unscored(store: Store, experiment: Experiment) -> int:
    settings = load_settings(tracking_uri=store.uri)
    return int(rank(f"mlflow:{experiment.name}", settings=settings).attrs["n_unscored"])


def test_tags_and_files_go_metrics_stay_and_the_run_can_be_scored_again(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    kinds = ("FINISHED", "FAILED", "KILLED", "RUNNING")
    both = {"loss": curve(), "grad_norm": curve(seed=1)}
    runs = [
        log_run(store, experiment.id, metrics=both, tags={"a": "b"}, status=status)
        for status in kinds
    ]
    never = log_run(store, experiment.id, metrics={"accuracy": curve()})
    everything = Query(include_failed=True, include_running=True)
    one_pass(store, experiment, query=everything)
    before, metrics = [others(store, run) for run in runs], written(store, runs[0])["metrics"]
    scores = numbers(store, runs)

    report, outcomes = taken_off(store, experiment)

    assert report.reasons == {("unscored", STAY): 4, ("unchanged", "not scored"): 1}
    assert outcomes[never].outcome == "unchanged"
    assert written(store, runs[0]) == {"metrics": metrics, "tags": {}, "files": []}
    client = MlflowClient(tracking_uri=store.uri)
    assert [client.list_artifacts(run) for run in runs] == [[]] * 4
    assert [others(store, run) for run in runs] == before
    assert n_unscored(store, experiment) == 1
    again = {("unchanged", "not scored, old metrics stay"): 4, ("unchanged", "not scored"): 1}
    assert taken_off(store, experiment)[0].reasons == again
    assert one_pass(store, experiment, query=everything)[0].counts["scored"] == 4
    assert numbers(store, runs) == scores


@BOTH
def test_a_person_s_own_tag_and_file_of_like_name_stay(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    mine = {"dqi.mine": "kept", "dqi": "kept"}
    run_id = log_run(store, experiment.id, metrics={"loss": curve()}, tags=mine)
    client = MlflowClient(tracking_uri=store.uri)
    client.log_text(run_id, "kept", "dqi/mine.txt")
    assert found(store, experiment)[0].stamp is None
    one_pass(store, experiment)
    assert taken_off(store, experiment)[0].counts == {"unscored": 1}
    there = written(store, run_id)
    assert (there["tags"], there["files"]) == ({"mine": "kept"}, ["dqi/mine.txt"])
    assert client.get_run(run_id).data.tags["dqi"] == "kept"
    assert taken_off(store, experiment)[0].counts == {"unchanged": 1}


@BOTH
def test_a_filter_narrows_it(store: Store, experiment: Experiment, log_run: LogRun) -> None:
    one, other = (
        log_run(store, experiment.id, metrics={"loss": curve()}, params={"model": model})
        for model in "ab"
    )
    one_pass(store, experiment)
    report, outcomes = taken_off(store, experiment, where="params.model = 'a'", jobs=2)
    assert (report.counts, set(outcomes)) == ({"unscored": 1}, {one})
    assert written(store, other)["tags"].keys() == set(FACTS)


@BOTH
def test_files_stay_where_artifacts_are_left_alone(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    _, outcomes = taken_off(store, experiment, artifact=False)
    assert outcomes[run_id].reason == f"{STAY}; files stay, as --no-artifact asks"
    there = written(store, run_id)
    assert (there["tags"], there["files"]) == ({}, FILES)


def test_a_run_that_was_deleted_meanwhile_is_skipped_and_one_that_never_was_is_told(
    store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = [log_run(store, experiment.id, metrics={"loss": curve()}) for _ in range(2)]
    one_pass(store, experiment)
    client = MlflowClient(tracking_uri=store.uri)
    report, outcomes = taken_off(store, experiment, on_plan=lambda *_: client.delete_run(runs[0]))
    assert report.counts == {"unscored": 1, "skipped": 1}
    assert outcomes[runs[0]].reason == f"run `{runs[0]}` was deleted"
    assert written(store, runs[0])["tags"].keys() == set(FACTS)
    with pytest.raises(RunNotFound) as refusal:
        opened(store, experiment).erase(RunRef("0" * 32))
    assert refusal.value.fix


def deletes_file(method: str, target: str, body: bytes) -> bool:
    return method == "DELETE" and "/mlflow-artifacts/" in target


def deletes_tag(name: str) -> Callable[[str, str, bytes], bool]:
    return lambda _, target, body: target.endswith("/runs/delete-tag") and name.encode() in body


@SERVED
def test_the_commit_mark_goes_first_and_some_fact_after_the_files(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    sent: list[str] = []

    def watch(method: str, target: str, body: bytes) -> bool:
        if target.endswith("/runs/delete-tag"):
            sent.append(json.loads(body)["key"])
        elif method == "DELETE":
            sent.append("files")
        return False

    fault_proxy.fail(watch)
    taken_off(through(fault_proxy), experiment)
    assert sent[:2] == ["dqi.fingerprint", "files"]
    assert sorted(sent[2:]) == sorted(f"dqi.{fact}" for fact in FACTS if fact != "fingerprint")


@SERVED
def test_files_that_cannot_be_deleted_are_told_and_deleted_the_next_time(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    runs = [log_run(store, experiment.id, metrics={"loss": curve(seed=n)}) for n in range(2)]
    one_pass(store, experiment)
    fault_proxy.fail(lambda *sent: deletes_file(*sent) and runs[0] in sent[1], status=500)
    report, outcomes = taken_off(through(fault_proxy), experiment)
    assert report.counts == {"unscored": 1, "failed": 1}
    failure = outcomes[runs[0]]
    assert failure.reason.startswith("could not delete its files: mlflow-artifacts:/")
    assert failure.fix
    (ref,) = (ref for ref in found(store, experiment) if ref.run_id == runs[0])
    assert (standing_mark(ref), written(store, runs[0])["files"]) == (None, FILES)
    assert n_unscored(store, experiment) == 2
    fault_proxy.reset()
    assert taken_off(through(fault_proxy), experiment)[0].counts == {"unscored": 1, "unchanged": 1}
    there = written(store, runs[0])
    assert (there["tags"], there["files"]) == ({}, [])


@SERVED
@pytest.mark.parametrize("fact", FACTS)
def test_a_run_that_was_broken_off_is_not_scored_and_is_finished_the_next_time(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun, fact: str
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    whole = numbers(store, [run_id])
    fault_proxy.fail(deletes_tag(f"dqi.{fact}"), status=403)
    assert taken_off(through(fault_proxy), experiment)[0].counts == {"failed": 1}
    (ref,) = found(store, experiment)
    assert (standing_mark(ref) is None) == (fact != "fingerprint")
    if fact == "fingerprint":
        assert numbers(store, [run_id]) == whole
    assert taken_off(store, experiment)[0].counts == {"unscored": 1}
    assert found(store, experiment)[0].stamp.facts == {}


@SERVED
def test_a_deletion_that_is_sent_twice_is_no_failure(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, log_run: LogRun
) -> None:
    run_id = log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment)
    for when in (deletes_tag("dqi.fingerprint"), deletes_file):
        fault_proxy.fail(when, status=502, times=1, applied=True)
    assert taken_off(through(fault_proxy), experiment)[0].counts == {"unscored": 1}
    there = written(store, run_id)
    assert (there["tags"], there["files"]) == ({}, [])
