"""Layer profiles of networks that are really trained here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from dqi_tracking.insight.layers import LayerProfile, layer_keys, profile
from tests.deep_perceptron import gradient_norms
from tests.tiny_transformer import Shape, TrainingLog, initial, loss_and_gradients, train

TEXT = (Path(__file__).parent.parent / "dqi_tracking/demo/LICENSE-APACHE-2.0").read_bytes()
STEPS = 200


@lru_cache
def trained(gains: tuple[float, ...]) -> TrainingLog:
    return train(TEXT, gains=gains, steps=STEPS)


def profiled(log: TrainingLog) -> LayerProfile:
    keys = layer_keys(["loss", "grad_2.0_norm_total", *log.keys])
    rows = [log.keys.index(key) for key in keys.values()]
    return profile(np.arange(STEPS), log.norms[rows], list(keys))


def test_the_transformer_backpropagates_what_finite_differences_say() -> None:
    shape = Shape(11, width=8, heads=2, context=6, gains=(1.0, 0.5))
    rng = np.random.default_rng(0)
    params = {
        name: value + rng.normal(scale=0.1, size=value.shape)
        for name, value in initial(shape).items()
    }
    tokens = rng.integers(11, size=(3, 7))
    _, grads = loss_and_gradients(params, tokens, shape)
    assert grads.keys() == params.keys()
    for name, value in params.items():
        for _ in range(4):
            at = tuple(rng.integers(size) for size in value.shape)
            ends = []
            for shift in (1e-5, -1e-5):
                moved = value.copy()
                moved[at] += shift
                ends.append(loss_and_gradients({**params, name: moved}, tokens, shape)[0])
            assert grads[name][at] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


@pytest.mark.parametrize("gains", [(1.0, 1.0), (1.0, 1.0, 1.0), (1.0,) * 4])
def test_a_healthy_transformer_learns_and_no_layer_is_named(gains: tuple[float, ...]) -> None:
    log = trained(gains)
    assert log.loss[-20:].mean() < 0.75 * log.loss[0]
    found = profiled(log)
    assert len(found.layers) == 5 + 12 * len(gains)
    assert found.findings == ()
    assert set(found.status) == {"ok"}
    assert ((found.dqi > 0) & (found.dqi < 1)).all()


def test_layers_are_in_the_order_of_the_network() -> None:
    layers = profiled(trained((1.0, 1.0, 1.0))).layers
    assert set(layers[:2]) == {"wpe.weight", "wte.weight"}
    blocks = [int(layer.split(".")[1]) for layer in layers[2:-3]]
    assert blocks == [0] * 12 + [1] * 12 + [2] * 12
    assert layers[-3:] == ("ln_f.bias", "ln_f.weight", "lm_head.weight")


@pytest.mark.parametrize("gain", [0.0, 1e-5])
def test_the_block_that_was_cut_off_is_named_and_no_other(gain: float) -> None:
    log = trained((1.0, gain, 1.0))
    # the others learn on: the loss does not show it
    assert log.loss[-20:].mean() < 0.75 * log.loss[0]
    found = profiled(log)
    assert [finding.layer for finding in found.findings] == [
        layer for layer in found.layers if layer.startswith("h.1.")
    ]
    assert {finding.name for finding in found.findings} == {"vanishing"}
    if gain == 0.0:
        cut = [layer.startswith("h.1.") for layer in found.layers]
        assert (found.dqi[cut] == 0).all()
        assert {found.status[row] for row in np.flatnonzero(cut)} == {"flat"}


def test_the_first_layers_of_many_sigmoids_starve_and_those_of_tanh_do_not() -> None:
    starved = gradient_norms("sigmoid", depth=10)
    names = [f"layers.{layer}" for layer in range(10)]
    found = profile(np.arange(starved.shape[1]), starved, names).findings
    assert [finding.layer for finding in found] == names[: len(found)]
    assert 2 <= len(found) <= 5
    fed = gradient_norms("tanh", depth=10)
    assert profile(np.arange(fed.shape[1]), fed, names).findings == ()
