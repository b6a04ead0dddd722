"""What a listing tells of a run's optimizer, and what is written of its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.cohorts.place import optimizer_of, place_of, size_text
from dqi_tracking.types import RunRef, Stamp


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ({"params.optimizer": " SGD "}, "sgd"),
        ({"config.optimizer": '{"name": "x"}', "config.optim": "adamw_torch"}, "adamw_torch"),
        ({"params.opt_name": "Adam"}, "adam"),
        ({"params.optimizer": "None"}, ""),
        ({}, ""),
    ],
)
def test_the_optimizer_is_found_under_its_usual_names(columns: dict[str, str], name: str) -> None:
    assert optimizer_of(RunRef("r", columns=columns)) == name


@pytest.mark.parametrize("text", ["", "24; grad", "many", "24; loss x", "-1", "24\n"])
def test_sizes_that_somebody_else_wrote_are_no_place(text: str) -> None:
    stamp = Stamp({"dqi_percentile": 5.0}, {"cohort": "c", "cohort_size": text})
    assert place_of(stamp) is None


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=3))
def test_sizes_come_back_as_they_were_written(sizes: list[int]) -> None:
    stamp = Stamp({"dqi_percentile": 5.0}, {"cohort": "c", "cohort_size": size_text(sizes)})
    place = place_of(stamp)
    assert place is not None
    assert list(place.sizes.values()) == sizes
