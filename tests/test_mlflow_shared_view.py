"""The saved view that is kept on MLflow's experiments: what is written, when, and where not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient

from dqi_tracking import AuthError, Report, unscore
from dqi_tracking.cli import main
from dqi_tracking.config import load_settings
from dqi_tracking.errors import ReadRejected, TransientTrackerError
from dqi_tracking.trackers.mlflow.shared_view import TAG, view_state
from tests.conftest import Experiment
from tests.mlflow_runs import SERVED, LogRun, MakeExperiment, curve, one_pass, opened, through
from tests.proxy import FaultProxy
from tests.stores import Server, Store

OLDEST_LIMIT = 5_000
"""Characters of an experiment's tag in every MLflow 2 and 3; 20,000 in 3.17."""
SAVES = "/api/2.0/mlflow/experiments/set-experiment-tag"
DROPS = "/api/2.0/mlflow/experiments/delete-experiment-tag"
PLAIN = "?orderByKey=metrics.%60dqi%60&orderByAsc=false"


def tags(store: Store, experiment: Experiment) -> dict[str, str]:
    return dict(MlflowClient(tracking_uri=store.uri).get_experiment(experiment.id).tags)


def passed(store: Store, experiment: Experiment | str, **settings: Any) -> Report:
    return one_pass(store, experiment, settings)[0]


def posts(path: str) -> Callable[[str, str, bytes], bool]:
    return lambda _, target, body: target.endswith(path)


def unscored(store: Store, experiment: Experiment, **given: Any) -> dict[str, int]:
    settings = load_settings(tracking_uri=store.uri)
    return dict(unscore(f"mlflow:{experiment.name}", settings=settings, **given).counts)


@pytest.fixture
def run_id(store: Store, experiment: Experiment, log_run: LogRun) -> str:
    return log_run(store, experiment.id, metrics={"loss": curve()})


def test_a_backfill_keeps_it_and_a_person_s_own_stay(
    store: Store, experiment: Experiment, run_id: str
) -> None:
    mine = {"mlflow.sharedViewState.mine": '{"orderByKey": "x"}', "team": "a"}
    for key, value in mine.items():
        MlflowClient(tracking_uri=store.uri).set_experiment_tag(experiment.id, key, value)
    before = tags(store, experiment)

    report = passed(store, experiment)

    assert report.view is not None
    assert report.view.url.endswith(f"/#/experiments/{experiment.id}/runs?viewStateShareKey=dqi")
    assert tags(store, experiment) == {**before, TAG: view_state()}
    assert unscored(store, experiment) == {"unscored": 1}
    assert tags(store, experiment) == before


def test_it_names_the_columns_in_order_and_is_far_below_what_a_tag_holds() -> None:
    envelope = json.loads(view_state())
    state = json.loads(envelope["state"])
    words = ["tags.`dqi.weakest`", "tags.`dqi.status`"]
    numbers = [f"metrics.`{name}`" for name in ("dqi", "dqi_early", "dqi_mid", "dqi_late")]
    assert state["selectedColumns"] == [*numbers, *words]
    assert state["columnOrder"] == ["attributes.`Run Name`", *numbers, *words]
    assert (state["orderByKey"], state["orderByAsc"]) == (numbers[0], False)
    assert envelope["name"] == "DQI"
    assert len(view_state()) < OLDEST_LIMIT / 5


@SERVED
def test_it_is_written_where_it_differs_and_nowhere_else(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, run_id: str
) -> None:
    served = through(fault_proxy)
    passed(served, experiment)
    assert fault_proxy.counts["POST", SAVES] == 1
    fault_proxy.reset()
    report = passed(served, experiment)
    assert (fault_proxy.writes, fault_proxy.counts["GET", "/version"]) == (0, 0)
    assert report.view is not None
    assert "viewStateShareKey" in report.view.url
    MlflowClient(tracking_uri=store.uri).set_experiment_tag(experiment.id, TAG, "something else")
    passed(served, experiment)
    assert tags(store, experiment)[TAG] == view_state()
    assert main(["rank", f"mlflow:{experiment.name}", "--tracking-uri", served.uri]) == 0
    assert fault_proxy.counts["POST", SAVES] == 1


