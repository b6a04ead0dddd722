"""The order of layers in a network, told by their names.

Names tell it only in part. The rule: embeddings first; then encoder, blocks and decoder, each by
natural order (`h.2` before `h.10`); then the final norm, the pooler, the head. What a name is told
by are its words before the first block number, so that `layer.0.output.dense` is a part of its
block and `embeddings.0.weight` is an embedding. Within a block the order is that of the alphabet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EMBEDDING = frozenset(
    (
        "embed",
        "embedding",
        "embeddings",
        "emb",
        "wte",
        "wpe",
        "stem",
        "shared",
        "cls_token",
        "tok_embeddings",
        "embed_tokens",
        "patch_embed",
        "pos_embed",
        "word_embeddings",
        "position_embeddings",
    )
)
FINAL_NORM = frozenset(
    ("ln_f", "norm_f", "final_norm", "final_layernorm", "final_layer_norm", "ln_final")
)
POOLER = frozenset(("pooler", "avgpool"))
HEAD = frozenset(
    (
        "head",
        "heads",
        "lm_head",
        "classifier",
        "output",
        "outputs",
        "logits",
        "score",
        "fc",
        "cls",
        "out_proj",
        "proj_out",
        "unembed",
        "prediction",
        "predictions",
        "mlm_head",
        "qa_outputs",
    )
)
ENCODER, DECODER = "encoder", "decoder"

_FIRST, _ENCODER, _BODY, _DECODER, _LAST = range(5)
_CHUNKS = re.compile("([0-9]+)")
_PARTS = re.compile(r"[./:\s]+")

SortKey = tuple[int, int, tuple[tuple[int, int, str], ...], str]


def network_order(layers: Iterable[str]) -> list[str]:
    """Return layers in network order. O(n log n); any text is a name."""
    return sorted(layers, key=place)


def place(layer: str) -> SortKey:
    """Return what a layer is sorted by: stage, rank within it, natural order of the name."""
    parts = [part for part in _PARTS.split(layer.casefold()) if part]
    numbered = [index for index, part in enumerate(parts) if part.isdecimal()]
    before = parts[: numbered[0]] if numbered else parts
    words = set(before)
    stage = _BODY
    if ENCODER in words:
        stage = _ENCODER
    if DECODER in words:
        stage = _DECODER
    if words & EMBEDDING:
        return (_FIRST if stage == _BODY else stage, 0, natural(layer), layer)
    for rank, names in enumerate((FINAL_NORM, POOLER, HEAD), start=2):
        if words & names:
            # an encoder's final norm comes before the decoder
            at_end = stage == _BODY or names is HEAD
            return (_LAST if at_end else stage, rank, natural(layer), layer)
    return (stage, 1, natural(layer), layer)


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key by which numbers in a text count as numbers, whatever their length."""
    chunks = _CHUNKS.split(text.casefold())
    return tuple(
        # the length of a number without its zeros, then its digits: no digit is ever too many
        (0, len(chunk.lstrip("0")), chunk.lstrip("0")) if index % 2 else (1, 0, chunk)
        for index, chunk in enumerate(chunks)
        if chunk
    )
