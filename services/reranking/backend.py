"""The protocol of a reranker.

A backend is one file in `backends/` that exports `async def create() -> Reranker`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from services.core.backends import Backend
from services.core.health import Check
from services.core.wire.passages import Passage

PACKAGE = "services.reranking.backends"


class Reranker(Backend, Protocol):
    """Scores passages against a query. Safe to call concurrently."""

    @property
    def model(self) -> str:
        """What it scores with, for replies, metrics and `/info`."""

    def dependencies(self) -> Mapping[str, Check]:
        """What it needs to serve, by name, for `/health/ready`; empty where it needs nothing."""

    async def score(
        self, query: str, passages: Sequence[Passage], *, collection: str | None, truncate: bool = True
    ) -> list[float]:
        """One relevance per passage, in order; higher is better, comparable within one call only.

        `collection` names the collection that the passages' ids are from; None for bare texts. Raises
        `PayloadTooLarge` where a text is longer than the model's limit and `truncate` is off.
        """
