"""Offline runs of W&B: which points of what was logged are read."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from dqi_tracking.errors import (
    MissingMetric,
    ReadRejected,
)
from tests.wandb_logs import (
    history_record,
    old_history_record,
    put,
    run_of,
)
from tests.wandb_offline_runs import (
    ALL,
    CURVE,
    history,
    one_run,
    opened,
    readings,
    rows,
)

pytest_plugins = ["tests.wandb_offline_fixtures"]
pytestmark = pytest.mark.xdist_group("wandb_offline")


def test_the_points_are_those_that_were_logged(offline_folder: Path) -> None:
    found = readings(offline_folder)
    plain = found["my run"].found()
    assert plain.loss is not None
    assert plain.step.tolist() == list(range(60))
    assert plain.loss.tolist() == CURVE
    assert (plain.loss_key, plain.warnings) == ("loss", ())
    assert [key.parts for key in found["my run"].ref.loss_keys] == [("loss",)]
    assert found["long"].found().step.tolist() == list(range(3000))
    # a run record and a row of more than a block each
    assert found["named later"].found().loss.tolist() == pytest.approx([1.111111])


def test_a_dictionary_that_was_logged_is_found_under_its_path(offline_folder: Path) -> None:
    reading = readings(offline_folder)["nested"]
    nested = reading.found()
    assert (nested.loss_key, nested.grad_norm_key) == ("train.loss", "train.deep.grad_norm")
    assert nested.loss.tolist() == [2 / (i + 1) for i in range(40)]
    assert [key.parts for key in reading.ref.grad_norm_keys] == [("train.deep.grad_norm",)]


def test_values_that_are_not_finite_count_and_nothing_logged_does_not(offline_folder: Path) -> None:
    found = readings(offline_folder)["odd"].found()
    expected = [(0, 3.0), (1, np.nan), (2, np.inf), (3, -np.inf), (5, np.nan), (1000, 2)]
    at = np.column_stack([found.step, found.loss])
    assert np.array_equal(at, [*expected, (1001, 1e20)], equal_nan=True)
    assert found.loss_key == "loss"


@pytest.mark.parametrize("text", ['"NaN"', "NaN", '"Infinity"', "-Infinity", '"-Infinity"'])
def test_tokens_and_strings_of_no_finite_number_are_numbers(tmp_path: Path, text: str) -> None:
    path = one_run(tmp_path, history_record(0, {"loss": text}))
    (point,) = rows(path)
    assert np.array_equal(point[1], float(text.strip('"')), equal_nan=True)


def test_a_dictionary_in_one_item_as_older_clients_kept_it_is_found(tmp_path: Path) -> None:
    path = one_run(
        tmp_path,
        old_history_record(5, {"train": {"loss": 2.5, "t": {"_type": "table"}}, "lr": 1}),
        old_history_record(6, {"train": {"loss": None}}),
        old_history_record(7, {"train": {"loss": 2}, "loss": {"_type": "histogram"}}),
    )
    assert rows(path) == [(5, 2.5), (7, 2.0)]
    assert history(path).loss_key == "train.loss"


def test_json_too_deep_to_parse_is_no_metric(tmp_path: Path) -> None:
    row = history_record(1, {"loss": "[" * 100_000, "train_loss": "1.5"})
    assert rows(one_run(tmp_path, row)) == [(1, 1.5)]


def test_a_metric_of_which_no_value_is_a_number_spoils_no_run(tmp_path: Path) -> None:
    made = [
        history_record(step, {"loss": '"mse"', "train_loss": str(step), "total_loss": "[1]"})
        for step in range(5)
    ]
    assert rows(one_run(tmp_path, *made)) == [(step, float(step)) for step in range(5)]


def test_the_signal_may_hold_nothing_else_and_another_series_may(tmp_path: Path) -> None:
    texts = ["3", "2", '"low"', "1"]
    made = [history_record(10 * n, {"loss": text, "x": "1"}) for n, text in enumerate(texts)]
    path = one_run(tmp_path, *made)
    with pytest.raises(ReadRejected, match='`loss` holds "low" at step 20') as caught:
        history(path)
    assert caught.value.run == "made"
    assert rows(path, loss_key="x") == [(10.0 * n, 1.0) for n in range(4)]
    longer = [history_record(n, {"train_loss": "5"}) for n in range(9)]
    assert len(rows(one_run(tmp_path, *made, *longer))) == 9


def test_a_chosen_key_that_holds_no_number_is_told(tmp_path: Path) -> None:
    path = one_run(tmp_path, history_record(3, {"loss": "1", "mine": '"low"'}))
    with pytest.raises(ReadRejected, match='`mine` holds "low" at step 3'):
        history(path, loss_key="mine")
    with pytest.raises(MissingMetric):
        history(path, loss_key="other")


def test_the_steps_may_come_from_another_metric(tmp_path: Path) -> None:
    made = [history_record(n, {"loss": str(n), "tokens": str(1000 * n)}) for n in range(4)]
    path = one_run(tmp_path, *made)
    assert rows(path, step_key="tokens") == [(1000.0 * n, n) for n in range(4)]
    assert next(iter(readings(path, step_key="tokens").values())).ref.step_key == "tokens"
    assert rows(path, step_key="epochs") == [(float(n), n) for n in range(4)]


def test_the_steps_of_a_row_are_its_item_before_its_field(tmp_path: Path) -> None:
    row = history_record(7, {"loss": "1"})
    field = history_record(8, {"loss": "2", "_step": '"none"'})
    assert rows(one_run(tmp_path, row, field)) == [(7, 1), (8, 2)]


def test_only_the_metrics_that_may_matter_take_memory(tmp_path: Path) -> None:

    others = {f"layer.{n}": "0.123456789" for n in range(200)}
    content = bytes(run_of([{"loss": "1.5", **others}] * 1000).content)
    tracker = opened(put(tmp_path, content))
    refs = list(tracker.find(ALL))
    list(tracker.read(refs))
    tracemalloc.start()
    (reading,) = tracker.read(refs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reading.found().step.size == 1000
    # 200,000 values stand in the file
    assert len(content) > 5_000_000
    assert peak < 500_000
