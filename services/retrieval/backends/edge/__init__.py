"""`edge:`: Qdrant's embedded engine on local disk. One process owns a directory.

<directory>/catalogue.db                 which collections there are; its lock makes one process the owner
<directory>/collections/<name>.<hex>/
  shard/ or shard.<hex>/                 vectors and payloads, a Qdrant Edge shard
  current.json                           which of them it is, once one with a graph has replaced the first
  tokens.db                              token vectors, a SQLite file
  revisions.db                           which revisions are hidden, a SQLite file

What is below `store` and `graph` blocks, and runs on the two threads that each collection has.
"""

from __future__ import annotations

import asyncio

from pydantic import Field

from services.core.addresses import StoreAddress
from services.core.settings import HomeSettings
from services.core.settings import Settings as BaseSettings
from services.retrieval.backends.edge.catalogue import Catalogue
from services.retrieval.backends.edge.store import EdgeStore


class Settings(BaseSettings):
    """The embedded store."""

    index_from: int = Field(
        100_000,
        ge=0,
        validation_alias="RETRIEVAL_INDEX_FROM",
        description="passages of an embedded collection from which a graph over them is built, in a process "
        "of its own, and again for as many new ones; below, searches are exact; 0: never",
    )


async def create(url: StoreAddress) -> EdgeStore:
    """Own the directory that `url` names, else `vectors` in the data folder of `RAGLINE_HOME`."""
    home = HomeSettings.load()
    directory = url.directory or home.data / "vectors"
    catalogue = await asyncio.to_thread(Catalogue, directory)
    return EdgeStore(catalogue, Settings.load().index_from, home.disk_free_bytes)
