"""Settings of the reranking service; each backend's own are in its file."""

from __future__ import annotations

from pydantic import Field

from services.core.settings import ServiceSettings


class Settings(ServiceSettings):
    """The reranking service."""

    port: int = Field(
        8000, ge=1, le=65535, validation_alias="RERANKING_PORT", description="port of the reranking service"
    )
    backend: str = Field(
        "late_interaction",
        validation_alias="RERANKING_BACKEND",
        description="late_interaction (token vectors), tei (a server), fake, or none (keeps the order)",
    )
    max_batch: int = Field(
        1000,
        ge=1,
        validation_alias="RERANKING_MAX_BATCH",
        description="most passages in one request; more are a 413",
    )
