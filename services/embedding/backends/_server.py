"""What the backends that call a server share: how to log in, and how to read vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import Field

from services.core.client import HttpClient
from services.core.errors import ServiceError
from services.core.settings import Settings


class ServerSettings(Settings):
    """A server that embeds."""

    api_key: str = Field(
        "",
        validation_alias="EMBEDDING_API_KEY",
        description="bearer token for a tei or openai embedding server",
        repr=False,
    )

    def client(self, service: str, endpoint: str) -> HttpClient:
        """Make a client that sends the key; `service` is how errors name the server."""
        headers = {"authorization": f"Bearer {self.api_key}"} if self.api_key else None
        return HttpClient(service, endpoint, headers=headers)


def split_texts(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Split texts into runs of at most `size`, in order."""
    return (texts[start : start + size] for start in range(0, len(texts), size))


def parse_json(body: bytes, service: str) -> object:
    """Parse a reply; raises `ServiceError` where it is no JSON."""
    try:
        parsed: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ServiceError(f"{service} sent a reply that is not JSON", service=service) from error
    return parsed


def read_vectors(parsed: object, service: str) -> NDArray[np.float32]:
    """Turn a `[[float]]` into an array of shape (n, dim); raises `ServiceError` where it is not that."""
    try:
        vectors = np.array(parsed, np.float32)
    except (TypeError, ValueError) as error:
        raise ServiceError(
            f"{service} sent something other than vectors of equal length", service=service
        ) from error
    if vectors.ndim != 2 or not vectors.size:
        raise ServiceError(f"{service} sent an array of shape {vectors.shape} for vectors", service=service)
    return vectors


def check_count(vectors: NDArray[np.float32], count: int, service: str) -> NDArray[np.float32]:
    """Return the vectors where there are `count`; raises `ServiceError` elsewhere."""
    if len(vectors) != count:
        raise ServiceError(f"{service} sent {len(vectors)} vectors for {count} texts", service=service)
    return vectors
