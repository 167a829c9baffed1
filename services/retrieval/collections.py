"""Collections by name: their embedding models, their aliases, and the errors of requests that do not fit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from services.core.errors import Conflict, NotFound


@dataclass(frozen=True)
class Schema:
    """A schema names the embedding model whose vectors a collection holds, and their dimension."""

    model: str
    dim: int

    def require(self, collection: str, offered: Schema) -> None:
        """Check that passages of the schema `offered` fit into the collection.

        Raises:
            Conflict: They are of another model or dimension.
        """
        if self != offered:
            raise Conflict(
                f"collection {collection!r} holds vectors of {self.model!r} ({self.dim} dimensions), not of "
                f"{offered.model!r} ({offered.dim} dimensions): `ragline reindex {collection}` embeds its "
                "passages with the new model; or use another collection, or delete this one "
                f"(DELETE /v1/collections/{collection}) and ingest its documents again"
            )


@dataclass(frozen=True)
class Names:
    """The names of a store's collections, and the collection that each alias means: the rules of both.

    It changes nothing: a store asks it whether a change is allowed, and makes the change in its own way.
    """

    collections: Collection[str]
    aliases: Mapping[str, str]

    def resolve(self, name: str) -> str:
        """Find a collection's own name, by its name or an alias of it."""
        return self.aliases.get(name, name)

    def aliases_of(self, collection: str) -> list[str]:
        """List the aliases that mean a collection, sorted."""
        return sorted(alias for alias, meant in self.aliases.items() if meant == collection)

    def check_drop(self, name: str) -> None:
        """Check that a collection may be deleted.

        Raises:
            Conflict: The name is an alias, or an alias means the collection.
            NotFound: There is no such collection.
        """
        if name in self.aliases:
            raise name_is_alias(name, self.aliases[name])
        if name not in self.collections:
            raise unknown_collection(name)
        if aliases := self.aliases_of(name):
            raise collection_has_aliases(name, aliases)

    def check_alias(self, alias: str, collection: str, *, replace: bool) -> str:
        """Check that an alias may mean a collection.

        Args:
            replace: Whether a collection that is named `alias` may be dropped for it.

        Returns:
            The collection's own name.

        Raises:
            NotFound: There is no such collection.
            Conflict: A collection is named `alias`, and may not be dropped.
        """
        name = self.resolve(collection)
        if name not in self.collections:
            raise unknown_collection(collection)
        if alias in self.collections:
            if not replace or alias == name:
                raise alias_is_collection(alias)
            self.check_drop(alias)
        return name

    def check_alias_known(self, alias: str) -> None:
        """Raise `NotFound` for an unknown alias."""
        if alias not in self.aliases:
            raise unknown_alias(alias)


def unknown_collection(collection: str) -> NotFound:
    """Build the error for a collection that does not exist."""
    return NotFound(f"collection {collection!r} does not exist: ingest a document first")


def unknown_alias(alias: str) -> NotFound:
    """Build the error for an alias that does not exist."""
    return NotFound(f"alias {alias!r} does not exist: GET /v1/aliases lists them")


def alias_is_collection(alias: str) -> Conflict:
    """Build the error for an alias whose name a collection has."""
    return Conflict(
        f"{alias!r} is a collection: choose another alias, or send `replace_collection` to delete the "
        "collection and give its name to the alias in one step"
    )


def name_is_alias(name: str, collection: str) -> Conflict:
    """Build the error for deleting a collection by an alias."""
    return Conflict(
        f"{name!r} is an alias of collection {collection!r}: delete the alias (DELETE /v1/aliases/{name}), "
        "or the collection by its own name"
    )


def collection_has_aliases(collection: str, aliases: list[str]) -> Conflict:
    """Build the error for deleting a collection that aliases mean."""
    return Conflict(
        f"collection {collection!r} is what {', '.join(map(repr, aliases))} means: let the alias mean "
        "another collection, or delete it, first"
    )
