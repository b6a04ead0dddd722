"""What a layer profile and a reading of the schedule cost. Nothing is asserted of time."""

from __future__ import annotations

import numpy as np
import pytest

from dqi_tracking import History, score_many
from dqi_tracking.insight.layers import layer_keys, layers_json, profile
from dqi_tracking.insight.schedule import phases_of_schedule
from dqi_tracking.trackers.histograms import histogram_norm

ROWS = 1_000


def norms(n_layers: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    fall = np.exp(-np.arange(ROWS) / 200) + 0.1
    return fall * np.exp(rng.normal(scale=0.3, size=(n_layers, ROWS)))


@pytest.mark.parametrize("n_layers", [200, 2_000])
def test_profile(benchmark, n_layers: int) -> None:
    names = [f"h.{layer}.w" for layer in range(n_layers)]
    found = benchmark(profile, np.arange(ROWS), norms(n_layers), names)
    assert len(found.layers) == n_layers


def test_profile_of_histories(benchmark) -> None:
    runs = [History(np.arange(ROWS), grad_norm=row) for row in norms(200)]
    found = benchmark(profile, None, runs, [f"h.{layer}" for layer in range(200)])
    assert len(found.layers) == 200


def test_the_scores_alone(benchmark) -> None:
    runs = [History(np.arange(ROWS), grad_norm=row) for row in norms(200)]
    assert len(benchmark(score_many, runs)) == 200


def test_json(benchmark) -> None:
    found = profile(np.arange(ROWS), norms(200), [f"h.{layer}.w" for layer in range(200)])
    assert benchmark(layers_json, found)


def test_layer_keys(benchmark) -> None:
    names = [f"grad_2.0_norm/model.h.{layer}.attn.weight" for layer in range(2_000)]
    assert len(benchmark(layer_keys, names)) == 2_000


def test_histograms(benchmark) -> None:
    counts, edges = np.histogram(np.random.default_rng(0).normal(size=10_000), bins=64)
    rows = [{"values": counts.tolist(), "bins": edges.tolist()}] * 10_000
    norms = benchmark.pedantic(lambda: [histogram_norm(row) for row in rows], rounds=3)
    assert len(norms) == 10_000


@pytest.mark.parametrize("rows", [1_000, 1_000_000])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_schedule(benchmark, rows: int, noise: float) -> None:
    step = np.arange(rows)
    rate = np.minimum(step / (0.05 * rows), np.clip((rows - step) / (0.2 * rows), 0, 1))
    rate = np.abs(rate + np.random.default_rng(0).normal(scale=noise, size=rows))
    found = benchmark.pedantic(phases_of_schedule, (step, rate), rounds=3)
    assert found.kind == "wsd"
