"""A BERT encoder as an OpenVINO graph, built from its weights: no torch, no exported file.

Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers"; the post-norm
encoder that MiniLM (Wang et al. 2020) distils. Inputs: `ids` int64 and `mask` float32 (1 for a token,
0 for padding), both of shape (texts, length). Output: the last hidden states, (texts, length, hidden).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op
from pydantic import BaseModel, ConfigDict, ValidationError

from services.core.errors import ServiceUnavailable

MASKED = np.float32(-1e4)
"""Added to the attention logit of padding: its softmax is exactly 0, also in bfloat16."""


class BertConfig(BaseModel):
    """The fields of a Hugging Face `config.json` that shape the graph."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    model_type: Literal["bert"]
    hidden_act: Literal["gelu"]
    position_embedding_type: Literal["absolute"] = "absolute"
    hidden_size: int
    num_attention_heads: int
    num_hidden_layers: int
    layer_norm_eps: float
    max_position_embeddings: int

    @classmethod
    def read(cls, path: Path) -> BertConfig:
        """Read the file. Raises `ServiceUnavailable` where it is missing or of another architecture."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ServiceUnavailable(
                f"{path} does not describe a BERT encoder, which is what this backend runs: "
                f"use the tei or openai backend for other architectures ({error})"
            ) from error


class _Builder:
    """Turns names of weights into graph nodes."""

    def __init__(self, config: BertConfig, weights: Mapping[str, NDArray[np.float32]]) -> None:
        self.config = config
        self._weights = {name.removeprefix("bert."): value for name, value in weights.items()}
        hidden, heads = config.hidden_size, config.num_attention_heads
        self._split = op.constant(np.array([0, 0, heads, hidden // heads], np.int64))
        self._join = op.constant(np.array([0, 0, hidden], np.int64))
        self._swap = op.constant(np.array([0, 2, 1, 3], np.int64))
        self._last = op.constant(np.array([-1], np.int64))

    def array(self, name: str) -> NDArray[np.float32]:
        try:
            return np.ascontiguousarray(self._weights[name])
        except KeyError:
            raise ServiceUnavailable(
                f"the weights lack {name!r}: they are not those of a BERT encoder"
            ) from None

    def weight(self, name: str) -> ov.Node:
        return op.constant(self.array(name))

    def linear(self, x: ov.Node, name: str) -> ov.Node:
        product = op.matmul(x, self.weight(f"{name}.weight"), False, True)
        return op.add(product, self.weight(f"{name}.bias"))

    def norm(self, x: ov.Node, name: str) -> ov.Node:
        scaled = op.mvn(x, self._last, True, self.config.layer_norm_eps, "inside_sqrt")
        return op.add(op.multiply(scaled, self.weight(f"{name}.weight")), self.weight(f"{name}.bias"))

    def embed(self, ids: ov.Node) -> ov.Node:
        zero, one = op.constant(np.int64(0)), op.constant(np.int64(1))
        length = op.gather(op.shape_of(ids), one, zero)
        positions = op.range(zero, length, one, "i64")
        # every text is of segment 0, so its embedding is folded into the positions'
        segment = self.array("embeddings.token_type_embeddings.weight")[0]
        places = op.constant(self.array("embeddings.position_embeddings.weight") + segment)
        words = op.gather(self.weight("embeddings.word_embeddings.weight"), ids, zero)
        return self.norm(op.add(words, op.gather(places, positions, zero)), "embeddings.LayerNorm")

    def attention(self, x: ov.Node, bias: ov.Node, name: str) -> ov.Node:
        query, key, value = (
            op.transpose(op.reshape(self.linear(x, f"{name}.self.{part}"), self._split, True), self._swap)
            for part in ("query", "key", "value")
        )
        width = self.config.hidden_size // self.config.num_attention_heads
        scaled = op.multiply(query, op.constant(np.float32(width**-0.5)))
        weights = op.softmax(op.add(op.matmul(scaled, key, False, True), bias), -1)
        mixed = op.transpose(op.matmul(weights, value, False, False), self._swap)
        out = self.linear(op.reshape(mixed, self._join, True), f"{name}.output.dense")
        return self.norm(op.add(x, out), f"{name}.output.LayerNorm")

    def layer(self, x: ov.Node, bias: ov.Node, name: str) -> ov.Node:
        x = self.attention(x, bias, f"{name}.attention")
        inner = op.gelu(self.linear(x, f"{name}.intermediate.dense"), "erf")
        return self.norm(op.add(x, self.linear(inner, f"{name}.output.dense")), f"{name}.output.LayerNorm")


def build_graph(config: BertConfig, weights: Mapping[str, NDArray[np.float32]]) -> ov.Model:
    """Build the encoder's graph, for any number of texts of any length up to the model's positions."""
    builder = _Builder(config, weights)
    ids = op.parameter([-1, -1], np.int64, name="ids")
    mask = op.parameter([-1, -1], np.float32, name="mask")
    absent = op.subtract(op.constant(np.float32(1)), mask)
    bias = op.unsqueeze(op.multiply(absent, op.constant(MASKED)), op.constant(np.array([1, 2], np.int64)))
    states = builder.embed(ids)
    for index in range(config.num_hidden_layers):
        states = builder.layer(states, bias, f"encoder.layer.{index}")
    return ov.Model([op.result(states)], [ids, mask], "bert")
