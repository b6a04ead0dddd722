"""Saving a view on W&B when something is missing, refused, slow or strange."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest

from dqi_tracking.errors import (
    AuthError,
    ConfigError,
    ExperimentNotFound,
    ReadRejected,
    TransientTrackerError,
    WriteRejected,
)
from dqi_tracking.trackers.limits import Deadline, Pace
from dqi_tracking.trackers.wandb.client import Client
from dqi_tracking.trackers.wandb.workspace import save_workspace
from tests.wandb_project import ADDRESS, tracker_of
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.faults import AT_ONCE
from tests.wandb_server.server import WandbServer

pytest.importorskip("wandb_workspaces.workspaces")

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

NAME = "nw-dqitracking-v"


@pytest.fixture(autouse=True)
def project(wandb_server: WandbServer) -> None:
    wandb_server.add_project(P)


def spoil(server: WandbServer) -> None:
    """Change the view as a person may, so that there is something to update."""
    (view,) = server.views(P)
    stored = server.store.projects["team", P].views[view.id]
    stored.spec = re.sub(r'("ascending": ?)false', r"\1true", stored.spec)
    assert stored.spec != view.spec


def save(address: str = ADDRESS, **settings: float) -> str:
    with tracker_of(address, **settings) as tracker:
        return tracker.save_view().url


def test_without_the_package_it_says_what_to_install(
    wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("wandb_workspaces")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        save()
    assert caught.value.fix == "pip install 'dqi-tracking[workspaces]'"
    assert wandb_server.writes == []


def test_a_project_that_is_not_there(wandb_server: WandbServer) -> None:
    with pytest.raises(ExperimentNotFound, match="no project team/other") as caught:
        save("wandb:team/other")
    assert "wandb:ENTITY/PROJECT" in caught.value.fix
    assert wandb_server.writes == []


def test_a_project_that_may_only_be_read(wandb_server: WandbServer) -> None:
    wandb_server.add_project("theirs", entity="others")
    with pytest.raises(AuthError, match="could not save the view") as caught:
        save("wandb:others/theirs")
    assert "WANDB_API_KEY" in caught.value.fix
    assert wandb_server.views("theirs", entity="others") == []


@pytest.mark.parametrize("operation", ["DQIView", "View", "UpsertView2"])
def test_a_server_that_fails_is_told_and_the_view_stays(
    wandb_server: WandbServer, operation: str
) -> None:
    save()
    spoil(wandb_server)
    before = wandb_server.views(P)
    wandb_server.fail(operation, status=502, headers=AT_ONCE)
    with pytest.raises(TransientTrackerError, match="could not save the view") as caught:
        save()
    assert caught.value.fix
    assert wandb_server.views(P) == before


def test_a_lost_answer_leaves_one_view_all_the_same(wandb_server: WandbServer) -> None:
    wandb_server.lost_answer("UpsertView2", status=None, times=1)
    try:
        save()
    except (TransientTrackerError, WriteRejected):
        save()
    assert [view.name for view in wandb_server.views(P)] == [NAME]


@pytest.mark.parametrize("operation", ["DQIView", "UpsertView2"])
def test_a_server_that_is_silent_is_given_up(wandb_server: WandbServer, operation: str) -> None:
    wandb_server.hang(operation)
    with pytest.raises(TransientTrackerError, match=r"save the view within 1\.5 seconds") as caught:
        save(deadline=1.5)
    assert "DQI_DEADLINE" in caught.value.fix


@pytest.mark.parametrize(
    "spec", ["{}", "[]", '"text"', "null", '{"version": 9}', '{"section": {"runSets": []}}']
)
def test_a_view_that_cannot_be_taken_apart_is_left_alone(
    wandb_server: WandbServer, spec: str
) -> None:
    wandb_server.add_view(P, NAME, spec)
    before = wandb_server.views(P)
    with pytest.raises(ReadRejected, match="cannot be taken apart") as caught:
        save()
    assert f"{wandb_server.url}/team/{P}?nw=dqitracking" in str(caught.value)
    assert "delete that view" in caught.value.fix
    assert wandb_server.views(P) == before


def test_a_view_with_panels_that_the_package_does_not_know_is_kept(
    wandb_server: WandbServer,
) -> None:
    save()
    (view,) = wandb_server.views(P)
    spec = json.loads(view.spec)
    unknown = {"viewType": "Future Panel", "__id__": "x", "config": {"a": 1}, "layout": {}}
    spec["section"]["panelBankConfig"]["sections"][0]["panels"].append(unknown)
    stored = wandb_server.store.projects["team", P].views[view.id]
    stored.spec = json.dumps(spec)
    spoil(wandb_server)
    save()
    (after,) = wandb_server.views(P)
    section = json.loads(after.spec)["section"]["panelBankConfig"]["sections"][0]
    assert section["panels"][-1]["viewType"] == "Future Panel"


def test_a_server_that_lists_other_views_first_gets_nothing_overwritten(
    wandb_server: WandbServer,
) -> None:
    wandb_server.add_view(P, "nw-somebodyelse-v", "{}", display_name="theirs")
    wandb_server.behaviour.filters_views = False
    before = wandb_server.views(P)
    with pytest.raises(ReadRejected, match="nw-somebodyelse-v"):
        save()
    assert wandb_server.views(P) == before


def test_a_server_that_names_views_itself_is_told(wandb_server: WandbServer) -> None:
    wandb_server.behaviour.keeps_view_names = False
    with pytest.raises(WriteRejected, match="would not be found again") as caught:
        save()
    assert "bug" in caught.value.fix


class Counted(Pace):
    """A pace that also counts the turns it gave."""

    def __init__(self) -> None:
        super().__init__(None)
        self.turns = 0

    def wait(self, requests: int) -> None:
        self.turns += requests
        super().wait(requests)


def test_every_request_has_had_its_turn(wandb_server: WandbServer) -> None:
    client = Client("team", P, timeout=10)
    try:
        for turns in (4, 3, 6):
            if turns == 6:
                spoil(wandb_server)
            wandb_server.reset_counts()
            pace = Counted()
            save_workspace(client, pace, Deadline(10, "save the view", ""))
            sent = [seen for seen in wandb_server.requests if seen.kind != "other"]
            assert len(sent) == pace.turns == turns
    finally:
        client.close()


def test_the_key_is_in_no_log(
    wandb_server: WandbServer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        url = save()
        spoil(wandb_server)
        wandb_server.fail("UpsertView2", status=403, times=1)
        with pytest.raises(AuthError) as caught:
            save()
    said = [url, str(caught.value), caught.value.fix, caplog.text, *capfd.readouterr()]
    assert not any(wandb_server.api_key in text for text in said)
    (view,) = wandb_server.views(P)
    assert not re.search(wandb_server.api_key, view.spec)
