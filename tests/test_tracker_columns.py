"""Columns by name: paths into dictionaries, values of every kind, and those of a curve file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import Query, open_tracker
from dqi_tracking.trackers.columns import EVERY, columns_of, keys_of
from tests.wandb_server.client import PATH, P, wandb
from tests.wandb_server.server import WandbServer

pytest_plugins = ["tests.wandb_server.fixtures"]

TREE = {
    "summary": {"loss": 0.1 + 0.2, "val": {"loss": 2, "of.a": {"b": "deep"}}, "flag": True},
    "config": {"model.name": "flat", "model": {"name": "inside", "size": None}, "list": [1, "ä"]},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("summary.loss", repr(0.1 + 0.2)),
        ("summary.val.loss", "2"),
        ("summary.val.of.a.b", "deep"),
        ("summary.flag", "true"),
        ("summary.val", '{"loss": 2, "of.a": {"b": "deep"}}'),
        ("config.model.name", "flat"),
        ("config.list", json.dumps([1, "ä"])),
        ("config.`model.name`", "flat"),
    ],
)
def test_a_name_leads_to_its_value(name: str, value: str) -> None:
    assert columns_of([name], TREE) == {name: value}


@pytest.mark.parametrize(
    "name",
    [
        "config.model.size",
        "config.model.name.x",
        "config",
        "config.",
        "loss",
        "other.loss",
        "",
        ".",
    ],
)
def test_what_is_null_or_not_there_is_no_column(name: str) -> None:
    assert columns_of([name], TREE) == {}


def test_every_column_has_a_name_that_leads_to_it() -> None:
    told = columns_of([EVERY], TREE)
    assert told == columns_of(told, TREE)
    assert set(told) == {
        "summary.loss",
        "summary.val.loss",
        "summary.val.of.a.b",
        "summary.flag",
        "config.model.name",
        "config.list",
    }


def test_the_keys_of_a_holder_are_told_for_a_query() -> None:
    assert keys_of(["params.a", "tags.b", "params.`c.d`", "params."], "params") == ("a", "c.d")
    assert keys_of(["tags.b"], "params") == ()
    assert keys_of(["params.a", EVERY], "params") is None


@given(st.dictionaries(st.text(min_size=1), st.floats() | st.text() | st.integers(), max_size=5))
def test_values_come_back_whatever_they_are_called(values: dict[str, float | str | int]) -> None:
    quoted = {f"params.`{key}`": value for key, value in values.items()}
    found = columns_of(quoted, {"params": values})
    assert found.keys() == quoted.keys()
    for name, value in quoted.items():
        same = found[name] if isinstance(value, str) else type(value)(found[name])
        assert same == value or (isinstance(value, float) and math.isnan(value))


class TestCurveFile:
    def found(self, path: Path, *names: str) -> dict[str, dict[str, str]]:
        tracker = open_tracker(str(path))
        return {ref.name: dict(ref.columns) for ref in tracker.find(Query(columns=names))}

    def test_columns_of_a_run_are_its_last_values(self, tmp_path: Path) -> None:
        path = tmp_path / "curves.parquet"
        table = {
            "run": ["a", "b", "a", "b", "a"],
            "step": [0, 0, 1, 1, 2],
            "loss": [3.0, 2.0, 2.5, None, None],
            "family": ["x <b>", "y", "x <b>", "y", "x <b>"],
            "note": [None, None, None, "late", None],
            "odd": [1.0, math.nan, 2.0, math.nan, math.inf],
        }
        pq.write_table(pa.table(table), path)
        assert self.found(path, "family", "loss", "note", "odd", "nothing", "run", "step") == {
            "a": {"family": "x <b>", "loss": "2.5", "odd": "inf"},
            "b": {"family": "y", "loss": "2.0", "note": "late", "odd": "nan"},
        }
        assert self.found(path) == {"a": {}, "b": {}}
        assert self.found(path, EVERY)["b"].keys() == {"family", "loss", "note", "odd"}

    def test_a_file_of_one_run_has_them_too(self, tmp_path: Path) -> None:
        path = tmp_path / "one.csv"
        path.write_text("step,loss,model\n0,2.5,gpt\n1,1.5,\n2,,\n")
        assert self.found(path, "loss", "model") == {"one": {"loss": "1.5", "model": "gpt"}}


@pytest.mark.usefixtures("wandb_env")
@pytest.mark.xdist_group("wandb")
class TestWandb:
    def test_nested_values_and_numbers_come_from_config_and_summary(
        self, wandb_server: WandbServer
    ) -> None:
        wandb_server.add_run(
            P,
            "r1",
            history=[{"_step": 0, "loss": 1.0}],
            config={"optimizer": {"lr": 0.1, "name": "adam"}, "layers": 12},
            summary={"best": {"loss": 0.25}, "acc": math.nan, "none": None},
        )
        names = ("config.optimizer.lr", "config.layers", "summary.best.loss", "summary.none")
        tracker = open_tracker(f"wandb:{PATH}")
        try:
            (ref,) = tracker.find(Query(columns=(*names, "summary.acc", "config.optimizer.x")))
        finally:
            tracker.close()
        assert math.isnan(float(ref.columns["summary.acc"]))
        assert {name: ref.columns.get(name) for name in names} == {
            "config.optimizer.lr": "0.1",
            "config.layers": "12",
            "summary.best.loss": "0.25",
            "summary.none": None,
        }

    def test_an_offline_run_tells_what_was_changed_last(self, tmp_path: Path) -> None:
        run = wandb.init(
            mode="offline", dir=str(tmp_path), project=P, config={"opt": {"lr": 0.1}, "model": "a"}
        )
        for step in range(40):
            run.log({"loss": 1 / (step + 1), **({"val": {"acc": 0.5}} if not step else {})})
        run.config.update({"model": "b", "late": 3}, allow_val_change=True)
        run.summary["best"] = 0.25
        run.finish()
        names = ("config.opt.lr", "config.model", "config.late", "summary.best", "summary.val.acc")
        tracker = open_tracker(str(tmp_path))
        (ref,) = tracker.find(Query(columns=(*names, "config._wandb", "summary._wandb.runtime")))
        assert dict(ref.columns) == dict(zip(names, ("0.1", "b", "3", "0.25", "0.5"), strict=True))
        (log,) = tmp_path.rglob("*.wandb")
        content = log.read_bytes()
        log.write_bytes(content[: len(content) // 2])
        (ref,) = open_tracker(str(tmp_path)).find(Query(columns=names))
        assert dict(ref.columns) == {
            "config.opt.lr": "0.1", "config.model": "a", "summary.val.acc": "0.5",
        }  # fmt: skip
