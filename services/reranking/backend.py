"""The protocol of a reranker.

A backend is one file in `backends/` that exports `async def create() -> Reranker`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from services.core.backends import Backend
from services.core.health import Check
from services.core.wire.passages import Passage

PACKAGE = "services.reranking.backends"


class Reranker(Backend, Protocol):
    """Scores passages against a query. It is safe to call concurrently."""

    @property
    def model(self) -> str:
        """Name what it scores with, for replies, metrics and `/info`."""

    def dependencies(self) -> Mapping[str, Check]:
        """Give what it needs to serve, by name, for `/health/ready`; empty where it needs nothing."""

    async def score(
        self, query: str, passages: Sequence[Passage], *, collection: str | None, truncate: bool = True
    ) -> list[float]:
        """Score passages.

        Args:
            query: Not empty.
            passages: Any number, none too.
            collection: The collection that the passages' ids are from; None for bare texts.
            truncate: Whether a text that is too long for the model is cut.

        Returns:
            One relevance per passage, in order; higher is better, comparable within one call only.

        Raises:
            PayloadTooLarge: A text is longer than the model's limit, and `truncate` is off.
            ServiceError: The model, or a server behind the backend, failed.
        """


@runtime_checkable
class ScoresSentences(Protocol):
    """A reranker that has token vectors, and so can tell which sentences of a passage bear on a query."""

    async def sentence_cosines(
        self,
        query: str,
        passages: Sequence[Passage],
        spans: Sequence[Sequence[tuple[int, int]]],
        *,
        collection: str | None,
    ) -> list[list[float | None]]:
        """Compare a query with sentences.

        Args:
            query: Not empty.
            passages: Any number.
            spans: The sentences of each passage, from and to in characters of its text, ascending.
            collection: The collection that the passages' ids are from; None for bare texts.

        Returns:
            By passage and sentence the cosine, in [-1, 1]; None where the passage's vectors do not reach.

        Raises:
            NotSupported: The embedding service has no tokenizer to ask.
            ServiceError: A service behind the backend failed.
        """
