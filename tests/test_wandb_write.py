"""What the W&B tracker writes, and what it leaves alone."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from dqi_tracking.config import load_settings
from dqi_tracking.errors import AuthError
from dqi_tracking.names import FACTS, KEY_OF_FACT, METRICS, SCORES
from dqi_tracking.ranking import rank
from dqi_tracking.stamp import standing_mark
from dqi_tracking.trackers.base import Query
from dqi_tracking.trackers.summary import KEYS
from dqi_tracking.unscoring import unscore
from tests.wandb_project import (
    ADDRESS,
    add_runs,
    failure_of,
    falling,
    listed,
    score_all,
    tracker_of,
)
from tests.wandb_server.client import SERVED, P
from tests.wandb_server.faults import AT_ONCE
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]
pytestmark = SERVED

OWN = {
    "tags": ["keep", "me"],
    "notes": "by a person",
    "config": {"lr": 0.1, "net": {"depth": 3}},
    "name": "my run",
    "group": "g",
    "job_type": "train",
}
HISTORY = [row | {"grad_norm": 1.0} for row in falling() if not 20 <= row["_step"] < 28]
"""With a gradient norm, and with a hole for the checks to find."""
SUMMARY = {"loss": 0.1, "best": {"loss": 0.05}, "dqi_mine": "a note", "big": 2**53 + 1, "no": None}


class TestPutOnTheRun:
    @pytest.fixture(autouse=True)
    def run(self, wandb_server: WandbServer) -> None:
        wandb_server.add_run(P, "r", history=list(HISTORY), summary=SUMMARY, **OWN)

    def test_the_score_stands_in_the_summary(self, wandb_server: WandbServer):
        assert score_all().counts == {"scored": 1}
        summary = wandb_server.run(P, "r").summary
        assert {*METRICS, *(KEY_OF_FACT[fact] for fact in FACTS)} <= set(summary)
        assert 0 < summary["dqi"] < 1
        assert (summary["dqi_status"], summary["dqi_signal"]) == ("ok", "loss")
        assert summary["dqi_findings"].split(",") == ["missing_rows", "largest_gap"]
        assert (summary["dqi_checks"], summary["dqi_grad_late"]) == (2.0, 0.0)
        table = rank(ADDRESS)
        assert table.loc[0, list(METRICS)].to_dict() == {key: summary[key] for key in METRICS}

    def test_runs_are_found_by_what_was_read_from_them(self, wandb_server: WandbServer):
        wandb_server.add_run(P, "clean", history=falling())
        score_all()
        for where in ('{"summary_metrics.dqi_checks": {"$gt": 0}}',
                      '{"summary_metrics.dqi_grad_late": {"$exists": true}}'):  # fmt: skip
            assert rank(ADDRESS, where=where)["run"].tolist() == ["r"]
        states = dict(zip(*rank(ADDRESS)[["run", "dqi_state"]].to_numpy().T, strict=True))
        for run_id, state in states.items():
            where = json.dumps({"summary_metrics.dqi_state": state})
            assert run_id in rank(ADDRESS, where=where)["run"].tolist()

    def test_findings_that_are_gone_lose_their_key(self, wandb_server: WandbServer):
        score_all()
        wandb_server.live(P, "r").history[:] = falling(60)
        assert score_all(verify=True).counts == {"scored": 1}
        summary = wandb_server.run(P, "r").summary
        assert summary["dqi_checks"] == 0.0
        assert "dqi_findings" not in summary
        assert "dqi_grad_late" not in summary

    def test_nothing_of_a_persons_changes(self, wandb_server: WandbServer):
        before = wandb_server.run(P, "r")
        score_all(artifact=True)
        after = wandb_server.run(P, "r")
        kept = {key: value for key, value in after.summary.items() if key not in KEYS}
        assert kept == SUMMARY
        for name in ("state", "heartbeat_at", "created_at", "tags", "notes", "config", "group",
                     "display_name", "job_type", "history", "log"):  # fmt: skip
            assert getattr(after, name) == getattr(before, name), name

    def test_files_are_attached(self, wandb_server: WandbServer):
        score_all()
        phases = json.loads(wandb_server.file(P, "r", "dqi/phases.json") or "")
        assert phases["fingerprint"] == wandb_server.run(P, "r").summary["dqi_fingerprint"]
        assert (wandb_server.file(P, "r", "dqi/phases.html") or b"").startswith(b"<!")
        assert all(file.marked for file in wandb_server.run(P, "r").files.values())

    def test_a_server_without_a_word_for_uploaded_files(self, wandb_server: WandbServer):
        wandb_server.behaviour.features -= {"MARK_RUN_FILES_UPLOADED"}
        assert score_all().counts == {"scored": 1}
        assert wandb_server.file(P, "r", "dqi/phases.json")

    def test_no_files_where_none_are_wanted(self, wandb_server: WandbServer):
        score_all(files=False)
        assert wandb_server.run(P, "r").files == {}
        assert wandb_server.runs(P) == ["r"]

    def test_the_summary_comes_last(self, wandb_server: WandbServer):
        score_all(artifact=True)
        requests = wandb_server.seen
        (mark,) = [
            position
            for position, request in enumerate(requests)
            if "dqi_fingerprint" in str(request.variables.get("summaryMetrics"))
        ]
        for operation in ("MarkRunFilesUploaded", "CommitArtifact", "CreateArtifact"):
            assert operation in [request.operation for request in requests[:mark]]
            assert operation not in [request.operation for request in requests[mark:]]

    def test_a_second_pass_does_nothing(self, wandb_server: WandbServer):
        score_all(artifact=True)
        wandb_server.reset_counts()
        assert score_all(artifact=True).counts == {"unchanged": 1}
        assert wandb_server.writes == []
        assert [name for kind, name in wandb_server.requests if kind == "query"] == [
            "Viewer", "Runs",
        ]  # fmt: skip

    def test_late_points_are_scored_again(self, wandb_server: WandbServer):
        score_all()
        before = wandb_server.run(P, "r").summary["dqi_fingerprint"]
        wandb_server.live(P, "r").history.extend(falling(60)[40:])
        assert score_all().counts == {"scored": 1}
        assert wandb_server.run(P, "r").summary["dqi_fingerprint"] != before

    def test_a_run_that_turned_nan_loses_its_numbers(self, wandb_server: WandbServer):
        score_all()
        wandb_server.live(P, "r").history.append({"_step": 40, "loss": math.nan})
        assert score_all().counts == {"scored": 1}
        summary = wandb_server.run(P, "r").summary
        assert summary["dqi_status"] == "nan"
        assert [key for key in SCORES if key in summary] == []
        assert "dqi_weakest" not in summary
        assert rank(ADDRESS).loc[0, "dqi_status"] == "nan"
        assert score_all().counts == {"unchanged": 1}

    def test_a_persons_nan_stays_what_it_is(self, wandb_server: WandbServer):
        for form in ("strings", "tokens"):
            wandb_server.behaviour.nonfinite = form
            wandb_server.live(P, "r").summary |= {"mine": math.nan, "top": -math.inf}
            assert score_all(reprocess="all").counts == {"scored": 1}
            summary = wandb_server.run(P, "r").summary
            assert (summary["mine"], summary["top"]) == ("NaN", "-Infinity"), form


class TestAtTheSameTime:
    @pytest.fixture(autouse=True)
    def runs(self, wandb_server: WandbServer) -> None:
        add_runs(wandb_server, "a", "b", summary={"x": 1})

    def test_what_was_written_since_the_listing_is_kept(self, wandb_server: WandbServer):
        summary = wandb_server.live(P, "b").summary
        wandb_server.before("SampledHistoryPage", lambda: summary.update(x=2, y=3))
        score_all()
        after = wandb_server.run(P, "b").summary
        assert (after["x"], after["y"]) == (2, 3)
        assert "dqi" in after

    @pytest.mark.parametrize("run_id", ["b", "a"])
    def test_keys_that_somebody_dropped_are_put_back(self, wandb_server: WandbServer, run_id: str):
        # who writes from an older state drops our keys; `b` is scored first, `a` is the last
        def overwrite() -> None:
            live = wandb_server.live(P, run_id)
            if "dqi" in live.summary and live.summary["x"] != 9:
                live.summary = {"x": 9}

        wandb_server.before("Runs", overwrite, times=None)
        score_all()
        after = wandb_server.run(P, run_id).summary
        assert after["x"] == 9
        assert "dqi_fingerprint" in after

    def test_a_lost_answer_is_looked_up(self, wandb_server: WandbServer):
        wandb_server.lost_answer("UpsertBucket", status=400)
        assert score_all().counts == {"scored": 2}
        assert all("dqi" in wandb_server.run(P, run_id).summary for run_id in "ab")

    def test_a_write_that_came_too_late_is_looked_up(self, wandb_server: WandbServer):
        wandb_server.hang("UpsertBucket", times=1, applied=True)
        assert score_all(deadline=0.5).counts == {"scored": 2}

    def test_a_refused_write_leaves_no_mark(self, wandb_server: WandbServer):
        wandb_server.fail("UpsertBucket", status=500, headers=AT_ONCE)
        assert score_all().counts == {"failed": 2}
        assert wandb_server.run(P, "a").summary == {"x": 1}
        wandb_server.clear()
        assert score_all().counts == {"scored": 2}

    def test_eight_threads(self, wandb_server: WandbServer):
        names = [f"r{number}" for number in range(24)]
        add_runs(wandb_server, *names)
        assert score_all(jobs=8, artifact=True).counts == {"scored": 26}
        assert all("dqi_fingerprint" in wandb_server.run(P, name).summary for name in names)
        assert len(wandb_server.artifacts(P)) == 26


class TestTakenOff:
    @pytest.fixture(autouse=True)
    def run(self, wandb_server: WandbServer) -> None:
        wandb_server.add_run(P, "r", history=falling(), summary=SUMMARY, **OWN)
        add_runs(wandb_server, "other")
        wandb_server.add_file(P, "r", "dqi/mine.txt", b"a person's")

    def test_all_that_was_written_goes(self, wandb_server: WandbServer):
        before = wandb_server.run(P, "r")
        score_all(artifact=True)
        with tracker_of() as tracker:
            (ref,) = [ref for ref in tracker.find(Query()) if ref.run_id == "r"]
            assert tracker.erase(ref) == ""
        after = wandb_server.run(P, "r")
        assert (after.summary, after.tags, after.notes, after.config, after.state) == (
            before.summary, before.tags, before.notes, before.config, before.state,
        )  # fmt: skip
        assert list(after.files) == ["dqi/mine.txt"]
        assert [made.collection.name for made in wandb_server.artifacts(P)] == ["dqi-other"]
        assert "dqi" in wandb_server.run(P, "other").summary

    def test_twice_is_as_once(self, wandb_server: WandbServer):
        score_all()
        with tracker_of() as tracker:
            for _ in range(2):
                for ref in list(tracker.find(Query())):
                    tracker.erase(ref)
        assert [ref.stamp for ref in listed()] == [None, None]
        assert score_all().counts == {"scored": 2}

    def test_what_was_interrupted_is_found_again_and_does_not_count(
        self, wandb_server: WandbServer
    ):
        score_all(artifact=True)
        wandb_server.fail("deleteFiles", status=403)
        with tracker_of() as tracker:
            for ref in list(tracker.find(Query())):
                with pytest.raises(AuthError):
                    tracker.erase(ref)
        wandb_server.clear()
        refs = listed()
        assert [standing_mark(ref) for ref in refs] == [None, None]
        assert all(ref.stamp and ref.stamp.facts for ref in refs)
        assert unscore(ADDRESS).counts == {"unscored": 2}
        assert [ref.stamp for ref in listed()] == [None, None]
        assert list(wandb_server.run(P, "r").files) == ["dqi/mine.txt"]

    def test_the_artifact_stays_where_it_is_to_be_left_alone(self, wandb_server: WandbServer):
        score_all(artifact=True)
        report = unscore(ADDRESS, settings=load_settings(artifact=False))
        assert report.reasons == {("unscored", "the Artifact stays, as --no-artifact asks"): 2}
        assert len(wandb_server.artifacts(P, "r")) == 1

    def test_somebody_elses_artifact_stays(self, wandb_server: WandbServer):
        import wandb

        with wandb.init(entity="team", project=P, id="person") as person:
            artifact = wandb.Artifact("model", type="model")
            with artifact.new_file("weights") as file:
                file.write("1")
            person.log_artifact(artifact)
        score_all(f"{ADDRESS}/person", artifact=True)
        with tracker_of(f"{ADDRESS}/person") as tracker:
            for ref in list(tracker.find(Query())):
                tracker.erase(ref)
        assert [made.collection.name for made in wandb_server.artifacts(P)] == ["model"]


class TestSurroundings:
    def test_nothing_is_left_where_the_command_runs(
        self, wandb_server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WANDB_DIR", str(tmp_path))
        add_runs(wandb_server, "r")
        before = dict(os.environ)
        score_all(artifact=True)
        assert list(tmp_path.iterdir()) == []
        assert dict(os.environ) == before

    def test_a_run_that_the_process_trains_goes_on(self, wandb_server: WandbServer):
        import wandb

        add_runs(wandb_server, "r")
        with wandb.init(entity="team", project=P, id="mine") as mine:
            mine.log({"loss": 1.0})
            assert score_all(artifact=True).counts == {"scored": 1}
            assert wandb.run is mine
            mine.log({"loss": 0.5})
        assert [row["loss"] for row in wandb_server.run(P, "mine").history] == [1.0, 0.5]
        assert wandb_server.run(P, "mine").state == "finished"


def test_a_project_of_others_is_read_and_refuses_the_write(wandb_server: WandbServer):
    wandb_server.add_run("open", "r", entity="others", history=falling())
    failure = failure_of(score_all("wandb:others/open"))
    assert "permission denied" in failure.reason
    assert "WANDB_API_KEY" in failure.fix
    assert "r" in [ref.run_id for ref in listed("wandb:others/open")]
