"""Curve files: one row a logged step, one column a metric."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from dqi_tracking import History, RunRef, score
from dqi_tracking.config import Settings
from dqi_tracking.errors import (
    ConfigError,
    MalformedHistory,
    MissingMetric,
    ReadRejected,
    StoreNotFound,
    WriteRejected,
)
from dqi_tracking.trackers import open_tracker
from dqi_tracking.trackers.base import Query, View
from dqi_tracking.trackers.curve_file import RUN_COLUMNS, STEP_COLUMNS
from dqi_tracking.types import Stamp

NAN, INF = float("nan"), float("inf")


def read(path: Path, **settings: object) -> dict[str, History]:
    tracker = open_tracker(str(path), settings=Settings(**settings))
    refs = list(tracker.find(Query()))
    found = {reading.ref.run_id: reading.found() for reading in tracker.read(refs)}
    tracker.close()
    return found


def rows(history: History) -> list[tuple[float, float]]:
    assert history.loss is not None
    return list(zip(history.step.tolist(), history.loss.tolist(), strict=True))


@pytest.fixture
def csv(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str, name: str = "curve.csv") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def parquet(tmp_path: Path) -> Callable[..., Path]:
    def write(**columns: object) -> Path:
        path = tmp_path / "curve.parquet"
        pq.write_table(pa.table(columns), path)
        return path

    return write


def test_an_empty_cell_was_not_logged_and_nan_was(csv) -> None:
    found = read(csv("step,loss\n0,4\n1,\n2,nan\n3,inf\n4,-inf\n5,NaN\n6,1e-3\n"))["curve"]
    expected = [(0, 4), (2, NAN), (3, INF), (4, -INF), (5, NAN), (6, 1e-3)]
    assert np.array_equal(rows(found), expected, equal_nan=True)


def test_a_null_in_parquet_was_not_logged_and_nan_was(parquet) -> None:
    loss = pa.array([4.0, None, NAN, 1.0], from_pandas=False)
    found = read(parquet(step=[0, 1, 2, 3], loss=loss))["curve"]
    assert np.array_equal(rows(found), [(0, 4), (2, NAN), (3, 1)], equal_nan=True)


def test_metrics_logged_at_different_steps_keep_their_own(csv) -> None:
    found = read(csv("step,loss,grad_norm\n0,3,\n0,,9\n5,2,\n7,,8\n"))["curve"]
    assert rows(found) == [(0, 3), (5, 2)]
    assert found.grad_step.tolist() == [0, 7]
    assert found.grad_norm.tolist() == [9, 8]


def test_a_file_without_loss_gives_the_gradient_norm(csv) -> None:
    found = read(csv("step,grad-norm,lr\n0,3,1\n5,2,1\n"))["curve"]
    assert (found.loss, found.grad_norm_key) == (None, "grad-norm")
    assert score(found).signal == "grad-norm"


@pytest.mark.parametrize("column", RUN_COLUMNS)
def test_runs_are_told_apart_by_the_run_column_in_order_of_their_first_row(
    csv, column: str
) -> None:
    found = read(csv(f"{column},step,loss\nb,0,3\na,0,9\nb,1,2\na,1,8\nc,0,7\n"))
    assert {name: rows(history) for name, history in found.items()} == {
        "b": [(0, 3), (1, 2)],
        "a": [(0, 9), (1, 8)],
        "c": [(0, 7)],
    }
    assert list(found) == ["b", "a", "c"]


def test_a_run_that_logged_nothing_is_told_and_the_others_are_read(csv) -> None:
    path = csv("run,step,loss\na,0,1\nb,0,\n")
    tracker = open_tracker(str(path))
    a, b = tracker.read(list(tracker.find(Query())))
    assert rows(a.found()) == [(0, 1)]
    with pytest.raises(MissingMetric):
        b.found()


@pytest.mark.parametrize(
    "names",
    [
        ["1", "2", ""],
        ["007", "7"],
        ["1.0", "1"],
        ["2024-01-01 00:00:00", "2024-01-02 00:00:00"],
        ["true", "false"],
        ["\x1b[31m<script>", "a\tb"],
    ],
)
def test_run_names_in_csv_are_text_whatever_they_look_like(csv, names: list[str]) -> None:
    found = read(csv("run,step,loss\n" + "".join(f"{name},0,1\n" for name in names)))
    assert list(found) == names
    assert all(rows(history) == [(0, 1)] for history in found.values())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (pa.array([1, 2, 1]), ["1", "2"]),
        (pa.array([1, None, 1]), ["1", ""]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b"]),
    ],
    ids=["numbers", "with a null", "categories"],
)
def test_run_names_in_parquet_may_be_of_any_type(parquet, names, expected: list[str]) -> None:
    found = read(parquet(run=names, step=[0, 0, 1], loss=[3.0, 2.0, 1.0]))
    assert list(found) == expected
    assert [len(rows(history)) for history in found.values()] == [2, 1]


@pytest.mark.parametrize("column", STEP_COLUMNS)
def test_each_usual_name_of_the_step_is_known(csv, column: str) -> None:
    assert rows(read(csv(f"{column},loss\n10,3\n20,2\n"))["curve"]) == [(10, 3), (20, 2)]


def test_a_column_named_step_comes_before_the_epoch(csv) -> None:
    assert rows(read(csv("epoch,step,loss\n1,10,3\n1,20,2\n"))["curve"]) == [(10, 3), (20, 2)]


def test_a_key_that_a_person_chose_is_read(csv) -> None:
    path = csv("step,loss,mine\n0,1,5\n1,1,6\n")
    assert rows(read(path, loss_key="mine")["curve"]) == [(0, 5), (1, 6)]


def test_the_listing_says_which_file_and_keeps_to_the_limit(csv) -> None:
    tracker = open_tracker(str(csv("run,step,loss\na,0,1\nb,0,1\nc,0,1\n", "x.CSV")))
    first, second = tracker.find(Query(limit=2))
    assert (first.run_id, first.name, first.group, first.stamp) == ("a", "a", "x.CSV", None)
    assert second.run_id == "b"
    assert tracker.address.endswith("x.CSV")
    assert tracker.view(first) == View("", "")
    with pytest.raises(ConfigError, match="no filters"):
        next(iter(tracker.find(Query("metrics.dqi > 0"))))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss,lr\n1,2\n", "no step column among loss, lr"),
        ("", "cannot be read"),
        ("step,loss\n0,1\n1,2,3\n", "cannot be read"),
        ("step,loss,loss\n0,1,2\n", "more than one column `loss`"),
        ("step,step,loss\n0,1,2\n", "more than one column `step`"),
    ],
    ids=["no step", "empty", "ragged", "loss twice", "step twice"],
)
def test_a_file_that_is_no_table_of_curves_is_refused(csv, text: str, message: str) -> None:
    with pytest.raises(ReadRejected, match=message) as caught:
        open_tracker(str(csv(text)))
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("step,loss\n0,1\n1,low\n", ReadRejected, "column `loss`"),
        ("step,loss\n0,1\nlast,2\n", ReadRejected, "column `step`"),
        ("step,loss\n0,1\n,2\n", MalformedHistory, "`step`"),
        ("step,loss\n0,\n1,\n", MissingMetric, "no loss"),
        ("step,loss\n", MissingMetric, "no loss"),
        ("step,accuracy\n0,1\n", MissingMetric, "no loss"),
    ],
    ids=["word for a loss", "word for a step", "no step", "empty cells", "no rows", "other metric"],
)
def test_a_column_that_cannot_be_read_is_named(csv, text: str, error, message: str) -> None:
    with pytest.raises(error, match=message):
        read(csv(text))


def test_a_truncated_parquet_and_another_file_of_its_name_are_refused(parquet) -> None:
    path = parquet(step=list(range(500)), loss=[1.0] * 500)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-1], b"step,loss\n0,1\n", b""):
        path.write_bytes(content)
        with pytest.raises(ReadRejected, match="cannot be read"):
            open_tracker(str(path))


def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("nothing.csv", "nothing.parquet", "folder.csv"):
        with pytest.raises(StoreNotFound, match=name):
            open_tracker(str(tmp_path / name))


def test_writing_is_refused_and_leaves_the_file_alone(csv) -> None:
    path = csv("step,loss\n0,1\n")
    tracker = open_tracker(str(path))
    with pytest.raises(WriteRejected, match="holds no scores") as caught:
        tracker.write(RunRef("curve"), Stamp({"dqi": 0.5}, {}), {})
    assert caught.value.run == "curve"
    assert path.read_text() == "step,loss\n0,1\n"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_real_runs_of_the_demo_come_back_from_a_file_to_the_last_digit(
    tmp_path: Path, suffix: str
) -> None:
    with files("dqi_tracking.demo").joinpath("curves.parquet").open("rb") as file:
        points = pq.read_table(file, filters=[("key", "in", ["loss", "train_loss"])])
    curves = pa.table(
        {"run": points["run"], "step": points["step"], "loss": points["value"].cast("float64")}
    )
    path = tmp_path / f"demo{suffix}"
    write = pa.csv.write_csv if suffix == ".csv" else pq.write_table
    write(curves, path)
    found = read(path)
    # not `to_pandas`: pandas does not tell NaN from a missing value
    expected: dict[str, list[tuple[float, float]]] = {}
    for row in curves.to_pylist():
        expected.setdefault(row["run"], []).append((row["step"], row["loss"]))
    assert len(found) == len(expected) == 23
    for name, history in found.items():
        assert np.array_equal(rows(history), expected[name], equal_nan=True)
    assert score(found["criteo1tb_pytorch-shampoo-trial_3"]).n_nonfinite == 33


def test_any_columns_of_a_run_are_read(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("run,step,loss,lr,only_b,text\na,0,3,0.1,,x\na,1,2,,,\nb,0,1,0.5,7,\n")
    tracker = open_tracker(str(path), settings=Settings())
    a, b = tracker.find(Query())
    assert tracker.metric_names(a) == ("loss", "lr", "text")
    assert tracker.metric_names(b) == ("loss", "lr", "only_b")
    found = tracker.series(a, ["lr", "loss", "only_b", "missing", "step"])
    assert {key: (s.step.tolist(), s.value.tolist()) for key, s in found.items()} == {
        "lr": ([0.0], [0.1]),
        "loss": ([0.0, 1.0], [3.0, 2.0]),
    }
    with pytest.raises(ReadRejected, match="text"):
        tracker.series(a, ["text"])
