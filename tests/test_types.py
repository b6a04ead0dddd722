from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking import errors
from dqi_tracking.engine import score
from dqi_tracking.errors import (
    ConfigError,
    DQIError,
    MalformedHistory,
    TrackerError,
    TransientTrackerError,
    masked,
)
from dqi_tracking.types import COMPONENTS, PHASES, History, MetricKey, RunRef, Stamp
from tests.strategies import FEW

ERRORS = sorted(
    (
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DQIError)
    ),
    key=lambda kind: kind.__name__,
)


# --- histories ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "numbers",
    [[1, 2, 3], (1, 2, 3), range(1, 4), np.array([1, 2, 3], dtype=">i2"), np.float32([1, 2, 3])],
    ids=["list", "tuple", "range", "big_endian", "float32"],
)
def test_any_sequence_of_numbers_becomes_an_array_of_float64(numbers) -> None:
    history = History(numbers, numbers, numbers)
    for array in (history.step, history.loss, history.grad_norm):
        assert array.dtype == np.float64
        assert array.tolist() == [1, 2, 3]
    assert score(history).n_points == 3


def test_a_history_names_its_series_as_the_tracker_does() -> None:
    assert (History([1]).loss_key, History([1]).grad_norm_key) == ("loss", "grad_norm")
    named = History([1], [2], loss_key="a/b", grad_norm_key="c")
    assert (named.loss_key, named.grad_norm_key) == ("a/b", "c")


def test_a_history_may_come_with_warnings() -> None:
    assert History([1]).warnings == ()
    assert History([1], warnings=["a", "b"]).warnings == ("a", "b")


def test_a_missing_value_in_a_list_is_a_logged_nan() -> None:
    assert score(History([1, 2, 3], [1.0, None, 2.0])).n_nonfinite == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"step": None}, "`step` has 0 dimensions"),
        ({"step": 7}, "`step` has 0 dimensions"),
        ({"step": [[1, 2], [3, 4]]}, "`step` has 2 dimensions"),
        ({"step": [1, 2], "loss": [[1], [2]]}, "`loss` has 2 dimensions"),
        ({"step": [1, 2], "loss": [1]}, "`loss` has 1 values for 2 steps"),
        ({"step": [1, 2], "loss": []}, "`loss` has 0 values for 2 steps"),
        ({"step": [1, 2], "grad_norm": [1, 2, 3]}, "`grad_norm` has 3 values for 2 steps"),
        (
            {"step": [1, 2], "grad_norm": [1, 2], "grad_step": [1]},
            "`grad_norm` has 2 values for 1 steps",
        ),
        ({"step": [1, np.nan], "loss": [1, 2]}, "`step` holds a value that is not finite"),
        ({"step": [1, np.inf], "loss": [1, 2]}, "`step` holds a value that is not finite"),
        ({"step": [1], "grad_norm": [1], "grad_step": [np.nan]}, "`grad_step` holds a value"),
        ({"step": ["a", "b"], "loss": [1, 2]}, "`step` holds something that is not a number"),
        ({"step": [1, 2], "loss": [1, "high"]}, "`loss` holds something that is not a number"),
        ({"step": [1, 2], "loss": [1, [2, 3]]}, "`loss` holds something that is not a number"),
        ({"step": [1], "loss": [1j]}, "`loss` holds something that is not a number"),
        ({"step": [1], "loss": [object()]}, "`loss` holds something that is not a number"),
    ],
)
def test_arrays_that_are_no_history_are_refused_with_a_fix(arrays, message) -> None:
    with pytest.raises(MalformedHistory) as caught:
        History(**arrays)
    assert message in str(caught.value)
    assert caught.value.fix


def test_a_loss_that_is_not_finite_is_a_history() -> None:
    assert History([1, 2], [np.nan, np.inf]).loss.size == 2


# --- scores and references ---------------------------------------------------------------------

SCORE = score(History(range(30), np.exp(-np.arange(30) / 7)))


@pytest.mark.parametrize(
    "thing", [SCORE, SCORE.early, RunRef("r"), Stamp({}, {}), MetricKey(("a",)), History([1])]
)
def test_what_travels_is_frozen_and_slotted(thing) -> None:
    name = dataclasses.fields(thing)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(thing, name, None)
    assert not hasattr(thing, "__dict__")


