"""A small GPT in numpy, trained on text by Adam, that logs the gradient norm of each parameter.

Pre-norm blocks of causal attention and a GELU perceptron, as GPT-2 has them; the backward pass is
written by hand and checked against finite differences. Parameters are named as in GPT-2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

Params = dict[str, np.ndarray]
Half = tuple[np.ndarray, Callable[[np.ndarray, Params], np.ndarray]]
"""What a part of the network gives, and its way back: it adds to the gradients of its parameters
and returns the gradient of what it was given."""


@dataclass(frozen=True)
class Shape:
    """Sizes of the network. `gains` scales what each block adds to the stream: 0 cuts it off."""

    vocabulary: int
    width: int = 16
    heads: int = 2
    context: int = 16
    gains: tuple[float, ...] = (1.0, 1.0, 1.0)


def initial(shape: Shape, seed: int = 0) -> Params:
    """Draw weights: normal, .02 for embeddings and head, .1 in the blocks; biases 0, norms 1."""
    rng, width = np.random.default_rng(seed), shape.width
    params = {
        "wte.weight": rng.normal(scale=0.02, size=(shape.vocabulary, width)),
        "wpe.weight": rng.normal(scale=0.02, size=(shape.context, width)),
    }
    for block in range(len(shape.gains)):
        for name, size in (
            ("ln_1", None),
            ("attn.c_attn", (width, 3 * width)),
            ("attn.c_proj", (width, width)),
            ("ln_2", None),
            ("mlp.c_fc", (width, 4 * width)),
            ("mlp.c_proj", (4 * width, width)),
        ):
            at = f"h.{block}.{name}"
            weight = rng.normal(scale=0.1, size=size) if size else np.ones(width)
            params[f"{at}.weight"] = weight
            params[f"{at}.bias"] = np.zeros(size[1] if size else width)
    params |= {"ln_f.weight": np.ones(width), "ln_f.bias": np.zeros(width)}
    params["lm_head.weight"] = rng.normal(scale=0.02, size=(width, shape.vocabulary))
    return params


def loss_and_gradients(
    params: Mapping[str, np.ndarray], tokens: np.ndarray, shape: Shape
) -> tuple[float, Params]:
    """Return the mean cross-entropy of the next token, and its gradient by each parameter.

    `tokens` has the shape (batch, context + 1).
    """
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    stream = params["wte.weight"][inputs] + params["wpe.weight"][: inputs.shape[1]]
    kept = []
    for block, gain in enumerate(shape.gains):
        for half in (_attention, _perceptron):
            added, back = half(params, f"h.{block}", stream, shape.heads)
            stream = stream + gain * added
            kept.append((gain, back))
    normed, norm_back = _norm(params, "ln_f", stream)
    logits = normed @ params["lm_head.weight"]
    logits -= logits.max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    count = targets.size
    loss = -np.take_along_axis(log_p, targets[..., None], axis=-1).sum() / count

    d_logits = np.exp(log_p)
    np.put_along_axis(
        d_logits, targets[..., None], np.take_along_axis(d_logits, targets[..., None], -1) - 1, -1
    )
    d_logits /= count
    grads: Params = {"lm_head.weight": _outer(normed, d_logits)}
    d_stream = norm_back(d_logits @ params["lm_head.weight"].T, grads)
    for gain, back in reversed(kept):
        d_stream = d_stream + back(gain * d_stream, grads)
    grads["wte.weight"] = np.zeros_like(params["wte.weight"])
    np.add.at(grads["wte.weight"], inputs, d_stream)
    grads["wpe.weight"] = np.zeros_like(params["wpe.weight"])
    grads["wpe.weight"][: inputs.shape[1]] = d_stream.sum(axis=0)
    return float(loss), grads


def _outer(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])


def _linear(params: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> Half:
    weight = params[f"{name}.weight"]

    def back(d_y: np.ndarray, grads: Params) -> np.ndarray:
        grads[f"{name}.weight"] = _outer(x, d_y)
        grads[f"{name}.bias"] = d_y.reshape(-1, d_y.shape[-1]).sum(axis=0)
        return d_y @ weight.T

    return x @ weight + params[f"{name}.bias"], back


def _norm(params: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> Half:
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    unit = centred * scale
    weight = params[f"{name}.weight"]

    def back(d_y: np.ndarray, grads: Params) -> np.ndarray:
        grads[f"{name}.weight"] = (d_y * unit).sum(axis=(0, 1))
        grads[f"{name}.bias"] = d_y.sum(axis=(0, 1))
        d_unit = d_y * weight
        mean = d_unit.mean(axis=-1, keepdims=True)
        return scale * (d_unit - mean - unit * (d_unit * unit).mean(axis=-1, keepdims=True))

    return unit * weight + params[f"{name}.bias"], back


def _attention(
    params: Mapping[str, np.ndarray], block: str, stream: np.ndarray, heads: int
) -> Half:
    x, norm_back = _norm(params, f"{block}.ln_1", stream)
    joint, joint_back = _linear(params, f"{block}.attn.c_attn", x)
    batch, length, width = x.shape
    split = joint.reshape(batch, length, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    query, key, value = split
    root = (width // heads) ** -0.5
    scores = query @ key.swapaxes(-1, -2) * root
    scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(batch, length, width)
    out, out_back = _linear(params, f"{block}.attn.c_proj", mixed)

    def back(d_out: np.ndarray, grads: Params) -> np.ndarray:
        d_mixed = out_back(d_out, grads).reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)
        d_weights = d_mixed @ value.swapaxes(-1, -2)
        d_scores = weights * (d_weights - (d_weights * weights).sum(axis=-1, keepdims=True)) * root
        d_split = np.stack(
            (d_scores @ key, d_scores.swapaxes(-1, -2) @ query, weights.swapaxes(-1, -2) @ d_mixed)
        )
        d_joint = d_split.transpose(1, 3, 0, 2, 4).reshape(batch, length, 3 * width)
        return norm_back(joint_back(d_joint, grads), grads)

    return out, back


def _perceptron(
    params: Mapping[str, np.ndarray], block: str, stream: np.ndarray, heads: int
) -> Half:
    x, norm_back = _norm(params, f"{block}.ln_2", stream)
    hidden, in_back = _linear(params, f"{block}.mlp.c_fc", x)
    inner = np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden * hidden * hidden)
    squashed = np.tanh(inner)
    out, out_back = _linear(params, f"{block}.mlp.c_proj", 0.5 * hidden * (1 + squashed))

    def back(d_out: np.ndarray, grads: Params) -> np.ndarray:
        slope = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * hidden * hidden)
        d_gelu = 0.5 * (1 + squashed) + 0.5 * hidden * (1 - squashed * squashed) * slope
        return norm_back(in_back(out_back(d_out, grads) * d_gelu, grads), grads)

    return out, back


@dataclass(frozen=True)
class TrainingLog:
    """What the training logged: the loss, and rows of gradient norms by the names of Lightning."""

    loss: np.ndarray
    norms: np.ndarray
    """Of shape (parameters, steps)."""
    keys: tuple[str, ...]


def train(
    text: bytes, *, gains: tuple[float, ...] = (1.0, 1.0, 1.0), steps: int = 200, seed: int = 0
) -> TrainingLog:
    """Train on the characters of a text, eight random windows a step."""
    letters, codes = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    shape = Shape(letters.size, gains=gains)
    params = initial(shape, seed)
    rng = np.random.default_rng(seed + 1)
    first, second = ({name: np.zeros_like(p) for name, p in params.items()} for _ in range(2))
    losses, norms = np.empty(steps), np.empty((len(params), steps))
    for step in range(steps):
        at = rng.integers(codes.size - shape.context - 1, size=8)
        tokens = codes[at[:, None] + np.arange(shape.context + 1)]
        losses[step], grads = loss_and_gradients(params, tokens, shape)
        norms[:, step] = [np.linalg.norm(grads[name]) for name in params]
        rate = 3e-3 * min((step + 1) / 20, 1)
        for name, grad in grads.items():
            first[name] = 0.9 * first[name] + 0.1 * grad
            second[name] = 0.99 * second[name] + 0.01 * grad**2
            mean = first[name] / (1 - 0.9 ** (step + 1))
            spread = np.sqrt(second[name] / (1 - 0.99 ** (step + 1)))
            params[name] = params[name] - rate * mean / (spread + 1e-8)
    return TrainingLog(losses, norms, tuple(f"grad_2.0_norm/{name}" for name in params))
