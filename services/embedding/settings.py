"""Settings of the embedding service; each backend's own are in its file."""

from __future__ import annotations

from pydantic import Field

from services.core.settings import ServiceSettings


class Settings(ServiceSettings):
    port: int = Field(
        6000, ge=1, le=65535, validation_alias="EMBEDDING_PORT", description="port of the embedding service"
    )
    backend: str = Field(
        "openvino",
        validation_alias="EMBEDDING_BACKEND",
        description="openvino (in process), tei, openai (servers) or fake",
    )
    max_batch: int = Field(
        512,
        ge=1,
        validation_alias="EMBEDDING_MAX_BATCH",
        description="most texts in one request; more are a 413",
    )
    auto_truncate: bool = Field(
        True,
        validation_alias="EMBEDDING_AUTO_TRUNCATE",
        description="/v1/embeddings, which cannot ask for it: cut texts that are too long (false: a 413)",
    )