@pytest.mark.parametrize("thing", [SCORE, RunRef("r", loss_keys=(MetricKey(("a", "b")),))])
def test_what_travels_between_processes_arrives_equal(thing) -> None:
    assert pickle.loads(pickle.dumps(thing)) == thing


def test_a_history_survives_pickling() -> None:
    sent = History(
        [1, 2], [3, 4], [5], grad_step=[6], loss_key="l", grad_norm_key="g", warnings=("w",)
    )
    got = pickle.loads(pickle.dumps(sent))
    for name in ("step", "loss", "grad_norm", "grad_step"):
        np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))
    assert (got.loss_key, got.grad_norm_key, got.warnings) == ("l", "g", ("w",))


def test_the_phases_of_a_score_come_by_name_and_in_order() -> None:
    assert tuple(SCORE.phases) == PHASES == ("early", "mid", "late")
    assert list(SCORE.phases.values()) == [SCORE.early, SCORE.mid, SCORE.late]
    assert COMPONENTS == ("coverage", "variation", "structure", "density")


def test_the_numbers_of_a_score_are_plain_python_numbers() -> None:
    values = [getattr(SCORE, field.name) for field in dataclasses.fields(SCORE)]
    values += dataclasses.astuple(SCORE.early)
    values += [*SCORE.boundaries, *SCORE.boundary_steps]
    assert not any(isinstance(value, np.generic) for value in values)


def test_a_metric_key_is_written_as_its_sum() -> None:
    assert str(MetricKey(("loss",))) == "loss"
    assert str(MetricKey(("a/b", "c d"))) == "a/b + c d"


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_keeps_message_fix_and_run_through_pickling(kind) -> None:
    error = pickle.loads(pickle.dumps(kind("it broke", fix="mend it", run="r1")))
    assert type(error) is kind
    assert (str(error), error.message) == ("it broke", "it broke")
    assert (error.fix, error.run) == ("mend it", "r1")


def test_an_error_cannot_be_made_without_a_fix() -> None:
    for kind in ERRORS:
        with pytest.raises(TypeError, match="fix"):
            kind("it broke")


def test_only_a_transient_tracker_error_is_worth_another_try() -> None:
    assert [kind for kind in ERRORS if kind.transient] == [TransientTrackerError]
    assert issubclass(TransientTrackerError, TrackerError)
    assert not issubclass(ConfigError, TrackerError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:secret@host/a", "http://***@host/a"),
        ("postgresql+psycopg2://u:secret@db:5432/x", "postgresql+psycopg2://***@db:5432/x"),
        ("https://:secret@host", "https://***@host"),
        ("https://u:se@cret@host/", "https://***@host/"),
        ("a http://u:secret@h and b http://v:secret@k", "a http://***@h and b http://***@k"),
        ("postgresql://u:pass/word@host/db", "postgresql://***@host/db"),
        ("https://TOKEN@host/", "https://***@host/"),
        # no telling a port and a path from a password with a slash: rather too much is hidden
        ("http://host:5000/a@b", "http://***@b"),
        ("http://host:5000/a", "http://host:5000/a"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("mail user:secret@host", "mail user:secret@host"),
        ("nothing", "nothing"),
    ],
)
def test_the_credentials_of_every_url_are_masked(text, expected) -> None:
    assert masked(text) == expected


WORD = st.text("abcXYZ019.-_%!$", min_size=1, max_size=12)


@FEW
@given(WORD, WORD.map("S3CR3T{}".format), st.sampled_from(ERRORS))
def test_no_part_of_an_error_shows_a_credential(user, password, kind) -> None:
    url = f"https://{user}:{password}@example.org/path"
    error = kind(f"cannot reach {url}", fix=f"check {url}")
    for text in (str(error), repr(error), error.message, error.fix, str(error.args)):
        assert password not in text
    assert "example.org/path" in error.message
    again = pickle.loads(pickle.dumps(error))
    assert (again.message, again.fix) == (error.message, error.fix)
