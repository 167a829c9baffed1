"""The app factory, by requests to a small service of every kind of behaviour."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest
import structlog
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from services.core.app import create_app
from services.core.context import seconds_left
from services.core.errors import Busy, RateLimited, ServiceUnavailable
from services.core.health import Check, Soft
from services.core.settings import ServiceSettings


class Body(BaseModel):
    k: int


def service(checks: Mapping[str, Check]) -> FastAPI:
    router = APIRouter()

    @router.post("/echo")
    async def echo(body: Body) -> Body:
        return body

    @router.get("/boom")
    async def boom() -> None:
        raise ZeroDivisionError

    @router.get("/busy")
    async def busy() -> None:
        raise RateLimited("slow down", retry_after=7)

    @router.get("/a-little-busy")
    async def a_little_busy() -> None:
        raise Busy("slow down", retry_after=0.3)

    @router.get("/remaining")
    async def left() -> float | None:
        return seconds_left()

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        yield checks

    return create_app(
        service="demo", settings=ServiceSettings(max_body_bytes=1000), router=router, resources=resources
    )


async def fine() -> None:
    return None


async def down() -> None:
    raise ServiceUnavailable("qdrant is down: no answer at http://x")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = service({"store": fine})
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("GET", "/echo", None, 405, "method_not_allowed"),
        ("POST", "/echo", b"{nope", 400, "malformed_request"),
        ("POST", "/echo", b'{"k": "x"}', 422, "invalid_request"),
        ("POST", "/echo", b'{"k": "%s"}' % (b"x" * 2000), 413, "payload_too_large"),
        ("GET", "/boom", None, 500, "internal_error"),
        ("GET", "/busy", None, 429, "rate_limited"),
    ],
)
async def test_every_failure_has_the_one_body(
    client: httpx.AsyncClient, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    headers = {"x-request-id": "r-1", "content-type": "application/json"}
    reply = await client.request(method, path, content=body, headers=headers)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["service"]) == (status, code, "demo")
    assert error["request_id"] == reply.headers["x-request-id"] == "r-1"
    assert error["message"]


async def test_a_body_that_does_not_declare_its_size_is_limited_too(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    reply = await client.post("/echo", content=pieces(), headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "payload_too_large")


async def test_retry_after_is_a_header(client: httpx.AsyncClient) -> None:
    assert (await client.get("/busy")).headers["retry-after"] == "7"


async def test_retry_after_is_never_sooner_than_the_error_says(client: httpx.AsyncClient) -> None:
    """Half a second is not none."""
    assert (await client.get("/a-little-busy")).headers["retry-after"] == "1"


async def test_the_caller_bounds_the_deadline(client: httpx.AsyncClient) -> None:
    own = (await client.get("/remaining")).json()
    bounded = (await client.get("/remaining", headers={"x-ragline-deadline-ms": "1500"})).json()
    garbage = (await client.get("/remaining", headers={"x-ragline-deadline-ms": "soon"})).json()
    assert 119 < own <= 120
    assert 1 < bounded <= 1.5
    assert garbage > 119


async def test_health_names_the_service(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json() == {"status": "ok", "service": "demo"}


async def test_readiness_names_each_dependency_and_its_latency() -> None:
    app = service({"store": fine, "qdrant": down})
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            reply = await client.get("/health/ready")
    dependencies = reply.json()["dependencies"]
    assert reply.status_code == 503
    assert dependencies["store"]["ready"]
    assert dependencies["store"]["latency_ms"] >= 0
    assert dependencies["qdrant"]["detail"] == "qdrant is down: no answer at http://x"


async def test_a_soft_dependency_is_shown_and_not_waited_for() -> None:
    app = service({"store": fine, "reranking": Soft(down)})
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            reply = await client.get("/health/ready")
    assert reply.status_code == 200
    assert reply.json()["dependencies"]["reranking"]["ready"] is False


async def test_metrics_count_requests_by_route_and_status(client: httpx.AsyncClient) -> None:
    await client.post("/echo", json={"k": 1})
    exposition = (await client.get("/metrics")).text
    assert (
        'ragline_request_duration_seconds_count{route="/echo",service="demo",status="200"} 1.0' in exposition
    )
    assert 'le="640.0"' in exposition


@pytest.mark.parametrize(
    ("value", "said"),
    [(2**64, "does not fit in 64 bits"), (10**400, "64 bits"), ("\ud800", "not valid Unicode")],
)
async def test_what_no_other_service_can_be_sent_is_the_callers_to_change(value: object, said: str) -> None:
    app = service({})

    @app.post("/pass-on")
    async def pass_on() -> bytes:
        return orjson.dumps({"seed": value})

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        with structlog.testing.capture_logs() as logged:
            reply = await client.post("/pass-on")
    assert "unhandled" not in [line["event"] for line in logged]
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "invalid_request")
    assert said in reply.json()["error"]["message"]


async def test_half_a_character_is_the_callers_to_change_however_it_is_sent_on() -> None:
    app = service({})

    class Passed(BaseModel):
        model: str

    @app.post("/pass-on")
    async def pass_on() -> str:
        return Passed(model="\ud800").model_dump_json()

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://demo") as client:
        reply = await client.post("/pass-on")
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "invalid_request")
