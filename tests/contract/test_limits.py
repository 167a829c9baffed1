"""What keys and tenants may use: limits, their headers, usage, and what is counted of answers that break off."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.core.errors import RateLimited, ServiceUnavailable
from services.gateway.access.caller import Limits
from services.gateway.access.counters import Change, Counters, open_counters
from services.gateway.access.keys import read_keys, write_keys
from services.gateway.access.middleware import Door
from services.gateway.access.places import Places, Share
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings
from services.generation.app import create as create_generation
from services.generation.settings import Settings as GenerationSettings
from tests.contract.conftest import Serve
from tests.contract.tenants_chain import ENTRIES, Tenant, start_services, write_key_file
from tests.redis_server import RedisServer

NOON = 1_795_953_600.0
"""A minute of the clock begins, and a day has half gone."""
ROLES = ["ask", "ingest"]


class Gateway:
    """A gateway with its door, whose clock stands still until it is set; `whole`: over all services."""

    def __init__(
        self,
        serve: Serve,
        folder: Path,
        keys: dict[str, Any],
        tenants: dict[str, Limits],
        *,
        whole: bool,
        **settings: Any,
    ):
        self.path = folder / "keys.json"
        made = write_key_file(self.path, **keys)
        listed = read_keys(self.path)
        write_keys(self.path, listed.model_copy(update={"tenants": tenants}))
        self.now = NOON
        settings["keys_file"] = self.path
        if whole:
            settings |= start_services(serve, folder / "dataprep")
        else:
            settings["generation_url"] = serve(create_generation(GenerationSettings(backends=ENTRIES)))
        app = create_gateway(Settings(floor=0, **settings))
        self.door: Door = app.state.door
        self.door.limiter.clock = lambda: self.now
        self.url = serve(app)
        self.keys = {name: Tenant(self.url, key) for name, key in made.items()}


@pytest.fixture
def start(serve: Serve, tmp_path: Path) -> Callable[..., Gateway]:
    (tmp_path / "dataprep").mkdir()

    def start(
        keys: dict[str, Any],
        tenants: dict[str, Limits] | None = None,
        *,
        whole: bool = False,
        **settings: Any,
    ) -> Gateway:
        return Gateway(serve, tmp_path, keys, tenants or {}, whole=whole, **settings)

    return start


def ask(key: Tenant, **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "Hello"}], "model": "small:direct", **fields}
    return key.ask("POST", "/v1/chat/completions", json=body)


def test_requests_per_minute(start: Callable[..., Gateway]) -> None:
    gateway = start({"few": {"roles": ROLES, "limits": {"requests_per_minute": 2}}, "free": {"roles": ROLES}})
    few, free = gateway.keys["few"], gateway.keys["free"]
    left = [ask(few).headers["x-ratelimit-remaining-requests"] for _ in range(2)]
    assert left == ["1", "0"]
    gateway.now = NOON + 20.5
    refused = ask(few)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limited"
    assert "requests_per_minute" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"] == "40"
    assert refused.headers["x-ratelimit-limit-requests"] == "2"
    assert refused.headers["x-ratelimit-reset-requests"] == "39.500s"
    allowed = ask(free)
    assert allowed.status_code == 200
    assert "x-ratelimit-limit-requests" not in allowed.headers
    gateway.now = NOON + 60
    assert ask(few).status_code == 200


def test_a_tenant_s_keys_share_its_limit(start: Callable[..., Gateway]) -> None:
    keys = {name: {"roles": ROLES, "tenant": name[:4]} for name in ("acme1", "acme2", "zeta1")}
    keys["acme1"]["limits"] = {"requests_per_minute": 50}
    gateway = start(keys, {"acme": Limits(requests_per_minute=3)})
    assert ask(gateway.keys["acme1"]).headers["x-ratelimit-remaining-requests"] == "2"
    assert ask(gateway.keys["acme2"]).headers["x-ratelimit-remaining-requests"] == "1"
    assert ask(gateway.keys["acme1"]).headers["x-ratelimit-limit-requests"] == "3"
    refused = ask(gateway.keys["acme2"])
    assert refused.status_code == 429
    assert "tenant acme" in refused.json()["error"]["message"]
    assert ask(gateway.keys["zeta1"]).status_code == 200


@pytest.mark.parametrize(("limit", "wait"), [("tokens_per_minute", "60"), ("tokens_per_day", "43200")])
@pytest.mark.parametrize("stream", [False, True])
def test_tokens(start: Callable[..., Gateway], limit: str, wait: str, stream: bool) -> None:
    gateway = start({"few": {"roles": ROLES, "limits": {limit: 1}}})
    few = gateway.keys["few"]
    first = ask(few, stream=stream)
    assert first.status_code == 200
    refused = ask(few)
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == wait
    assert limit in refused.json()["error"]["message"]
    if limit == "tokens_per_minute":
        assert refused.headers["x-ratelimit-remaining-tokens"] == "0"
    gateway.now = NOON + 86_400
    assert ask(few).status_code == 200


def test_an_answer_that_its_reader_breaks_off_is_charged(start: Callable[..., Gateway]) -> None:
    gateway = start({"few": {"roles": ROLES, "limits": {"tokens_per_day": 10_000}}})
    few = gateway.keys["few"]
    body = {"messages": [{"role": "user", "content": "word " * 400}], "model": "small:direct", "stream": True}
    url = f"{gateway.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=body, headers=few.headers, timeout=30) as reply:
        next(reply.iter_lines())
    usage = few.ask("GET", "/v1/usage").json()["usage"]
    while not usage or not usage[0]["prompt_tokens"]:
        usage = few.ask("GET", "/v1/usage").json()["usage"]
    assert usage[0]["prompt_tokens"] >= 400


def test_uploaded_bytes_per_day(start: Callable[..., Gateway]) -> None:
    gateway = start({"few": {"roles": ROLES, "limits": {"ingest_bytes_per_day": 500}}}, whole=True)
    few = gateway.keys["few"]
    assert few.upload("a.md", "honey " * 100).status_code == 200
    for path in ("/v1/documents", "/v1/jobs", "/v1/dataprep/ingest"):
        refused = few.upload("b.md", "more", path=path)
        assert refused.status_code == 429
        assert "ingest_bytes_per_day" in refused.json()["error"]["message"]
    assert ask(few).status_code == 200
    assert [one["name"] for one in few.ask("GET", "/v1/documents").json()["documents"]] == ["a.md"]


async def test_requests_at_once(start: Callable[..., Gateway]) -> None:
    gateway = start({"one": {"roles": ROLES, "limits": {"concurrent": 1}}})
    one, door = gateway.keys["one"], gateway.door
    (key,) = read_keys(gateway.path).keys
    caller, _ = door.keys.find(one.key)  # type: ignore[union-attr]
    assert caller is not None
    async with door.limiter.hold_place(caller, None):
        refused = ask(one)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert key.id in refused.json()["error"]["message"]
        assert one.ask("GET", "/v1/models").status_code == 200
    assert ask(one).status_code == 200
    assert ask(one).status_code == 200


def test_usage_is_the_key_s_own_and_an_admin_s_the_tenant_s(start: Callable[..., Gateway]) -> None:
    keys = {
        "asker": {"roles": ["ask"], "tenant": "acme"},
        "chief": {"roles": ["admin"], "tenant": "acme"},
        "other": {"roles": ["admin"], "tenant": "zeta"},
    }
    gateway = start(keys)
    assert ask(gateway.keys["asker"]).status_code == 200
    own = gateway.keys["asker"].ask("GET", "/v1/usage").json()
    assert [used["name"] for used in own["usage"]] == ["asker"]
    assert own["usage"][0]["prompt_tokens"] > 0
    assert own["usage"][0]["completion_tokens"] > 0
    chief = gateway.keys["chief"].ask("GET", "/v1/usage").json()
    assert {used["name"] for used in chief["usage"]} >= {"asker"}
    assert gateway.keys["other"].ask("GET", "/v1/usage").json()["usage"] == []


def test_metrics_by_tenant_are_bounded(
    start: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.access.usage.MOST_TENANTS", 2)
    keys = {f"t{n}": {"roles": ["ask"], "tenant": f"tenant{n}"} for n in range(4)}
    gateway = start({**keys, "operator": {"roles": ["admin"]}})
    for n in range(4):
        assert ask(gateway.keys[f"t{n}"]).status_code == 200
    text = gateway.keys["operator"].ask("GET", "/metrics").text
    assert 'ragline_tenant_requests_total{refused="false",service="gateway",tenant="tenant1"} 1.0' in text
    assert 'tenant="others"} 2.0' in text
    assert 'tenant="tenant3"' not in text


def read_audit(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_audit(path: Path, lines: int) -> list[dict[str, Any]]:
    """Wait for so many lines: one is written when its reply has been sent."""
    end = time.monotonic() + 30
    while time.monotonic() < end and (not path.exists() or len(read_audit(path)) < lines):
        time.sleep(0.02)
    return read_audit(path)


@pytest.mark.parametrize("content", [False, True])
def test_the_audit_log_says_who_did_what(
    start: Callable[..., Gateway], tmp_path: Path, content: bool
) -> None:
    path = tmp_path / "audit.jsonl"
    keys = {"asker": {"roles": ROLES, "tenant": "acme"}}
    gateway = start(keys, whole=True, audit_log=str(path), audit_content=content)
    asker = gateway.keys["asker"]
    assert asker.upload("bees.md", "Bees make honey.").status_code == 200
    body = {"messages": [{"role": "user", "content": "What do bees make?"}]}
    assert asker.ask("POST", "/v1/chat/completions", json=body).status_code == 200
    assert asker.ask("GET", "/metrics").status_code == 403
    assert httpx.get(f"{gateway.url}/v1/models").status_code == 401
    assert httpx.get(f"{gateway.url}/health").status_code == 200
    lines = wait_for_audit(path, 4)
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/v1/documents", 200),
        ("POST", "/v1/chat/completions", 200),
        ("GET", "/metrics", 403),
        ("GET", "/v1/models", 401),
    ]
    upload, chat, _, unknown = lines
    assert (upload["tenant"], upload["subject"], upload["collections"]) == ("acme", "asker", ["default"])
    assert upload["uploaded_bytes"] > 0
    assert chat["key"] == read_keys(gateway.path).keys[0].id
    assert chat["models"] == ["small"]
    assert chat["prompt_tokens"] > 0
    assert "cited" in chat
    assert (unknown["key"], unknown["tenant"]) == ("", "")
    assert asker.key not in path.read_text()
    assert ("What do bees make?" in path.read_text()) is content
    assert path.stat().st_mode & 0o077 == 0
    path.rename(tmp_path / "old")
    assert gateway.door.audit is not None
    gateway.door.audit._look_again = 0.0
    assert asker.ask("GET", "/v1/models").status_code == 200
    assert len(wait_for_audit(path, 1)) == 1


def test_without_keys_the_audit_log_is_written_too(serve: Serve, tmp_path: Path) -> None:
    generation = serve(create_generation(GenerationSettings(backends=ENTRIES)))
    path = tmp_path / "audit.jsonl"
    url = serve(create_gateway(Settings(generation_url=generation, audit_log=str(path))))
    assert httpx.get(f"{url}/v1/models").status_code == 200
    assert [line["tenant"] for line in wait_for_audit(path, 1)] == ["default"]


@pytest.mark.parametrize("url", ["http://x", "redis://:secret@host:6379/0", "redis://"])
def test_an_address_of_limits_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="LIMITS_URL"):
        Settings(limits_url=url)


async def add(counters: Counters, amount: int) -> int:
    return (await counters.change([Change("a", amount, 60)]))[0]


async def test_gateways_share_their_counters_in_redis(redis_server: RedisServer) -> None:
    first, second = open_counters(redis_server.url), open_counters(redis_server.url)
    assert [await add(first, 2), await add(second, 3), await add(first, 0)] == [2, 5, 5]
    assert await first.change([Change("a", 1, 60), Change("b", 0, 60), Change("c", 4, 60)]) == [6, 0, 4]
    await first.check()
    await first.close()
    await second.close()


async def test_a_redis_that_is_down_leaves_each_gateway_to_count_by_itself() -> None:
    counters = open_counters("redis://127.0.0.1:9/0")
    assert [await add(counters, 1), await add(counters, 1), await add(counters, 0)] == [1, 2, 2]
    with pytest.raises(ServiceUnavailable, match="counts by itself"):
        await counters.check()
    await counters.close()


async def test_counters_are_forgotten() -> None:
    now = [1000.0]
    counters = Counters(clock=lambda: now[0])
    await counters.change([Change(f"window-{number}", 1, 60) for number in range(100)])
    now[0] += 100
    assert await add(counters, 1) == 1
    assert len(counters._here) == 1


SHARES = [Share("key 1", 2), Share("tenant acme", 3)]


async def close(counters: Sequence[Counters], *places: Places) -> None:
    for one in places:
        await one.close()
    for shared in counters:
        await shared.close()


async def take(stack: AsyncExitStack, places: Places, *shares: Share) -> None:
    await stack.enter_async_context(places.hold(shares))


async def test_gateways_share_the_places_of_requests_at_once(redis_server: RedisServer) -> None:
    counters = [open_counters(redis_server.url) for _ in range(2)]
    first, second = (Places(one.shared) for one in counters)
    async with AsyncExitStack() as stack:
        await take(stack, first, *SHARES)
        await take(stack, second, *SHARES)
        for places in (first, second):
            with pytest.raises(RateLimited, match="key 1"):
                await take(stack, places, *SHARES)
        # who found no place of one owner holds none of another's
        await take(stack, first, Share("key 2", 9), SHARES[1])
        with pytest.raises(RateLimited, match="tenant acme"):
            await take(stack, second, Share("key 2", 9), SHARES[1])
    async with AsyncExitStack() as stack:
        for places in (first, second):
            await take(stack, places, *SHARES)
    await close(counters, first, second)


async def test_a_dead_gateway_s_places_come_back_and_a_living_one_s_are_renewed(
    redis_server: RedisServer,
) -> None:
    counters = [open_counters(redis_server.url) for _ in range(2)]
    dead = Places(counters[0].shared, lease=0.3, renew=600)  # it renews nothing, as one that was killed
    living = Places(counters[1].shared, lease=600, renew=0.05)
    share, key = Share("key of two gateways", 2), "ragline:places:key of two gateways"
    assert counters[1].shared is not None

    async def last_end() -> float:
        [(_, ends)] = await counters[1].shared.call(lambda redis: redis.zrange(key, -1, -1, withscores=True))
        return float(ends)

    async with AsyncExitStack() as stack:
        await take(stack, dead, share)
        await take(stack, living, share)
        before, until = await last_end(), time.monotonic() + 60
        while await last_end() <= before:
            assert time.monotonic() < until, "the living gateway's place was not renewed"
            await asyncio.sleep(0.02)
        while True:
            try:
                await take(stack, living, share)
                break
            except RateLimited:
                assert time.monotonic() < until, "the dead gateway's place never came back"
                await asyncio.sleep(0.05)
        with pytest.raises(RateLimited):
            await take(stack, dead, share)
    await close(counters, dead, living)


async def test_a_redis_that_is_down_leaves_each_gateway_its_own_places() -> None:
    counters = [open_counters("redis://127.0.0.1:9/0") for _ in range(2)]
    first, second = (Places(one.shared) for one in counters)
    async with AsyncExitStack() as stack:
        for places in (first, second):
            await take(stack, places, Share("key", 1))
            with pytest.raises(RateLimited):
                await take(stack, places, Share("key", 1))
    await close(counters, first, second)


async def test_what_redis_forgot_is_there_again(redis_server: RedisServer) -> None:
    counters = open_counters(redis_server.url)
    places, other = Places(counters.shared, renew=0.05), Places(counters.shared)
    assert counters.shared is not None
    async with places.hold([Share("forgotten", 1)]):
        await counters.shared.call(lambda redis: redis.delete("ragline:places:forgotten"))
        end = time.monotonic() + 60
        while not await counters.shared.call(lambda redis: redis.exists("ragline:places:forgotten")):
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        with pytest.raises(RateLimited):
            async with other.hold([Share("forgotten", 1)]):
                pass
    await places.close()
    await counters.close()
