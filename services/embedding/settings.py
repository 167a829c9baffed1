"""Settings of the embedding service; a backend's own are in its module or package."""

from __future__ import annotations

from pydantic import Field

from services.core.settings import ServiceSettings


class Settings(ServiceSettings):
    """The embedding service."""

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
    query_prefix: str | None = Field(
        None,
        validation_alias="EMBEDDING_QUERY_PREFIX",
        description="before queries; not set: as the model's card says (docs/embedding.md); none: nothing",
    )
    passage_prefix: str | None = Field(
        None,
        validation_alias="EMBEDDING_PASSAGE_PREFIX",
        description="put before passages, part of the model's id where not the card's; as above",
    )
    cache_bytes: int = Field(
        64 * 1024 * 1024,
        ge=0,
        validation_alias="EMBEDDING_CACHE_BYTES",
        description="memory for embedded texts, by content hash (30 kB each with token vectors); 0 is none",
    )
    cache_url: str = Field(
        "",
        validation_alias="EMBEDDING_CACHE_URL",
        description="redis://host:6379/0: a second cache, shared by several embedding services; may be down",
        repr=False,
    )
    cache_seconds: int = Field(
        7 * 24 * 3600,
        ge=1,
        validation_alias="EMBEDDING_CACHE_SECONDS",
        description="how long Redis keeps an embedded text",
    )
    auto_truncate: bool = Field(
        True,
        validation_alias="EMBEDDING_AUTO_TRUNCATE",
        description="/v1/embeddings, which cannot ask for it: cut texts that are too long (false: a 413)",
    )
