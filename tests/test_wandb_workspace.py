"""The saved view of a W&B project, made by the real package on the loopback server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dqi_tracking import rank, unscore
from dqi_tracking.errors import ConfigError
from dqi_tracking.trackers.base import View
from dqi_tracking.trackers.summary import KEYS
from tests.wandb_project import ADDRESS, add_runs, score_all, tracker_of
from tests.wandb_server.client import PATH, SERVED, P
from tests.wandb_server.server import WandbServer

ws = pytest.importorskip("wandb_workspaces.workspaces")
wr = pytest.importorskip("wandb_workspaces.reports.v2")

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

SCORES = ["dqi", "dqi_early", "dqi_mid", "dqi_late"]
PINNED = [f"summary:{name}" for name in [*SCORES, "dqi_weakest", "dqi_status"]]


@pytest.fixture(autouse=True)
def project(wandb_server: WandbServer) -> None:
    wandb_server.add_project(P)


def save(address: str = ADDRESS) -> str:
    with tracker_of(address) as tracker:
        view = tracker.save_view()
    assert view == View(view.url, "", is_sorted=True)
    return view.url


def spec(server: WandbServer, number: int = 0) -> dict[str, Any]:
    section: dict[str, Any] = json.loads(server.views(P)[number].spec)["section"]
    return section


def panels(server: WandbServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = spec(server)["panelBankConfig"]["sections"][0]["panels"]
    return found


def test_the_view_has_the_columns_pinned_and_the_runs_sorted(wandb_server: WandbServer) -> None:
    assert save() == f"{wandb_server.url}/{PATH}?nw=dqitracking"
    (view,) = wandb_server.views(P)
    assert (view.name, view.display_name, view.type) == ("nw-dqitracking-v", "DQI", "project-view")
    (runs,) = spec(wandb_server)["runSets"]
    shown = ["run:displayName", *PINNED]
    assert runs["runFeed"]["columnOrder"] == shown
    assert runs["runFeed"]["columnPinned"] == dict.fromkeys(shown, True)
    assert runs["runFeed"]["columnVisible"] == dict.fromkeys(shown, True)
    first = {"key": {"section": "summary", "name": "dqi"}, "ascending": False}
    assert runs["sort"]["keys"] == [first]


def test_every_column_is_written_on_scored_runs(wandb_server: WandbServer) -> None:
    assert {name.removeprefix("summary:") for name in PINNED} <= set(KEYS)
    add_runs(wandb_server, "r")
    assert score_all(files=False).counts == {"scored": 1}
    summary = wandb_server.run(P, "r").summary
    assert {name.removeprefix("summary:") for name in PINNED} <= set(summary)


def test_there_is_a_histogram_of_dqi_and_of_each_phase(wandb_server: WandbServer) -> None:
    save()
    histograms = [panel for panel in panels(wandb_server) if panel["viewType"] == "Vega2"]
    asked = []
    for panel in histograms:
        config = panel["config"]
        assert config["panelDefId"] == "wandb/histogram/v0"
        (query,) = config["userQuery"]["queryFields"]
        (summary,) = (field for field in query["fields"] if field["name"] == "summary")
        assert summary["args"] == [{"name": "keys", "value": [config["fieldSettings"]["value"]]}]
        asked.append(config["fieldSettings"]["value"])
    assert asked == SCORES


def test_the_phases_are_compared_run_by_run(wandb_server: WandbServer) -> None:
    save()
    by_type = {panel["viewType"]: panel["config"] for panel in panels(wandb_server)}
    axes = [column["accessor"] for column in by_type["Parallel Coordinates Plot"]["columns"]]
    assert axes == [f"summary:{name}" for name in SCORES]
    scatter = by_type["Scatter Plot"]
    assert (scatter["xAxis"], scatter["yAxis"]) == ("summary:dqi_early", "summary:dqi_late")


def test_a_second_time_it_is_found_and_nothing_is_written(wandb_server: WandbServer) -> None:
    first = save()
    before = wandb_server.views(P)
    wandb_server.reset_counts()
    assert save() == first
    assert wandb_server.views(P) == before
    assert wandb_server.writes == []


def test_a_view_that_lacks_something_is_updated_under_its_name(wandb_server: WandbServer) -> None:
    first = save()
    (before,) = wandb_server.views(P)
    view = ws.Workspace.from_url(first)
    view.runset_settings.order = [ws.Ordering(ws.Metric("Name"))]
    view.runset_settings.pinned_columns = ["summary:dqi"]
    view.sections = []
    view.save()
    assert save() == first
    (after,) = wandb_server.views(P)
    assert (after.id, after.name) == (before.id, before.name)
    assert json.loads(after.spec) == json.loads(before.spec)


def test_no_other_view_is_touched_not_even_one_of_the_same_title(wandb_server: WandbServer) -> None:
    ws.Workspace("team", P, name="DQI", sections=[ws.Section(name="DQI")]).save()
    wandb_server.add_view(P, "nw-dqitracking2-v", "not even JSON", display_name="DQI")
    before = wandb_server.views(P)
    save()
    save()
    assert wandb_server.views(P)[:2] == before
    assert len(wandb_server.views(P)) == 3


def test_what_a_person_changed_in_the_view_stays(wandb_server: WandbServer) -> None:
    url = save()
    view = ws.Workspace.from_url(url)
    view.name = "Curves"
    view.runset_settings.filters = "Config('lr') >= 0.1"
    view.runset_settings.groupby = [ws.Config("model")]
    view.runset_settings.pinned_columns = ["summary:accuracy", *PINNED]
    view.runset_settings.order = [ws.Ordering(ws.Summary("accuracy"))]
    mine = wr.LinePlot(title="mine", y=["loss"])
    view.sections[0].panels = [mine, *view.sections[0].panels[2:]]
    view.sections = [*view.sections, ws.Section(name="more", panels=[wr.BarPlot(title="bars")])]
    view.save()
    (before,) = spec(wandb_server)["runSets"]
    assert save() == url
    (stored,) = wandb_server.views(P)
    assert stored.display_name == "Curves"
    (runs,) = spec(wandb_server)["runSets"]
    assert "lr" in json.dumps(before["filters"])
    assert "model" in json.dumps(before["grouping"])
    assert (runs["filters"], runs["grouping"]) == (before["filters"], before["grouping"])
    # what makes it a view of DQI is put back
    assert runs["runFeed"]["columnOrder"] == ["run:displayName", *PINNED, "summary:accuracy"]
    assert [key["key"]["name"] for key in runs["sort"]["keys"]] == ["dqi"]
    names = [section["name"] for section in spec(wandb_server)["panelBankConfig"]["sections"]]
    assert names == ["DQI", "more"]
    shown = panels(wandb_server)
    assert len({panel["__id__"] for panel in shown}) == len(shown) == 7
    assert shown[-1]["config"]["chartTitle"] == "mine"


@pytest.mark.parametrize("name", ["my project", "проект", "数据", "a+b&c=d", "q\N{ROCKET}"])
def test_projects_of_any_name_keep_one_view(wandb_server: WandbServer, name: str) -> None:
    wandb_server.add_project(name)
    first = save(f"wandb:team/{name}")
    assert first.isascii()
    assert " " not in first
    assert save(f"wandb:team/{name}") == first
    assert len(wandb_server.views(name)) == 1


def test_backfill_and_rank_keep_no_view(wandb_server: WandbServer) -> None:
    add_runs(wandb_server, "r")
    assert score_all(files=False).counts == {"scored": 1}
    assert len(rank(ADDRESS)) == 1
    assert wandb_server.views(P) == []
    with tracker_of() as tracker:
        assert not tracker.keeps_view


def test_unscoring_leaves_the_view(wandb_server: WandbServer) -> None:
    add_runs(wandb_server, "r")
    assert score_all(files=False).counts == {"scored": 1}
    save()
    before = wandb_server.views(P)
    assert unscore(ADDRESS).counts == {"unscored": 1}
    assert wandb_server.views(P) == before


def test_no_run_is_written_or_even_listed(wandb_server: WandbServer) -> None:
    add_runs(wandb_server, "r")
    before = wandb_server.run(P, "r")
    save()
    assert wandb_server.run(P, "r") == before
    assert wandb_server.mutations == ["UpsertView2"]
    assert not any("Runs" in operation for _, operation in wandb_server.requests)


def test_a_run_has_no_view(wandb_server: WandbServer) -> None:
    add_runs(wandb_server, "r")
    with (
        tracker_of(f"{ADDRESS}/r") as tracker,
        pytest.raises(ConfigError, match="not for a run") as caught,
    ):
        tracker.save_view()
    assert "wandb:ENTITY/PROJECT" in caught.value.fix
    assert wandb_server.writes == []
