"""The OpenVINO graph against the encoder's definition written out in numpy, on random weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray

from services.core.errors import ServiceUnavailable
from services.embedding.backends.openvino.bert import BertConfig, build_graph

HIDDEN, HEADS, LAYERS, INNER, VOCABULARY, POSITIONS = 24, 3, 2, 40, 50, 32
CONFIG = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "hidden_size": HIDDEN,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": POSITIONS,
}
Array = NDArray[np.float64]
erf = np.vectorize(math.erf)


def random_weights() -> dict[str, NDArray[np.float32]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        for part, rows, columns in [
            ("attention.self.query", HIDDEN, HIDDEN),
            ("attention.self.key", HIDDEN, HIDDEN),
            ("attention.self.value", HIDDEN, HIDDEN),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", INNER, HIDDEN),
            ("output.dense", HIDDEN, INNER),
        ]:
            shapes[f"{name}.{part}.weight"] = (rows, columns)
            shapes[f"{name}.{part}.bias"] = (rows,)
        for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"{name}.{norm}.weight"] = shapes[f"{name}.{norm}.bias"] = (HIDDEN,)
    random = np.random.default_rng(7)
    return {name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def by_definition(weights: dict[str, NDArray[np.float32]], ids: list[int]) -> Array:
    """One text, in float64, without padding: the hidden states of the last layer."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def linear(x: Array, name: str) -> Array:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        q, k, v = (linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        width = HIDDEN // HEADS
        mixed = []
        for head in range(HEADS):
            part = slice(head * width, (head + 1) * width)
            logits = np.exp(q[:, part] @ k[:, part].T / math.sqrt(width))
            mixed.append(logits / logits.sum(-1, keepdims=True) @ v[:, part])
        attended = linear(np.concatenate(mixed, -1), f"{name}.attention.output.dense")
        x = norm(x + attended, f"{name}.attention.output.LayerNorm")
        inner = linear(x, f"{name}.intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    return x


@pytest.fixture(scope="module")
def weights() -> dict[str, NDArray[np.float32]]:
    return random_weights()


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_the_graph_computes_the_definition(weights: dict[str, NDArray[np.float32]], prefix: str) -> None:
    texts = [[2, 11, 12, 13, 3], [2, 40, 3], [2, *range(4, 24), 3]]
    longest = max(map(len, texts))
    ids, mask = np.zeros((3, longest), np.int64), np.zeros((3, longest), np.float32)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = text, 1
    named = {prefix + name: value for name, value in weights.items()}
    model = build_graph(BertConfig.model_validate(CONFIG), named)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    output = compiled([ids, mask])[0]
    for row, text in enumerate(texts):
        np.testing.assert_allclose(output[row, : len(text)], by_definition(weights, text), atol=2e-5)


def test_missing_weights_are_named(weights: dict[str, NDArray[np.float32]]) -> None:
    lacking = {name: value for name, value in weights.items() if "layer.1.output.dense" not in name}
    with pytest.raises(ServiceUnavailable, match=r"encoder\.layer\.1\.output\.dense"):
        build_graph(BertConfig.model_validate(CONFIG), lacking)


@pytest.mark.parametrize("change", [{"model_type": "roberta"}, {"hidden_act": "relu"}])
def test_another_architecture_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(ServiceUnavailable, match="not describe a BERT encoder"):
        BertConfig.read(path)
