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
                f"{offered.model!r} ({offered.dim} dimensions): `ragline reindex {collection}` embeds its "
                "passages with the new model; or use another collection, or delete this one "
                f"(DELETE /v1/collections/{collection}) and ingest its documents again"
            )


def unknown(collection: str) -> NotFound:
    return NotFound(f"collection {collection!r} does not exist: ingest a document first")


def unknown_alias(alias: str) -> NotFound:
    return NotFound(f"alias {alias!r} does not exist: GET /v1/aliases lists them")


def taken(alias: str) -> Conflict:
    return Conflict(
        f"{alias!r} is a collection: choose another alias, or send `replace_collection` to delete the "
        "collection and give its name to the alias in one step"
    )


def is_alias(name: str, collection: str) -> Conflict:
    return Conflict(
        f"{name!r} is an alias of collection {collection!r}: delete the alias (DELETE /v1/aliases/{name}), "
        "or the collection by its own name"
    )


def aliased(collection: str, aliases: list[str]) -> Conflict:
    return Conflict(
        f"collection {collection!r} is what {', '.join(map(repr, aliases))} means: let the alias mean "
        "another collection, or delete it, first"
    )
