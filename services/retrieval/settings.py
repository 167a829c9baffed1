"""Settings of the retrieval service; a backend's own are in its package."""

from __future__ import annotations

from pydantic import Field

from services.core.addresses import AddressSetting
from services.core.settings import ServiceSettings
from services.core.wire.retrieval import Fusion, Mode

VECTOR_URL = AddressSetting(
    "VECTOR_URL",
    role="the vector store",
    examples="edge:, edge:///path/to/dir, qdrant://host:6333 or redis://host:6379/0",
    logins="QDRANT_API_KEY, or REDIS_USERNAME and REDIS_PASSWORD,",
    repeats=True,
)
"""The vector store's address, as errors speak of it."""


class Settings(ServiceSettings):
    """The retrieval service."""

    port: int = Field(
        7000, ge=0, le=65535, validation_alias="RETRIEVAL_PORT", description="port of the retrieval service"
    )
    vector_url: str = Field(
        "edge:",
        validation_alias="VECTOR_URL",
        description="vector store: edge: (below RAGLINE_HOME), edge:///path/to/dir, qdrant://host:6333 "
        "(qdrants:// for TLS, ?grpc_port=6334 for gRPC), redis://host:6379/0 with RediSearch (rediss:// for "
        "TLS) or memory:// (for tests)",
    )
    max_body_bytes: int = Field(
        64 * 1024 * 1024,
        gt=0,
        validation_alias="RETRIEVAL_MAX_BODY_BYTES",
        description="largest body of a request to the retrieval service; passages bring their token vectors",
    )
    mode: Mode = Field(
        "hybrid",
        validation_alias="RETRIEVAL_MODE",
        description="hybrid (dense and sparse, fused), dense (embeddings) or sparse (BM25), where a request "
        "does not say",
    )
    fusion: Fusion = Field(
        "weighted",
        validation_alias="RETRIEVAL_FUSION",
        description="how a hybrid search makes one order of two: weighted (standardised scores) or rrf "
        "(reciprocal ranks)",
    )
    dense_weight: float = Field(
        0.7,
        ge=0,
        le=1,
        validation_alias="RETRIEVAL_DENSE_WEIGHT",
        description="weight of the dense side in weighted fusion; the sparse side has the rest",
    )
    rrf_k: int = Field(
        60,
        ge=1,
        le=1000,
        validation_alias="RETRIEVAL_RRF_K",
        description="k of reciprocal rank fusion, 1 / (k + rank)",
    )
    pool: int = Field(
        100,
        ge=1,
        le=1000,
        validation_alias="RETRIEVAL_POOL",
        description="candidates that each side of a hybrid search finds, at least as many as are asked for",
    )
