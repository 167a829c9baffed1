"""What the encoder gave, as reply bodies that orjson writes straight from the arrays."""

from __future__ import annotations

import base64

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from services.core.wire.passages import TokenVectors
from services.embedding.encoder import Embedded


def reply(content: object) -> Response:
    """`application/json`; arrays of numpy may be anywhere inside `content`."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


def pack(rows: NDArray[np.int8]) -> TokenVectors:
    """A text's int8 token vectors (tokens, dim)."""
    return TokenVectors.pack(rows.tobytes(), tokens=len(rows), dim=rows.shape[1])


def encode_reply(embedded: Embedded, model: str) -> Response:
    """`EncodeReply`."""
    vectors = None
    if embedded.token_vectors is not None:
        vectors = [
            {"tokens": packed.tokens, "dim": packed.dim, "data": packed.data}
            for packed in map(pack, embedded.token_vectors)
        ]
    dim = embedded.vectors.shape[1]
    return reply({"model": model, "dim": dim, "embeddings": embedded.vectors, "token_vectors": vectors})


def openai_reply(embedded: Embedded, model: str, *, as_base64: bool) -> Response:
    """`OpenAIEmbeddingReply`; base64 is that of little-endian float32."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector,
        }
        for index, vector in enumerate(embedded.vectors)
    ]
    usage = {"prompt_tokens": embedded.prompt_tokens, "total_tokens": embedded.prompt_tokens}
    return reply({"object": "list", "data": data, "model": model, "usage": usage})
