"""The frozen context: the ordered passages that an answer, or all arms of a comparison, come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.core.wire.answer import FrozenContext
from services.core.wire.passages import Passage


def context_id(passages: Sequence[Passage]) -> str:
    """SHA-256, in hex, over what a model sees of the passages and where they are from, in order."""
    digest = hashlib.sha256()
    for passage in passages:
        for part in (passage.document_id, passage.header, str(passage.start), str(passage.end), passage.text):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
    return digest.hexdigest()


def freeze(passages: Sequence[Passage], query: str | None = None) -> FrozenContext:
    """`query`: what was searched for, where that is not the question itself."""
    return FrozenContext(context_id=context_id(passages), passages=list(passages), query=query)
