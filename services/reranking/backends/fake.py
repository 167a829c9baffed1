"""A reranker that counts common words: deterministic and at no cost, for load tests and unit tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from services.core.health import Check
from services.core.wire.passages import Passage

_WORD = re.compile(r"\w+")


class WordOverlap:
    """Scores a passage by the share of the query's words that the passage has, in [0, 1]."""

    model = "fake"

    def dependencies(self) -> Mapping[str, Check]:
        return {}

    async def score(
        self, query: str, passages: Sequence[Passage], *, collection: str | None, truncate: bool = True
    ) -> list[float]:
        wanted = _split_words(query)
        return [
            len(wanted & _split_words(passage.embedded_text)) / len(wanted) if wanted else 0.0
            for passage in passages
        ]

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return


def _split_words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))


async def create() -> WordOverlap:
    return WordOverlap()
