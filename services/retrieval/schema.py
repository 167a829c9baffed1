"""What a collection was made for, and the errors where a request does not fit it."""

from __future__ import annotations

from dataclasses import dataclass

from services.core.errors import Conflict, NotFound


@dataclass(frozen=True)
class Schema:
    """The embedding model whose vectors a collection holds, and their dimension."""

    model: str
    dim: int

    def require(self, collection: str, offered: Schema) -> None:
        """Raises `Conflict` where `offered` is another model or dimension."""
        if self != offered:
            raise Conflict(
                f"collection {collection!r} holds vectors of {self.model!r} ({self.dim} dimensions), not of "
                f"{offered.model!r} ({offered.dim} dimensions): use another collection, or delete this one "
                f"(DELETE /v1/collections/{collection}) and ingest its documents again"
            )


def unknown(collection: str) -> NotFound:
    return NotFound(f"collection {collection!r} does not exist: ingest a document first")
