"""The logarithmic axis: where there is one, what stands on it, and the switch to it."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dqi_tracking.report.chart import HEIGHT
from dqi_tracking.report.log_axis import log_limits, log_ticks
from dqi_tracking.types import History
from tests.pages import LOSS, page_of, vertices

UNITS = str.maketrans({"k": "e3", "M": "e6"})
positive = st.floats(5e-324, 1.7e308)


@given(values=st.lists(positive, min_size=2, max_size=9).map(np.array), count=st.integers(4, 8))
@example(values=np.array([5e-324, 1.7e308]), count=4)
@example(values=np.array([5e-324, 1e-323]), count=4)
@example(values=np.array([1.0, np.nextafter(1.0, 2.0)]), count=4)
@example(values=np.array([4e307, 1.7e308]), count=4)
@settings(deadline=None)
def test_ticks_say_where_they_are(values: np.ndarray, count: int) -> None:
    ends = log_limits(values, margin=0.05)
    assume(ends is not None)
    ticks = log_ticks(*ends, count=count)
    assert len(ticks) <= 3 * count
    assert all(-1e-9 <= tick.at <= 1 + 1e-9 for tick in ticks)
    assert [tick.at for tick in ticks] == sorted({tick.at for tick in ticks})
    assert len(ticks) >= 2
    for tick in ticks:
        shown = float(Decimal(tick.label.replace(",", "").translate(UNITS)).log10())
        assert shown == pytest.approx(ends[0] + tick.at * (ends[1] - ends[0]), abs=1e-5)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (-6.2, 0.1, ["0.01", "1e-6", "0.0001", "1"]),
        (-0.05, 2.05, ["1", "2", "5", "10", "20", "50", "100"]),
        (-310.0, 306.0, ["1e-200", "1", "1e200"]),
    ],
)
def test_labels_are_round(low: float, high: float, labels: list[str]) -> None:
    assert {tick.label for tick in log_ticks(low, high, count=5)} >= set(labels)


@pytest.mark.parametrize(
    ("values", "log"),
    [
        (LOSS, True),
        (np.where(np.arange(200) == 9, np.nan, LOSS), True),
        (np.where(np.arange(200) == 9, 0.0, LOSS), False),
        (LOSS - 9, False),
        (np.full(200, 2.5), False),
        (1 + LOSS * 1e-9, False),
    ],
    ids=["positive", "positive but for a nan", "a zero", "negative", "flat", "all but flat"],
)
def test_there_is_a_switch_where_all_is_positive(values: np.ndarray, log: bool) -> None:
    _, page = page_of(History(range(200), values))
    switches = [a["id"] for tag, a in page.attributes if tag == "input"]
    labels = [a["for"] for tag, a in page.attributes if tag == "label"]
    assert switches == labels == (["log"] if log else [])
    assert len(page.paths("curve")) == 1 + log
    assert ("log" in page.classes()) == log


def test_both_axes_change_together_and_an_axis_that_cannot_says_so() -> None:
    gradient = LOSS.copy()
    _, page = page_of(History(range(200), LOSS, gradient))
    assert len(page.paths("gradient")) == 2
    assert ", linear" not in page.text
    gradient[7] = 0.0
    _, page = page_of(History(range(200), LOSS, gradient))
    assert len(page.paths("gradient")) == 1
    assert ", linear" in page.text


def test_a_straight_line_on_the_logarithmic_axis_is_an_exponential() -> None:
    _, page = page_of(History(range(100), np.exp(-np.arange(100) / 5)))
    x, y = vertices(page.paths("curve")[1]).T
    np.testing.assert_allclose(y, np.interp(x, x[[0, -1]], y[[0, -1]]), atol=1)
    assert y[-1] - y[0] == pytest.approx(HEIGHT / 1.1, abs=1)
