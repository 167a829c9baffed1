"""Proxies: which server is reached by one, and a real one on loopback that saw it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import ValidationError

from services.core.client import HttpClient
from services.core.errors import ServiceUnavailable
from services.core.proxies import ProxySettings, choose_proxy
from tests.local_proxy import run_proxy
from tests.ports import free_port

PROXY = "http://proxy.example.net:3128"


@pytest.mark.parametrize(
    ("url", "no_proxy", "reached_by"),
    [
        ("https://llm.example.com/v1", "", "https"),
        ("http://llm.example.com/v1", "", "http"),
        ("http://127.0.0.1:9000", "", None),
        ("http://localhost:9000", "", None),
        ("http://[::1]:9000", "", None),
        ("http://ragline-generation:9000", "", None),
        ("http://ragline-llm-large.rag.svc:8000", "localhost,.svc,.cluster.local", None),
        ("http://a.rag.svc.cluster.local.:8000", ".cluster.local", None),
        ("https://llm.example.com", "example.com", None),
        ("https://llm.example.com", "*.example.com", None),
        ("https://LLM.Example.com", " .EXAMPLE.com ,other.org", None),
        ("https://notexample.com", "example.com", "https"),
        ("https://example.com.evil.org", "example.com", "https"),
        ("https://llm.example.com:8443", "llm.example.com:8443", None),
        ("https://llm.example.com", "llm.example.com:8443", "https"),
        ("https://llm.example.com", "llm.example.com:443", None),
        ("http://10.2.3.4:8000", "10.0.0.0/8", None),
        ("http://10.2.3.4:8000", "10.2.3.4", None),
        ("http://11.2.3.4:8000", "10.0.0.0/8", "http"),
        ("http://[fd00::7]:8000", "fd00::/8", None),
        ("http://[fd00::7]:8000", "[fd00::7]:8000", None),
        ("http://[2001:db8::7]:8000", "fd00::/8", "http"),
        ("https://llm.example.com", "*", None),
        ("https://llm.example.com", ",, .", "https"),
    ],
)
def test_which_server_is_reached_by_which(url: str, no_proxy: str, reached_by: str | None) -> None:
    settings = ProxySettings(http_proxy=f"{PROXY}1", https_proxy=f"{PROXY}2", no_proxy=no_proxy)
    assert choose_proxy(url, settings) == (
        None if reached_by is None else PROXY + {"http": "1", "https": "2"}[reached_by]
    )


def test_a_proxy_may_leave_its_scheme_out_and_socks_is_refused() -> None:
    settings = ProxySettings(https_proxy="proxy.example.net:3128")
    assert choose_proxy("https://llm.example.com", settings) == "http://proxy.example.net:3128"
    assert choose_proxy("http://llm.example.com", settings) is None
    with pytest.raises(ValidationError, match="https_proxy"):
        ProxySettings(https_proxy="socks5://proxy.example.net:1080")


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"host": request.headers["host"]})

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def test_a_model_outside_is_asked_by_the_proxy_and_a_peer_inside_is_not(
    upstream: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_proxy(upstream) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with HttpClient("generation", "http://llm.example.com:8000/v1") as model:
            assert b"llm.example.com:8000" in await model.get("/models")
        assert proxy.asked == ["GET http://llm.example.com:8000/v1/models"]
        async with HttpClient("retrieval", f"http://127.0.0.1:{upstream}") as peer:
            assert b"127.0.0.1" in await peer.get("/info")
        assert len(proxy.asked) == 1


async def test_https_goes_through_a_tunnel_and_a_refusal_names_the_proxy(
    upstream: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_proxy(upstream) as proxy:
        proxy.refuses = True
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with HttpClient("generation", "https://llm.example.com/v1") as model:
            with pytest.raises(ServiceUnavailable, match=rf"the proxy {proxy.url} opens no connection .*403"):
                await model.get("/models")
        assert proxy.asked == ["CONNECT llm.example.com:443"]


async def test_a_proxy_that_is_down_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("HTTP_PROXY", nobody)
    async with HttpClient("generation", "http://llm.example.com/v1") as model:
        with pytest.raises(ServiceUnavailable, match=f"the proxy {nobody} does not answer"):
            await model.get("/models")
