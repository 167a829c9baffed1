"""The collections of a Qdrant server, and their aliases, which the server resolves itself."""

from __future__ import annotations

from contextlib import suppress

from qdrant_client import models as q

from services.core.errors import Conflict
from services.retrieval.backends.qdrant.connection import Connection
from services.retrieval.backends.qdrant.revisions import KIND
from services.retrieval.collections import Names, Schema, unknown_collection
from services.retrieval.points import DENSE, DOCUMENT_ID, SPARSE, TERMS

MODEL = "ragline_embedding_model"
"""Key of the collection's own metadata, which a server keeps since Qdrant 1.16."""
INDEXED = (DOCUMENT_ID, TERMS, KIND)


class Collections:
    """Makes, describes and names collections on the server; remembers their schemas until they fail."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._schemas: dict[str, Schema] = {}
        self._indexed: set[str] = set()

    async def require(self, collection: str) -> Schema:
        """Give the schema as it was when last described. Raises `NotFound` for an unknown collection."""
        schema = self._schemas.get(collection) or await self.describe(collection)
        if schema is None:
            raise unknown_collection(collection)
        return schema

    def forget(self, collection: str) -> None:
        """Describe it again at the next use."""
        self._schemas.pop(collection, None)
        self._indexed.discard(collection)

    async def describe(self, collection: str) -> Schema | None:
        """Read the schema as the server has it now; None where there is no such collection.

        Raises:
            Conflict: The collection was not made by Ragline.
        """
        client = self._connection.client
        async with self._connection.call("describe the collection", collection):
            self._schemas.pop(collection, None)
            if not await client.collection_exists(collection):
                return None
            config = (await client.get_collection(collection)).config
        model, vectors = (config.metadata or {}).get(MODEL), config.params.vectors
        dense = vectors.get(DENSE) if isinstance(vectors, dict) else None
        if model is None or dense is None:
            raise Conflict(
                f"collection {collection!r} on {self._connection.where} has no record of its embedding "
                "model: it was not made by Ragline, or by a Qdrant older than 1.16; use another collection "
                "name"
            )
        schema = self._schemas[collection] = Schema(str(model), dense.size)
        return schema

    async def create(self, collection: str, schema: Schema) -> Schema:
        """Make the collection, unless another process just did; returns the schema that it has."""
        with suppress(Conflict):
            async with self._connection.call("create the collection", collection):
                await self._connection.client.create_collection(
                    collection,
                    vectors_config={DENSE: q.VectorParams(size=schema.dim, distance=q.Distance.COSINE)},
                    sparse_vectors_config={SPARSE: q.SparseVectorParams(modifier=q.Modifier.IDF)},
                    metadata={MODEL: schema.model},
                )
        await self.index(collection)
        return await self.describe(collection) or schema

    async def index(self, collection: str) -> None:
        """Make the payload indexes that are not there yet: an older Ragline made fewer."""
        if collection in self._indexed:
            return
        async with self._connection.call("index the collection", collection):
            for key in INDEXED:
                await self._connection.client.create_payload_index(
                    collection, key, q.PayloadSchemaType.KEYWORD
                )
        self._indexed.add(collection)

    async def names(self) -> list[str]:
        """List the names of all collections that the server has, also of others than Ragline's."""
        async with self._connection.call("list collections"):
            listed = (await self._connection.client.get_collections()).collections
        return sorted(collection.name for collection in listed)

    async def drop(self, collection: str) -> None:
        """Delete a collection. Raises what `Names.check_drop` raises."""
        if await self.describe(collection) is None:
            raise unknown_collection(collection)
        Names({collection}, await self.aliases()).check_drop(collection)
        async with self._connection.call("delete the collection", collection):
            await self._connection.client.delete_collection(collection)
        self.forget(collection)

    async def aliases(self) -> dict[str, str]:
        """Read the collection that each alias means."""
        async with self._connection.call("list aliases"):
            listed = (await self._connection.client.get_aliases()).aliases
        return {alias.alias_name: alias.collection_name for alias in listed}

    async def set_alias(self, alias: str, collection: str, *, replace_collection: bool) -> None:
        """Let an alias mean a collection. Raises what `Names.check_alias` raises.

        Switching an alias is one step of the server; replacing a collection by one is two.
        """
        if await self.describe(collection) is None:
            raise unknown_collection(collection)
        names = Names(await self.names(), await self.aliases())
        name = names.check_alias(alias, collection, replace=replace_collection)
        if alias in names.collections:
            await self.drop(alias)
        switch: list[q.AliasOperations] = [
            q.CreateAliasOperation(create_alias=q.CreateAlias(collection_name=name, alias_name=alias))
        ]
        if alias in names.aliases:
            switch.insert(0, q.DeleteAliasOperation(delete_alias=q.DeleteAlias(alias_name=alias)))
        async with self._connection.call("set the alias", name):
            await self._connection.client.update_collection_aliases(switch)
        self.forget(alias)

    async def delete_alias(self, alias: str) -> None:
        """Delete an alias. Raises `NotFound` for an unknown one."""
        Names((), await self.aliases()).check_alias_known(alias)
        async with self._connection.call("delete the alias", alias):
            await self._connection.client.update_collection_aliases(
                [q.DeleteAliasOperation(delete_alias=q.DeleteAlias(alias_name=alias))]
            )
        self.forget(alias)
