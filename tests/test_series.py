from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.config import load_settings
from dqi_tracking.errors import MissingMetric
from dqi_tracking.trackers.keys import KeyResolver
from dqi_tracking.trackers.series import Series, added, history_of
from dqi_tracking.types import RunRef
from tests.strategies import PROPERTY

Logged = dict[str, list[tuple[float, float]]]


def series(rows: list[tuple[float, float]]) -> Series:
    table = np.array(rows, dtype=float).reshape(-1, 2)
    return Series(table[:, 0], table[:, 1])


def run(logged: Logged, **settings: str) -> tuple[RunRef, Callable[[str], Series], list[str]]:
    """Return a run that logged this, what fetches its series, and the names fetched so far."""
    found = KeyResolver(load_settings(**settings)).candidates(tuple(logged))
    fetched: list[str] = []

    def fetch(name: str) -> Series:
        fetched.append(name)
        return series(logged[name])

    return RunRef("r1", loss_keys=found.loss, grad_norm_keys=found.grad_norm), fetch, fetched


def line(n: int, slope: float = 1.0, every: int = 1) -> list[tuple[float, float]]:
    return [(i * every, slope * i) for i in range(n)]


def test_the_chosen_loss_becomes_the_history() -> None:
    ref, fetch, _ = run({"train/loss": line(5, 2.0), "val_loss": line(9), "lr": line(9)})
    history = history_of(ref, fetch)
    assert (history.loss_key, history.step.tolist()) == ("train/loss", [0, 1, 2, 3, 4])
    assert history.loss.tolist() == [0, 2, 4, 6, 8]
    assert history.grad_norm is None


def test_the_gradient_norm_keeps_steps_of_its_own() -> None:
    ref, fetch, _ = run({"loss": line(5), "grad_norm": line(3, 7.0, every=10)})
    history = history_of(ref, fetch)
    assert (history.loss.size, history.grad_norm_key) == (5, "grad_norm")
    assert history.grad_step.tolist() == [0, 10, 20]
    assert history.grad_norm.tolist() == [0, 7, 14]


@pytest.mark.parametrize("losses", [{}, {"loss": []}])
def test_without_a_loss_point_the_gradient_norm_is_the_history(losses) -> None:
    ref, fetch, _ = run({**losses, "train/grad_norm": line(4)})
    history = history_of(ref, fetch)
    assert (history.loss, history.grad_norm_key) == (None, "train/grad_norm")
    assert history.step.tolist() == [0, 1, 2, 3]
    assert history.grad_norm.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("logged", [{}, {"lr": line(9), "val_loss": line(9)}, {"loss": []}])
def test_a_run_without_either_is_missing_a_metric_and_the_error_says_which_run(logged) -> None:
    ref, fetch, _ = run(logged)
    with pytest.raises(MissingMetric) as caught:
        history_of(ref, fetch)
    assert caught.value.run == "r1"
    assert "--loss-key" in caught.value.fix


def test_a_person_s_loss_that_the_run_lacks_is_missing_though_others_are_there() -> None:
    ref, fetch, fetched = run({"loss": line(9), "grad_norm": line(9)}, loss_key="my_loss")
    with pytest.raises(MissingMetric):
        history_of(ref, fetch)
    assert fetched == []


def test_rows_stay_in_the_order_of_logging() -> None:
    rows = [(3, 1.0), (1, 2.0), (3, 3.0), (2, np.nan)]
    ref, fetch, _ = run({"loss": rows})
    history = history_of(ref, fetch)
    assert history.step.tolist() == [3, 1, 3, 2]
    np.testing.assert_array_equal(history.loss, [1, 2, 3, np.nan])


def test_the_longest_of_the_exact_names_is_read_and_no_other_name_is_fetched() -> None:
    logged = {"train_loss": line(1), "loss": line(40), "actor_loss": line(90)}
    ref, fetch, fetched = run(logged)
    assert history_of(ref, fetch).loss_key == "loss"
    assert sorted(fetched) == ["loss", "train_loss"]


def test_a_scalar_under_an_exact_name_gives_way_to_a_series_under_a_suffix() -> None:
    ref, fetch, _ = run({"train_loss": line(1), "actor_loss": line(90)})
    assert history_of(ref, fetch).loss_key == "actor_loss"


def test_a_scalar_is_read_where_there_is_nothing_longer() -> None:
    ref, fetch, _ = run({"train_loss": line(1)})
    assert history_of(ref, fetch).loss.size == 1


def test_a_sum_is_read_as_one_series_under_the_name_of_its_parts() -> None:
    parts = {
        f"train/{part}_loss": line(4, slope)
        for part, slope in zip(("box", "cls", "dfl"), (1, 10, 100), strict=True)
    }
    ref, fetch, _ = run(parts)
    history = history_of(ref, fetch)
    assert history.loss_key == "train/box_loss + train/cls_loss + train/dfl_loss"
    assert history.loss.tolist() == [0, 111, 222, 333]


def test_one_series_is_its_own_sum_row_for_row() -> None:
    only = series([(2, 1.0), (1, 2.0), (2, 3.0)])
    assert added([only]) is only


def test_a_sum_has_the_steps_that_all_parts_have_with_the_last_value_at_each() -> None:
    first = series([(3, 3.0), (1, 1.0), (2, 2.0), (1, 10.0)])
    second = series([(1, 100.0), (3, 300.0), (4, 400.0)])
    total = added([first, second])
    assert (total.step.tolist(), total.value.tolist()) == ([1, 3], [110, 303])


def test_a_sum_with_a_part_that_is_nan_is_nan_there_alone() -> None:
    total = added([series([(1, 1.0), (2, np.nan)]), series([(1, 1.0), (2, 5.0)])])
    np.testing.assert_array_equal(total.value, [2, np.nan])


@pytest.mark.parametrize("other", [[], [(7, 1.0)]])
def test_a_sum_without_a_common_step_is_empty(other) -> None:
    total = added([series([(1, 1.0), (2, 2.0)]), series(other)])
    assert (total.step.size, total.value.size) == (0, 0)


ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(-99, 99)), max_size=12)


@PROPERTY
@given(st.lists(ROWS, min_size=2, max_size=4))
def test_a_sum_adds_step_by_step(parts) -> None:
    columns = [dict(part) for part in parts]
    common = sorted(set.intersection(*map(set, columns)))
    total = added([series(part) for part in parts])
    assert total.step.tolist() == common
    assert total.value.tolist() == [sum(column[step] for column in columns) for step in common]
