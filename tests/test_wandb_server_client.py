"""Logging in, what the server refuses, and that nothing is left behind."""

from __future__ import annotations

import netrc
import threading
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.wandb_server.client import (
    PATH,
    SERVED,
    AuthenticationError,
    CommError,
    P,
    WandbApiFailedError,
    names,
    wait_for,
    wandb,
)
from tests.wandb_server.graphql import parsed
from tests.wandb_server.server import WandbServer
from tests.wandb_server.server import wandb_server as running_server

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


def processes() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


class TestLogin:
    def test_environment(self, wandb_server: WandbServer, api: wandb.Api):
        assert api.default_entity == "tester"
        assert api.viewer.username == "tester"
        assert api.viewer.teams == ["team"]
        assert wandb_server.requests[0] == ("query", "Viewer")

    def test_login_with_a_key(
        self, wandb_server: WandbServer, new_client: None, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.delenv("WANDB_API_KEY")
        monkeypatch.delenv("WANDB_BASE_URL")
        assert wandb.login(key=wandb_server.api_key, host=wandb_server.url, verify=True)
        host = wandb_server.url.removeprefix("http://")
        login, _, key = netrc.netrc(Path.home() / ".netrc").authenticators(host)
        assert (login, key) == ("user", wandb_server.api_key)

    def test_a_wrong_key_is_not_logged_in(self, wandb_server: WandbServer, new_client: None):
        with pytest.raises(AuthenticationError, match="not logged in"):
            wandb.Api(api_key="f" * 40)
        with pytest.raises(AuthenticationError, match="not logged in"):
            wandb.login(key="f" * 40, host=wandb_server.url, verify=True)
        assert wandb_server.writes == []

    def test_a_key_that_is_revoked_later(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r")
        wandb_server.fail("Run", status=401, body='{"errors":[{"message":"not logged in"}]}')
        with pytest.raises(CommError, match="not logged in"):
            api.run(f"{PATH}/r")

    def test_the_server_tells_its_features(self, wandb_server: WandbServer, api: wandb.Api):
        assert api._service_api.feature_enabled("MARK_RUN_FILES_UPLOADED")
        assert not api._service_api.feature_enabled("AUTOMATION_ACTION_ARIA")


class TestSchema:
    @pytest.mark.parametrize(
        ("query", "problem"),
        [
            ("{ viewer { shoeSize } }", "Cannot query field 'shoeSize' on type 'User'"),
            ('{ project(name: "p", colour: 1) { id } }', "Unknown argument 'colour'"),
            ("mutation { launch { id } }", "Cannot query field 'launch'"),
            ('mutation { upsertBucket(input: {idd: "x"}) { inserted } }', "'idd' is not defined"),
            ("{ viewer { id }", "Syntax Error"),
        ],
    )
    def test_what_is_unknown_is_refused(
        self, wandb_server: WandbServer, api: wandb.Api, query: str, problem: str
    ):
        with pytest.raises(WandbApiFailedError, match=problem) as caught:
            api._service_api.execute_graphql(query)
        assert caught.value.response.http_status == 400

    def test_other_paths_are_not_found(self, wandb_server: WandbServer):
        for path in ("/", "/sdk/otel/v1/logs", "/storage/none"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(wandb_server.url + path)

    def test_queries_are_parsed_once(self, wandb_server: WandbServer, api: wandb.Api):
        wandb_server.add_run(P, "r")
        before = parsed.cache_info().misses
        for _ in range(3):
            names(api.runs(PATH))
        assert parsed.cache_info().misses - before <= 1


class TestEnd:
    def test_nothing_is_left(self, new_client: None, monkeypatch: pytest.MonkeyPatch):
        threads = set(threading.enumerate())
        with running_server() as server:
            monkeypatch.setenv("WANDB_BASE_URL", server.url)
            with wandb.init(project=P, entity="team") as run:
                run.log({"loss": 1})
            server.hang("Runs")
            with pytest.raises(WandbApiFailedError):
                names(wandb.Api(timeout=1).runs(PATH))
            assert any("wandb-core" in process.name() for process in processes())
        wandb.teardown()
        wait_for(lambda: not any("wandb" in process.name() for process in processes()))
        wait_for(lambda: set(threading.enumerate()) <= threads)

    def test_everything_is_written_to_the_folder(
        self, wandb_env: Path, new_client: None, tmp_path: Path
    ):
        elsewhere = [Path.cwd(), Path.home(), tmp_path]
        before = [set(folder.iterdir()) for folder in elsewhere]
        with wandb.init(project=P, entity="team") as run:
            run.log({"loss": 1})
        assert [set(folder.iterdir()) for folder in elsewhere] == before
        assert list((wandb_env / "runs" / "wandb").glob("run-*"))
