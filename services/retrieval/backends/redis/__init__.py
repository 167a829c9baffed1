"""`redis://host:6379`: a Redis with RediSearch (Redis 8, Redis Stack); `rediss://` for TLS.

Every step is one Lua script, so it happens as a whole for every process that uses the Redis, and is in the
append-only file as a whole or not at all. Every collection that was ever made has an id of its own, and so
its keys are never another's. Keys, below a prefix (`ragline:`):

collections        hash    name -> {"uid", "model", "dim", "index"} as JSON
aliases            hash    alias -> name of a collection
dropped            set     ids of dropped collections whose keys are not all deleted yet
<uid>:p:<point>    hash    a passage: its JSON, vector, token vectors, filter terms, words as often as they
                           weigh, their weights ("<word>:<weight> ..."), and its revision
<uid>:points       zset    all points, in the order of their ids
<uid>:documents    set     documents, hashed
<uid>:d:<document> set     a document's revisions, hashed
<uid>:r:<revision> zset    a revision's points, by their index in the document
<uid>:hidden       hash    revisions that no reader sees -> "staged" or "doomed"
<uid>:df           hash    word -> how many passages have it
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from services.core.addresses import RedisAddress, StoreAddress
from services.core.errors import InvalidRequest
from services.core.redis import connect
from services.core.settings import Settings as BaseSettings
from services.retrieval.backends.redis.server import Server
from services.retrieval.backends.redis.store import RedisStore


class Settings(BaseSettings):
    """What is kept on a Redis server, and how it is searched."""

    index: Literal["flat", "hnsw"] = Field(
        "flat",
        validation_alias="REDIS_VECTOR_INDEX",
        description="vector index of new collections on Redis: flat (exact, fast to write) or hnsw "
        "(approximate, for more than about 100,000 passages)",
    )
    ef: int = Field(
        128,
        ge=64,
        validation_alias="REDIS_EF_RUNTIME",
        description="how many candidates a search in an hnsw index on Redis keeps: more find more, slower",
    )
    token_vectors: bool = Field(
        True,
        validation_alias="REDIS_TOKEN_VECTORS",
        description="keep token vectors on Redis, 40 to 80 KB of its memory per passage; without them the "
        "reranking service makes them at each question",
    )
    prefix: str = Field(
        "ragline:",
        min_length=1,
        pattern=r"^[A-Za-z0-9_.:-]+$",
        validation_alias="REDIS_PREFIX",
        description="what the names of all keys of the vector store on Redis begin with",
    )


async def create(url: StoreAddress) -> RedisStore:
    """Make a client of the server that `url` names; it is first called at first use."""
    address = RedisAddress.of(url)
    if address.db:
        raise InvalidRequest(
            f"VECTOR_URL names database {address.db}, but RediSearch has indexes in database 0 alone: write "
            f"{url.scheme}://{url.host}:{address.port}/0, and set REDIS_PREFIX to keep two stores apart"
        )
    settings = Settings.load()
    return RedisStore(
        Server(connect(address), address, settings.prefix),
        index=settings.index,
        ef=settings.ef,
        token_vectors=settings.token_vectors,
    )
