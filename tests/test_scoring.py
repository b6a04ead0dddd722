"""Many runs at once, options, and the examples of the docstrings."""

from __future__ import annotations

import dataclasses
import doctest
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import ConfigError, History, score, score_many
from dqi_tracking.engine import scoring
from tests.strategies import (
    FEW,
    histories,
    options,
)

NAN, INF = np.nan, np.inf
CURVE = [4.0, 3.1, 3.3, 2.2, 2.4, 1.9, 2.0, 1.6, 1.7, 1.5, 1.55, 1.5]


@FEW
@given(st.lists(histories(), max_size=8), st.randoms(use_true_random=False), options())
def test_score_many_is_score_in_every_digit_in_any_order(batch, random, chosen) -> None:
    alone = [repr(score(history, **chosen)) for history in batch]
    order = list(range(len(batch)))
    random.shuffle(order)
    found = score_many((batch[i] for i in order), **chosen)
    assert [repr(one) for one in found] == [alone[i] for i in order]


def test_score_many_is_score_for_more_points_than_one_batch_holds() -> None:
    rng = np.random.default_rng(3)
    batch = [
        History(np.cumsum(rng.integers(1, 4, n)), np.exp(-np.arange(n) / 50) + rng.normal(size=n))
        for n in rng.integers(0, 700, 120).tolist()
    ]
    batch.insert(50, History([]))
    batch.insert(60, History(range(40), [NAN] * 40))
    batch.insert(70, History(range(40), [1.5] * 40))
    points = sum(history.step.size for history in batch)
    assert points > scoring.BATCH_POINTS
    found = score_many(batch)
    assert [repr(one) for one in found] == [repr(score(history)) for history in batch]
    assert {one.status for one in found} == {"ok", "flat", "too_short", "nan", "no_signal"} - (
        set() if any(0 < history.step.size < 3 for history in batch) else {"too_short"}
    )
    assert [repr(one) for one in score_many(batch[::-1])] == [repr(one) for one in found[::-1]]


@FEW
@given(histories(), options())
def test_warnings_of_a_history_come_first_in_its_score_and_change_no_number(found, chosen) -> None:
    told = ("the file ends in the middle of a line", "two rows were left out")
    names = ("step", "loss", "grad_norm")
    warned = History(*(getattr(found, name) for name in names), warnings=told)
    plain = score(found, **chosen)
    expected = repr(dataclasses.replace(plain, warnings=(*told, *plain.warnings)))
    assert repr(score(warned, **chosen)) == expected
    assert [repr(each) for each in score_many([found, warned], **chosen)] == [repr(plain), expected]


def test_no_histories_make_no_scores() -> None:
    assert score_many([]) == []
    assert score_many(iter(())) == []


def test_histories_are_read_lazily_and_not_kept() -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def read() -> Iterator[History]:
        nonlocal most
        for seed in range(30):
            loss = np.random.default_rng(seed).normal(size=20_000)
            alive.append(weakref.ref(loss))
            most = max(most, sum(one() is not None for one in alive))
            history = History(np.arange(20_000.0), loss)
            del loss
            yield history

    assert len(score_many(read())) == 30
    assert most <= 6


def test_an_error_of_the_source_reaches_the_caller() -> None:
    def read() -> Iterator[History]:
        yield History(range(12), CURVE)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        score_many(read())


def test_a_million_points_score() -> None:
    n = 10**6
    loss = np.linspace(1.0, 0.0, n) + np.random.default_rng(0).normal(size=n) / 1000
    found = score(History(np.arange(n), loss))
    assert (found.status, found.n_points, found.warnings) == ("ok", n, ())
    # a straight line but for its noise, which the window of 50,001 points removes
    assert [boundary / n for boundary in found.boundaries or ()] == pytest.approx(
        [0.4, 0.75], abs=0.02
    )
    assert 0 < found.dqi < 1
    assert all((p.coverage, p.density) == (1.0, 1.0) for p in found.phases.values())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("nan_policy", "drop"),
        ("nan_policy", None),
        ("units", "RAW"),
        ("units", ["raw"]),
        ("duplicates", "first"),
        ("duplicates", True),
        ("weights", (0.5, 0.5)),
        ("weights", (0.6, 0.3, 0.2)),
        ("weights", "early"),
    ],
)
def test_an_unknown_option_is_refused_with_a_fix_before_anything_is_read(option, value) -> None:
    def read() -> Iterator[History]:
        raise AssertionError("read")
        yield

    for call in (
        lambda: score_many(read(), **{option: value}),
        lambda: score_many([], **{option: value}),
    ):
        with pytest.raises(ConfigError, match=option) as caught:
            call()
        assert caught.value.fix
    with pytest.raises(ConfigError, match=option):
        score(History(range(12), CURVE), **{option: value})


def test_the_examples_of_the_docstrings_print_what_they_say() -> None:
    outcome = doctest.testmod(scoring)
    assert outcome.attempted > 0
    assert outcome.failed == 0
