"""What the encoder gave, as reply bodies that orjson writes straight from the arrays."""

from __future__ import annotations

import base64

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from services.core.replies import PackedReply
from services.embedding.encoder import Embedded


def reply(content: object) -> Response:
    """`application/json`; arrays of numpy may be anywhere inside `content`."""
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, media_type="application/json")


def encode_reply(embedded: Embedded, model: str, *, packed: bool) -> Response:
    """`EncodeReply`, in MessagePack where `packed`."""
    vectors = None
    if embedded.token_vectors is not None:
        vectors = [_token_vectors(rows, as_text=not packed) for rows in embedded.token_vectors]
    dim = embedded.vectors.shape[1]
    content = {"model": model, "dim": dim, "embeddings": embedded.vectors, "token_vectors": vectors}
    return PackedReply(content) if packed else reply(content)


def _token_vectors(rows: NDArray[np.int8], *, as_text: bool) -> dict[str, object]:
    """`TokenVectors` of a text's int8 (tokens, dim)."""
    tokens, dim = rows.shape
    data = rows.tobytes()
    return {"tokens": tokens, "dim": dim, "data": base64.b64encode(data).decode() if as_text else data}


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
