"""No reranking: passages keep the order in which they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.core.health import Check
from services.core.wire.passages import Passage


class KeepOrder:
    """Scores a passage by the reciprocal of the rank that it came with."""

    model = "none"

    def dependencies(self) -> Mapping[str, Check]:
        return {}

    async def score(
        self, query: str, passages: Sequence[Passage], *, collection: str | None, truncate: bool = True
    ) -> list[float]:
        return [1 / rank for rank in range(1, len(passages) + 1)]

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return


async def create() -> KeepOrder:
    return KeepOrder()
