"""The protocol of a reranker.

A backend is one file in `backends/` that exports `async def create() -> Reranker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.core.backends import Backend
from services.core.wire.passages import Passage

PACKAGE = "services.reranking.backends"


class Reranker(Backend, Protocol):
    """Scores passages against a query. Safe to call concurrently."""

    model: str

    async def score(self, query: str, passages: Sequence[Passage], *, collection: str | None) -> list[float]:
        """One relevance per passage, in order; higher is better, comparable within one call only.

        `collection` names the collection that the passages' ids are from; None for bare texts.
        """
