"""In which order passages are asked about: every document in turn, so that a long one does not fill the set.
Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pipelines.sentences import content_words
from services.core.wire.passages import Passage

LEAST_WORDS = 12
"""Content words that a passage must have to be asked about: a heading alone makes no question."""
ROUNDS = 3
"""How often one passage is asked about at most."""


def worth_asking(passage: Passage) -> bool:
    return len(content_words(passage.text)) >= LEAST_WORDS


def drawn(passages: Sequence[Passage], seed: int) -> list[Passage]:
    """All of them, once: documents in a seeded order, one passage of each, then the next of each, ...

    The order depends on ids and the seed alone, not on the order in which they come.
    """
    generator = random.Random(seed)
    documents: dict[str, list[Passage]] = {}
    for passage in sorted(passages, key=lambda each: (each.document_id, each.index, each.id)):
        documents.setdefault(passage.document_id, []).append(passage)
    order = generator.sample(list(documents), len(documents))
    queues = [generator.sample(documents[name], len(documents[name])) for name in order]
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


def due(kept: int, share: float) -> int:
    """How many of the first `kept` questions are to be unanswerable: rounded down."""
    return int(kept * share + 1e-9)
