"""Settings of the retrieval service; a backend's own are in its file."""

from __future__ import annotations

from pydantic import Field

from services.core.settings import ServiceSettings


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