@SERVED
@pytest.mark.parametrize("how", ["dry run", "setting", "option", "nothing scored"])
def test_it_is_not_written_where_it_was_not_to_be(
    fault_proxy: FaultProxy,
    store: Store,
    experiment: Experiment,
    log_run: LogRun,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metric = "accuracy" if how == "nothing scored" else "loss"
    log_run(store, experiment.id, metrics={metric: curve()})
    if how == "setting":
        monkeypatch.setenv("DQI_VIEW", "false")
    more = {"dry run": ["--dry-run"], "option": ["--no-view"]}.get(how, [])
    address = [f"mlflow:{experiment.name}", "--tracking-uri", through(fault_proxy).uri]
    assert main(["backfill", *address, *more]) == 0
    assert main(["rank", *address, *(more if how == "option" else [])]) == 0
    assert TAG not in tags(store, experiment)
    assert fault_proxy.counts["POST", SAVES] == 0


@SERVED
def test_a_ranking_keeps_it_only_where_it_prints_its_link(
    store: Store, experiment: Experiment, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    passed(store, experiment, view=False)
    command = ["rank", f"mlflow:{experiment.name}", "--tracking-uri", store.uri]
    for form in ("--json", "--csv"):
        assert main([*command, form]) == 0
        assert TAG not in tags(store, experiment)
        assert "viewStateShareKey" not in "".join(capsys.readouterr())
    assert main(command) == 0
    assert TAG in tags(store, experiment)
    assert "viewStateShareKey" in capsys.readouterr().err


@SERVED
@pytest.mark.parametrize("version", [b"3.16.0", b"2.9.2", b"<html>", b""])
def test_a_server_of_an_older_release_gets_none_and_the_plain_link_stays(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, run_id: str, version: bytes
) -> None:
    fault_proxy.fail(posts("/version"), status=200, body=version)
    report = passed(through(fault_proxy), experiment)
    assert report.counts == {"scored": 1}
    assert report.view is not None
    assert report.view.url.endswith(PLAIN)
    assert TAG not in tags(store, experiment)
    with pytest.raises(ReadRejected, match="no saved views") as refusal:
        opened(through(fault_proxy), experiment).save_view()
    assert "3.17" in refusal.value.fix


@SERVED
@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_spoils_no_backfill_but_is_told_to_who_asks_for_the_view(
    fault_proxy: FaultProxy, store: Store, experiment: Experiment, run_id: str, status: int
) -> None:
    fault_proxy.fail(posts(SAVES), status=status)
    report = passed(through(fault_proxy), experiment)
    assert report.counts == {"scored": 1}
    assert report.view is not None
    assert report.view.url.endswith(PLAIN)
    kind = {403: AuthError, 500: TransientTrackerError}.get(status, Exception)
    with pytest.raises(kind, match="could not save the view"):
        opened(through(fault_proxy), experiment).save_view()


def test_a_person_who_may_only_read_gets_the_plain_link(
    auth_server: Server, log_run: LogRun, make_experiment: MakeExperiment,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from mlflow.server import get_app_client

    store = Store("auth", auth_server.uri, None)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", auth_server.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", auth_server.password)
    experiment = make_experiment(store)
    log_run(store, experiment.id, metrics={"loss": curve()})
    one_pass(store, experiment, {"view": False})
    get_app_client("basic-auth", auth_server.uri).create_user("onlooker", "onlooker-password-1")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "onlooker")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "onlooker-password-1")
    assert main(["rank", f"mlflow:{experiment.name}", "--tracking-uri", store.uri]) == 0
    assert PLAIN in capsys.readouterr().err
    assert TAG not in tags(store, experiment)


@SERVED
def test_all_experiments_get_it_that_have_something_to_score(
    fresh_sqlite: Store, make_experiment: MakeExperiment, log_run: LogRun, store: Store
) -> None:
    two, empty, other = (make_experiment(fresh_sqlite) for _ in range(3))
    for experiment, metric in ((two, "loss"), (two, "loss"), (other, "accuracy")):
        log_run(fresh_sqlite, experiment.id, metrics={metric: curve()})
    report = passed(fresh_sqlite, "mlflow:")
    assert report.view is not None
    assert report.view.url.endswith("/#/experiments")
    assert not report.view.is_sorted
    has_it = {each.name: TAG in tags(fresh_sqlite, each) for each in (two, empty, other)}
    assert has_it == {two.name: True, empty.name: False, other.name: False}
    assert unscored(fresh_sqlite, Experiment("", "")) == {"unscored": 2, "unchanged": 1}
    assert TAG not in tags(fresh_sqlite, two)
    # without a backfill before, `dqi view` looks itself
    opened(fresh_sqlite, "mlflow:").save_view()
    assert TAG in tags(fresh_sqlite, two)
    opened(fresh_sqlite, empty).save_view()
    assert TAG in tags(fresh_sqlite, empty)


@SERVED
def test_a_single_run_s_experiment_has_it_until_the_experiment_is_unscored(
    store: Store, experiment: Experiment, run_id: str
) -> None:
    report = passed(store, f"runs:/{run_id}")
    assert report.view is not None
    assert report.view.url.endswith("?viewStateShareKey=dqi")
    settings = load_settings(tracking_uri=store.uri)
    assert unscore(f"runs:/{run_id}", settings=settings).counts == {"unscored": 1}
    assert TAG in tags(store, experiment)
    for given in ({"dry_run": True}, {"where": "metrics.loss > 0"}):
        unscored(store, experiment, **given)
        assert TAG in tags(store, experiment)
    unscored(store, experiment)
    assert TAG not in tags(store, experiment)


@SERVED
def test_one_that_cannot_be_taken_off_is_told(
    fault_proxy: FaultProxy,
    store: Store,
    experiment: Experiment,
    run_id: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    passed(store, experiment)
    served = through(fault_proxy)
    command = ["unscore", f"mlflow:{experiment.name}", "--tracking-uri", served.uri]
    fault_proxy.fail(posts(DROPS), status=403)
    assert main(command) == 0
    told = capsys.readouterr().err
    assert "note: the saved view stays: could not take off the saved view" in told
    fault_proxy.reset()
    # sent twice: the second answer is that there is no such tag
    fault_proxy.fail(posts(DROPS), status=502, times=1, applied=True)
    assert main(command) == 0
    assert "note:" not in capsys.readouterr().err
    assert TAG not in tags(store, experiment)
    fault_proxy.reset()
    assert main(command) == 0
    assert fault_proxy.writes == 0
