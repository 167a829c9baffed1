"""The connection with a Qdrant server: its client, and its failures as our errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qdrant_client import AsyncQdrantClient

from services.core.context import within_deadline
from services.retrieval.backends.qdrant.errors import QDRANT_ERRORS, translate


class Connection:
    """`where` is how errors name the server."""

    def __init__(self, client: AsyncQdrantClient, where: str) -> None:
        self.client = client
        self.where = where

    @asynccontextmanager
    async def call(self, what: str, collection: str = "") -> AsyncIterator[None]:
        """Calls of the server, within the request's deadline, their failures as our errors."""
        try:
            async with within_deadline(f"Qdrant's reply ({what})", service="retrieval"):
                yield
        except QDRANT_ERRORS as error:
            raise translate(error, what=what, where=self.where, collection=collection) from error
