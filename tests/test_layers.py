from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqi_tracking.errors import ConfigError
from dqi_tracking.insight.layers import find_layers, layer_keys
from tests.strategies import FEW

GPT = [
    "transformer.wpe.weight",
    "transformer.wte.weight",
    "transformer.h.0.attn.c_attn.weight",
    "transformer.h.0.mlp.c_fc.weight",
    "transformer.h.2.attn.c_attn.weight",
    "transformer.h.10.attn.c_attn.weight",
    "transformer.h.11.mlp.c_proj.weight",
    "transformer.ln_f.weight",
    "lm_head.weight",
]
BERT = [
    "bert.embeddings.LayerNorm.weight",
    "bert.embeddings.word_embeddings.weight",
    "bert.encoder.layer.0.attention.output.dense.weight",
    "bert.encoder.layer.0.output.dense.weight",
    "bert.encoder.layer.1.attention.self.key.bias",
    "bert.encoder.layer.11.output.dense.weight",
    "bert.pooler.dense.weight",
    "cls.predictions.decoder.weight",
]
T5 = [
    "shared.weight",
    "encoder.embed_tokens.weight",
    "encoder.block.0.layer.0.SelfAttention.q.weight",
    "encoder.block.11.layer.1.DenseReluDense.wi.weight",
    "encoder.final_layer_norm.weight",
    "decoder.embed_tokens.weight",
    "decoder.block.0.layer.0.SelfAttention.q.weight",
    "decoder.block.2.layer.1.EncDecAttention.q.weight",
    "decoder.final_layer_norm.weight",
    "lm_head.weight",
]
LLAMA = [
    "model.embed_tokens.weight",
    "model.layers.0.mlp.gate_proj.weight",
    "model.layers.9.mlp.gate_proj.weight",
    "model.layers.31.self_attn.q_proj.weight",
    "lm_head.weight",
]
RESNET = [
    "bn1.weight",
    "conv1.weight",
    "layer1.0.conv1.weight",
    "layer1.1.conv1.weight",
    "layer2.0.downsample.0.weight",
    "layer4.2.conv3.weight",
    "fc.weight",
]
PERCEPTRON = ["fc1.weight", "fc2.weight", "fc10.weight", "classifier.0.weight"]


@pytest.mark.parametrize("network", [GPT, BERT, T5, LLAMA, RESNET, PERCEPTRON])
@pytest.mark.parametrize("prefix", ["grad_2.0_norm/", "l2_norm/grad/", "gradients/"])
def test_layers_come_in_network_order_whatever_order_they_were_listed_in(network, prefix) -> None:
    names = [prefix + layer for layer in network]
    random.Random(0).shuffle(names)
    found = layer_keys(names)
    assert list(found) == network
    assert list(found.values()) == [prefix + layer for layer in network]


@pytest.mark.parametrize(
    ("names", "source", "layers"),
    [
        (["loss", "grad_2.0_norm_total", "grad_2.0_norm/a", "grad_2.0_norm/b"], "lightning", "ab"),
        (["train/grad_2.0_norm/a", "train/grad_2.0_norm_total"], "lightning", "a"),
        (["l2_norm/grad/global", "l2_norm/grad/a", "l2_norm/moment/a"], "composer", "a"),
        (["gradients/a", "gradients/b", "parameters/a"], "wandb_watch", "ab"),
        (["gradients/a", "grad_inf_norm/b", "l2_norm/grad/c"], "lightning", "b"),
        (["l2_norm/grad/global"], None, ""),
        (["loss", "grad_norm", "lr", "grad_2.0_norm_total", "grad_2.0_norm/"], None, ""),
        ([], None, ""),
    ],
)
def test_each_framework_is_known_by_its_names(names, source, layers) -> None:
    found = find_layers(names)
    assert found.source == source
    assert list(found.keys) == list(layers)
    assert layer_keys(names) == found.keys


def test_of_several_norms_the_euclidean_one_is_read() -> None:
    names = ["grad_inf_norm/a", "grad_2.0_norm/a", "grad_1.0_norm/a", "grad_inf_norm/b"]
    assert layer_keys(names) == {"a": "grad_2.0_norm/a", "b": "grad_inf_norm/b"}


def test_a_pattern_finds_what_no_framework_calls_so() -> None:
    names = ["loss", "gn|block 10|all", "gn|block 9|all", "gn|embed|all", "gn||all"]
    found = find_layers(names, r"^gn\|(.*)\|all$")
    assert found.source == "pattern"
    assert list(found.keys.items()) == [
        ("embed", "gn|embed|all"),
        ("block 9", "gn|block 9|all"),
        ("block 10", "gn|block 10|all"),
    ]
    assert layer_keys(["grad_2.0_norm/a"], "nothing(.+)") == {}
    assert layer_keys(["x/h.0/norm", "x/h.1/norm"], r"(h\.\d)(?:/norm)") != {}


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("grad/(", "no regular expression"),
        ("grad/.+", "0 groups"),
        ("(grad)/(.+)", "2 groups"),
        ("grad/(.)", "both the layer 'a'"),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_with_a_fix(pattern, words) -> None:
    with pytest.raises(ConfigError) as caught:
        layer_keys(["grad/a1", "grad/a2"], pattern)
    assert words in caught.value.message
    assert caught.value.fix


def test_odd_names_are_layers_as_they_stand() -> None:
    odd = [
        "",
        " ",
        "<script>alert(1)</script>",
        "../../etc/passwd",
        "line\nbreak",
        "\x1b[31mred",
        "\ud800",
        "слой.٣.重み",
        "h." + "9" * 5_000,
        "h." + "0" * 5_000,
        "x" * 10_000,
        "/",
        "...",
    ]
    found = layer_keys([f"grad_2.0_norm/{name}" for name in odd])
    assert set(found) == set(odd) - {""}
    assert all(key == f"grad_2.0_norm/{layer}" for layer, key in found.items())


@given(st.lists(st.text(min_size=1, max_size=12), unique=True, max_size=20), st.randoms())
@FEW
def test_the_order_of_any_names_does_not_depend_on_their_listing(layers, shuffler) -> None:
    names = [f"l2_norm/grad/{layer}" for layer in layers]
    expected = list(layer_keys(names))
    shuffler.shuffle(names)
    assert list(layer_keys(names)) == expected
    assert set(expected) == set(layers) - {"global"}


@given(st.lists(st.integers(0, 10**30), unique=True, min_size=2, max_size=20))
@FEW
def test_blocks_are_counted_as_numbers(blocks) -> None:
    found = layer_keys([f"gradients/h.{block}.w" for block in blocks])
    assert list(found) == [f"h.{block}.w" for block in sorted(blocks)]


def test_two_thousand_layers_are_found() -> None:
    names = [f"grad_2.0_norm/h.{i}.w" for i in range(2_000)]
    assert list(layer_keys(reversed(names))) == [f"h.{i}.w" for i in range(2_000)]
