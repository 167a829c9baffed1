"""The request's `rag` options, completed from the gateway's settings."""

from __future__ import annotations

from pipelines.search import Search
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
        mode=rag.mode,
        mmr=rag.mmr,
        neighbours=settings.neighbours if rag.neighbours is None else rag.neighbours,
        rewrite=rewriting_entry(settings.rewrite if rag.rewrite is None else rag.rewrite),
    )


def rewriting_entry(wanted: bool | str) -> str | None:
    """The model entry that rewrites; empty for the one that answers, None where nothing is rewritten.

    Words for yes and no count as such, because an environment variable has no booleans.
    """
    word = wanted.strip() if isinstance(wanted, str) else str(wanted)
    if word.lower() in {"", "false", "no", "off", "0"}:
        return None
    return "" if word.lower() in {"true", "yes", "on", "1"} else word
