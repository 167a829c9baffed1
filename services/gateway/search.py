"""The request's `rag` options, completed from the gateway's settings."""

from __future__ import annotations

from pipelines.rag import Search
from services.core.wire.answer import RagOptions
from services.gateway.settings import Settings


def search_of(rag: RagOptions, settings: Settings) -> Search:
    """How to find the passages."""
    return Search(
        collection=rag.collection,
        top_k=rag.top_k or settings.top_k,
        top_n=rag.top_n or settings.top_n,
        where=rag.filter,
        floor=settings.floor if rag.floor is None else rag.floor,
    )
