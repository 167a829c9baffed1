"""The cache that several embedding services share, in a real Redis that may be gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from starlette.types import ASGIApp

from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.errors import InvalidRequest, ServiceUnavailable
from services.embedding.app import create
from services.embedding.cache import CachedText, EmbeddingCache, SharedCache
from services.embedding.settings import Settings
from tests.redis_server import RedisServer

Serve = Callable[[ASGIApp], str]


@pytest.fixture
async def cache(redis_server: RedisServer) -> AsyncIterator[SharedCache]:
    redis_server.flush()
    cache = SharedCache(redis_server.url, 60)
    yield cache
    await cache.close()


def entry(value: float) -> CachedText:
    return CachedText(np.full(8, value, np.float32), 3, np.ones((1, 8), np.int8))


async def written(cache: SharedCache, entries: dict[bytes, CachedText]) -> None:
    cache.put(entries)
    await asyncio.gather(*cache._writing)


async def test_what_one_wrote_another_reads_for_a_while(
    cache: SharedCache, redis_server: RedisServer
) -> None:
    await written(cache, {b"a": entry(1), b"b": entry(2)})
    other = SharedCache(redis_server.url, 60)
    found = await other.get([b"b", b"c", b"a"])
    await other.close()
    assert found is not None
    assert [one and one.vector[0] for one in found] == [2, None, 1]
    with redis_server.client() as client:
        assert 0 < client.ttl(client.keys("*")[0]) <= 60


async def test_what_somebody_else_wrote_there_is_a_miss(
    cache: SharedCache, redis_server: RedisServer
) -> None:
    with redis_server.client() as client:
        client.set(b"ragline:embedding:a", b"something else")
    assert await cache.get([b"a"]) == [None]


async def test_redis_fills_the_memory_of_the_next_service(cache: SharedCache) -> None:
    await written(cache, {b"a": entry(1)})
    counted: list[tuple[str, str, int]] = []
    local = EmbeddingCache(10_000, cache, lambda *each: counted.append(each))
    for _ in range(2):
        found = await local.get([b"a", b"b"], token_vectors=True)
        assert list(found) == [b"a"]
    assert counted == [
        ("memory", "miss", 2),
        ("redis", "hit", 1),
        ("redis", "miss", 1),
        ("memory", "hit", 1),
        ("memory", "miss", 1),
        ("redis", "miss", 1),
    ]


async def test_the_service_works_while_redis_is_gone_and_says_so(
    serve: Serve, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.embedding.cache.PAUSE_SECONDS", 0.0)
    url = serve(create(Settings(backend="fake", cache_bytes=0, cache_url=redis_server.url)))
    async with HttpClient("embedding", url) as http, aiohttp.ClientSession() as session:
        client = EmbeddingClient(http)
        known = await client.embed_query("bees make honey")
        redis_server.kill()
        try:
            assert await client.embed_query("bees make honey") == known
            async with session.get(url + "/health/ready") as reply:
                assert reply.status == 200
                redis = (await reply.json())["dependencies"]["redis"]
                assert (redis["ready"], redis["required"]) == (False, False)
            async with session.get(url + "/metrics") as reply:
                text = await reply.text()
            assert 'cache_lookups_total{cache="redis",result="error",service="embedding"} 1.0' in text
        finally:
            redis_server.start()
        assert await client.embed_query("bees make honey") == known
        async with session.get(url + "/health/ready") as reply:
            assert (await reply.json())["dependencies"]["redis"]["ready"]


async def test_the_login_of_every_redis_reaches_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RedisServer(tmp_path, search=False, password="sesame")  # noqa: S106
    server.start()
    try:
        stranger = SharedCache(server.url, 60)
        assert await stranger.get([b"a"]) is None
        with pytest.raises(ServiceUnavailable, match=r"EMBEDDING_CACHE_URL.*set REDIS_PASSWORD"):
            await stranger.ready()
        await stranger.close()
        monkeypatch.setenv("REDIS_PASSWORD", "sesame")
        by_setting = SharedCache(server.url, 60)
        await by_setting.ready()
        await written(by_setting, {b"a": entry(1)})
        monkeypatch.delenv("REDIS_PASSWORD")
        by_url = SharedCache(server.url.replace("redis://", "redis://:sesame@"), 60)
        found = await by_url.get([b"a"])
        assert found is not None
        assert found[0] is not None
        await by_setting.close()
        await by_url.close()
    finally:
        server.kill()


async def test_the_authority_of_every_redis_reaches_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_CA_FILE", "/etc/redis/ca.pem")
    cache = SharedCache("rediss://127.0.0.1:9/0", 60)
    assert cache._redis.connection_pool.connection_kwargs["ssl_ca_certs"] == "/etc/redis/ca.pem"
    await cache.close()


def test_an_address_that_is_none_is_refused_before_the_model_is_loaded() -> None:
    with pytest.raises(InvalidRequest, match=r"EMBEDDING_CACHE_URL must look like redis://"):
        SharedCache("http://127.0.0.1", 60)


async def test_a_redis_that_was_never_there_costs_one_failed_try(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = SharedCache("redis://127.0.0.1:9/0", 60)
    assert await cache.get([b"a"]) is None
    monkeypatch.setattr(cache._redis, "mget", None)  # asking again now would raise
    assert await cache.get([b"a"]) is None
    cache.put({b"a": entry(1)})
    assert not cache._writing
    await cache.close()
