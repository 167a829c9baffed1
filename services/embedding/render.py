"""What a backend returned, as reply bodies that orjson writes straight from the arrays."""

from __future__ import annotations

import base64

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from services.core.wire.passages import TokenVectors
from services.embedding.backend import Encoded, normalized

INT8_SCALE = 127
SPECIAL = 1
"""Special tokens at either end of a text's states."""


def reply(content: object) -> Response:
    """`application/json`; arrays of numpy may be anywhere inside `content`."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


def pack(states: NDArray[np.float32]) -> TokenVectors:
    """A text's hidden states (tokens, dim) as the int8 token vectors of its own tokens."""
    unit = normalized(states[SPECIAL:-SPECIAL])
    raw = np.rint(unit * np.float32(INT8_SCALE)).astype(np.int8)
    return TokenVectors.pack(raw.tobytes(), tokens=len(unit), dim=unit.shape[1])


def encode_reply(encoded: Encoded, model: str) -> Response:
    """`EncodeReply`."""
    vectors = None
    if encoded.states is not None:
        vectors = [
            {"tokens": packed.tokens, "dim": packed.dim, "data": packed.data}
            for packed in map(pack, encoded.states)
        ]
    dim = encoded.vectors.shape[1]
    return reply({"model": model, "dim": dim, "embeddings": encoded.vectors, "token_vectors": vectors})


def openai_reply(encoded: Encoded, model: str, *, as_base64: bool) -> Response:
    """`OpenAIEmbeddingReply`; base64 is that of little-endian float32."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector,
        }
        for index, vector in enumerate(encoded.vectors)
    ]
    usage = {"prompt_tokens": encoded.prompt_tokens, "total_tokens": encoded.prompt_tokens}
    return reply({"object": "list", "data": data, "model": model, "usage": usage})
