from __future__ import annotations

import json
import math

import numpy as np
import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.insight.layers import histogram_norm, histogram_norms
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


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        3.0,
        "NaN",
        [],
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
        {"_type": "image-file"},
    ],
)
def test_what_is_no_histogram_has_no_norm(wrong: object) -> None:
    assert math.isnan(histogram_norm(wrong))


def test_many_keep_their_order() -> None:
    rows = [logged(np.arange(5.0)), None, logged(np.zeros(5))]
    first, second, third = histogram_norms(rows)
    assert first == pytest.approx(np.linalg.norm(np.arange(5)), rel=0.05)
    assert math.isnan(second)
    # numpy bins zeros from -.5 to .5, in bins that are 1/64 wide
    assert third < 0.05
    assert histogram_norms([]).shape == (0,)
