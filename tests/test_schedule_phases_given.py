from __future__ import annotations

import pickle

import pytest

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.schedule import parse_boundaries, phases_of_annotations


@pytest.mark.parametrize(
    ("text", "boundaries"),
    [
        ("500,9000", (500, 9_000)),
        (" 500 , 9000 ", (500, 9_000)),
        ("0.25,1e3", (0.25, 1_000)),
        ("-3,0", (-3, 0)),
        ("1_000,20_000", (1_000, 20_000)),
    ],
)
def test_two_steps_are_read(text: str, boundaries: tuple[float, float]) -> None:
    found = parse_boundaries(text)
    assert (found.kind, found.boundaries) == ("given", boundaries)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "are not two steps"),
        ("500", "are not two steps"),
        ("1,000,20,000", "are not two steps"),
        ("500,", "is not a step"),
        ("a,b", "'a'"),
        ("nan,5", "'nan'"),
        ("5,inf", "'inf'"),
        ("5,1e999", "'1e999'"),
        ("9000,500", "9000"),
        ("500,500", "500"),
        ("x" * 5_000 + ",1", "is not a step"),
    ],
)
def test_what_is_not_two_steps_in_order_is_refused_with_a_fix(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_boundaries(text, run="r1")
    assert caught.value.fix
    assert caught.value.run == "r1"
    assert len(caught.value.message) < 150


def test_annotations_are_read_and_their_absence_is_none() -> None:
    assert phases_of_annotations(None, None) is None
    found = phases_of_annotations("500", "9e3")
    assert found is not None
    assert (found.kind, found.boundaries) == ("annotated", (500, 9_000))
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    ("early_end", "mid_end", "missing"),
    [("500", None, "dqi.phase.mid_end"), (None, "500", "dqi.phase.early_end")],
)
def test_half_an_annotation_is_an_error_that_names_the_other_half(
    early_end, mid_end, missing
) -> None:
    with pytest.raises(ConfigError) as caught:
        phases_of_annotations(early_end, mid_end, run="r1")
    assert missing in caught.value.message
    assert missing in caught.value.fix
    assert caught.value.run == "r1"


def test_an_annotation_that_is_no_step_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'soon' in `dqi\.phase\.mid_end`"):
        phases_of_annotations("500", "soon")
    with pytest.raises(ConfigError, match="mid phase at 3"):
        phases_of_annotations("500", "3")
