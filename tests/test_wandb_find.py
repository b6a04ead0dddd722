"""What the W&B tracker lists, and what a listing costs."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dqi_tracking.errors import ConfigError, ExperimentNotFound, ReadRejected, RunNotFound
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query
from tests.wandb_project import ADDRESS, add_runs, falling, listed, score_all
from tests.wandb_server.client import PATH, SERVED, P
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED


def ids(query: Query | None = None, address: str = ADDRESS) -> list[str]:
    return [ref.run_id for ref in listed(address, query)]


class TestWhatIsMeant:
    def test_the_newest_run_comes_first(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a", "b", "c")
        assert ids() == ["c", "b", "a"]
        assert ids(Query(limit=2)) == ["c", "b"]

    def test_one_run_whatever_its_state(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a", "b", state="crashed")
        for address in (f"{ADDRESS}/a", f"wandb:{PATH}/runs/a", f"{ADDRESS}/a/"):
            assert ids(address=address) == ["a"]

    @pytest.mark.parametrize(
        ("state", "query"),
        [
            ("finished", Query()),
            ("crashed", Query(include_failed=True)),
            ("failed", Query(include_failed=True)),
            ("killed", Query(include_failed=True)),
            ("preempted", Query(include_failed=True)),
            ("running", Query(include_running=True)),
            ("pending", Query(include_running=True)),
        ],
    )
    def test_a_state_is_listed_where_it_is_asked_for(
        self, wandb_server: WandbServer, state: str, query: Query
    ):
        add_runs(wandb_server, "done")
        add_runs(wandb_server, "r", state=state)
        assert ids(query) == ["r", "done"]
        assert ids() == (["r", "done"] if state == "finished" else ["done"])

    def test_runs_since_a_time(self, wandb_server: WandbServer):
        for day in (1, 2, 3):
            made = datetime(2026, 3, day, tzinfo=timezone.utc)
            wandb_server.add_run(P, f"r{day}", history=falling(), created_at=made)
        since = int(datetime(2026, 3, 2, tzinfo=timezone.utc).timestamp() * 1000)
        assert ids(Query(since=since)) == ["r3", "r2"]

    def test_a_filter_in_the_words_of_the_tracker(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a", config={"lr": 0.1})
        add_runs(wandb_server, "b", config={"lr": 0.2}, tags=["keep"])
        assert ids(Query('{"config.lr": 0.1}')) == ["a"]
        assert ids(Query('{"tags": "keep"}')) == ["b"]

    @pytest.mark.parametrize("where", ["lr = 1", "[]", '"x"', "{"])
    def test_a_filter_that_is_none_says_how_they_look(self, where: str):
        with pytest.raises(ConfigError, match="no JSON object") as caught:
            ids(Query(where))
        assert "config.lr" in caught.value.fix

    def test_a_filter_that_the_server_refuses(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a")
        with pytest.raises(ReadRejected, match="invalid filter") as caught:
            ids(Query('{"bogus": 1}'))
        assert "--where" in caught.value.fix

    def test_the_run_that_logs_artifacts_is_never_meant(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a")
        add_runs(wandb_server, "dqi-backfill", "other-id", job_type="dqi-backfill")
        assert ids() == ["a"]
        assert score_all().counts == {"scored": 1}


class TestWhatIsTold:
    def test_a_line_of_the_listing(self, wandb_server: WandbServer):
        made = datetime(2026, 3, 1, tzinfo=timezone.utc)
        wandb_server.add_run(P, "a", name="my run", history=falling(), created_at=made)
        (ref,) = listed()
        assert (ref.run_id, ref.name, ref.group, ref.status) == ("a", "my run", P, "FINISHED")
        assert ref.started == int(made.timestamp() * 1000)
        assert [str(key) for key in ref.loss_keys] == ["loss"]
        assert (ref.latest["loss"], ref.latest["_step"]) == ("40", "39")
        assert ref.stamp is None

    def test_images_and_tables_are_no_series(self, wandb_server: WandbServer):
        media = [{"_type": "image-file", "path": "x.png"}, {"_type": "table-file"}]
        history = [{"loss": one, "train/loss": 1.0} for one in media]
        wandb_server.add_run(P, "a", history=history)
        (ref,) = listed()
        assert [str(key) for key in ref.loss_keys] == ["train/loss"]

    def test_a_hostile_name_is_only_a_name(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "a", name="\x1b[31m<b>../x", history=falling())
        (ref,) = listed()
        assert ref.name == "\x1b[31m<b>../x"
        assert score_all().counts == {"scored": 1}


class TestWhatItCosts:
    def test_a_request_a_page_and_one_to_log_in(self, wandb_server: WandbServer):
        for number in range(250):
            add_runs(wandb_server, f"r{number}")
        wandb_server.reset_counts()
        assert len(set(ids())) == 250
        assert [name for kind, name in wandb_server.requests if kind == "query"] == [
            "Viewer", "Runs", "Runs", "Runs",
        ]  # fmt: skip
        assert wandb_server.writes == []


class TestWhatIsNotThere:
    @pytest.mark.parametrize("path", ["team/none", "others/secret"])
    def test_a_project_that_is_not_there_or_not_ours(self, wandb_server: WandbServer, path: str):
        wandb_server.add_project("secret", entity="others").private = True
        with pytest.raises(ExperimentNotFound, match=path) as caught:
            ids(address=f"wandb:{path}")
        assert "log in" in caught.value.fix

    def test_an_empty_project(self, wandb_server: WandbServer):
        wandb_server.add_project(P)
        assert ids() == []

    def test_a_run_that_is_not_there(self, wandb_server: WandbServer):
        add_runs(wandb_server, "a")
        with pytest.raises(RunNotFound, match="none"):
            ids(address=f"{ADDRESS}/none")

    @pytest.mark.parametrize("address", ["wandb:", "wandb:p", "wandb:a/b/c/d", "wandb:team//x"])
    def test_an_address_that_names_no_project(self, address: str):
        with pytest.raises(ConfigError, match="names no project") as caught:
            open_tracker(address)
        assert "ENTITY/PROJECT" in caught.value.fix
