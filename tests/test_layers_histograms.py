from __future__ import annotations

import json
import math

import numpy as np
import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.trackers.histograms import histogram_norm, logged_norm
from tests.strategies import FEW


def logged(values: np.ndarray, bins: int = 64) -> dict[str, object]:
    """Return what W&B's own histogram of a tensor becomes in a run's history."""
    written = wandb.Histogram(np_histogram=np.histogram(values, bins=bins)).to_json()
    return json.loads(json.dumps(written))


@given(st.integers(0, 10_000), st.sampled_from([1e-9, 1.0, 1e6]), st.integers(500, 4_000))
@FEW
def test_the_norm_of_a_tensor_is_told_within_three_percent(seed, scale, size) -> None:
    values = scale * np.random.default_rng(seed).normal(size=size)
    assert histogram_norm(logged(values)) == pytest.approx(np.linalg.norm(values), rel=0.03)


def test_values_of_one_sign_or_evenly_spread_are_exact() -> None:
    values = np.linspace(3, 5, 64_000)
    assert histogram_norm(logged(values)) == pytest.approx(np.linalg.norm(values), rel=1e-4)


def test_a_gradient_of_zero_has_the_norm_zero() -> None:
    # `wandb.watch` gives a tensor of one value a single bin without width
    assert histogram_norm({"_type": "histogram", "values": [50.0], "bins": [0.0, 0.0]}) == 0.0
    assert histogram_norm({"values": [4.0], "bins": [-3.0, -3.0]}) == pytest.approx(6.0)


def test_packed_bins_are_read_as_their_edges() -> None:
    packed = {"values": [1, 2, 3], "packedBins": {"min": -1.0, "size": 0.5, "count": 3}}
    plain = {"values": [1, 2, 3], "bins": [-1.0, -0.5, 0.0, 0.5]}
    assert histogram_norm(packed) == histogram_norm(plain) > 0


def test_most_of_an_embedding_s_gradient_are_zeros_and_count_as_such() -> None:
    rng = np.random.default_rng(0)
    grad = np.zeros((20_000, 16))
    grad[rng.choice(20_000, 60, replace=False)] = rng.normal(size=(60, 16))
    # one bin of 64 holds all rows but 60: evenly spread over it they would make a third more
    assert histogram_norm(logged(grad)) == pytest.approx(np.linalg.norm(grad), rel=0.02)
    # of one sign, 0 is an end of the first bin
    assert histogram_norm(logged(abs(grad))) == pytest.approx(np.linalg.norm(grad), rel=0.02)


def test_values_far_smaller_than_the_bins_are_not_taken_for_zeros() -> None:
    values = np.full(50, 1e-3)
    counts, edges = np.histogram(values, bins=64, range=(-1, 1))
    assert histogram_norm({"values": counts.tolist(), "bins": edges.tolist()}) > 0


@pytest.mark.parametrize("other", [3.0, None, "NaN", [], {}, "{", {"_type": "image-file"}, "[" * 9])
def test_what_is_no_histogram_is_left_to_others(other: object) -> None:
    assert logged_norm(other) is None


def test_a_histogram_is_read_out_of_its_json_too() -> None:
    text = json.dumps({"_type": "histogram", "values": [4], "bins": [-3.0, -3.0]})
    assert logged_norm(text) == logged_norm(json.loads(text)) == pytest.approx(6.0)
    assert logged_norm("{" * 100_000) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"values": [1, 2], "bins": [0, 1]},
        {"values": [], "bins": [0]},
        {"values": ["a"], "bins": [0, 1]},
        {"values": [1], "bins": ["x", None]},
        {"values": [1], "packedBins": {}},
        {"values": [1], "packedBins": 7},
        {"values": [[1]], "bins": [0, 1]},
        {"values": [-5], "bins": [1, 1]},
        {"values": [1], "bins": [0, math.nan]},
        {"values": [1], "packedBins": {"min": 0, "size": "wide"}, "bins": None},
    ],
)
def test_what_is_no_whole_histogram_has_no_norm(wrong: dict[str, object]) -> None:
    assert math.isnan(histogram_norm(wrong))
