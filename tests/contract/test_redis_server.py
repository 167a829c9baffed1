"""The Redis that other tests rely on: what it acknowledged is there after SIGKILL, and it can search."""

from __future__ import annotations

import asyncio

import pytest
import redis

from services.core.addresses import RedisAddress
from services.core.redis import connect
from tests.redis_server import RedisServer


def test_what_was_acknowledged_survives_a_kill(redis_server):
    with redis_server.client() as client:
        for number in range(200):
            client.set(f"k{number}", number)
        redis_server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("k0")
        redis_server.start()
        assert client.dbsize() == 200
        assert client.get("k199") == b"199"
    redis_server.flush()


def test_it_searches_vectors_and_text(redis_server):
    with redis_server.client() as client:
        client.execute_command("FT.CREATE", "i", "SCHEMA", "t", "TEXT", "tag", "TAG")
        client.hset("a", mapping={"t": "hello world", "tag": "x"})
        found = client.execute_command("FT.SEARCH", "i", "hello @tag:{x}", "NOCONTENT")
        assert [hit[b"id"] for hit in found[b"results"]] == [b"a"]
    redis_server.flush()


def test_a_password_is_asked_for_where_there_is_one(tmp_path):
    server = RedisServer(tmp_path, search=False, password="sesame")  # noqa: S106
    server.start()
    try:
        with server.client("") as client, pytest.raises(redis.AuthenticationError):
            client.ping()
        with server.client() as client:
            assert b"search" not in {module[b"name"] for module in client.module_list()}
    finally:
        server.kill()


async def test_a_command_that_is_cancelled_has_ended(redis_server):
    """At whichever of its steps: a task that goes on as if nothing had been said is waited for without end."""
    client = connect(RedisAddress.parse("JOBS_URL", "the job store", redis_server.url))
    await client.ping()
    outcomes = []
    for steps in range(12):
        task = asyncio.ensure_future(client.execute_command("PING"))
        for _ in range(steps):
            await asyncio.sleep(0)
        if task.cancel():
            await asyncio.wait({task})
            outcomes.append(task.cancelled())
    await client.aclose()
    assert outcomes
    assert all(outcomes), outcomes
