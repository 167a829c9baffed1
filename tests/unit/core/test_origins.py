"""By which names and from which pages a service may be asked."""

from __future__ import annotations

import httpx
import pytest

from services.core.errors import Forbidden, WrongHost
from services.core.origins import Visitors
from services.gateway.app import create
from services.gateway.settings import Settings

VISITORS = Visitors(["rag.example.org", ".corp.example"], ["https://chat.example.org"], "GATEWAY_HOSTS")


def headers(host: str, origin: str | None = None) -> list[tuple[bytes, bytes]]:
    found = [(b"host", host.encode())]
    return found if origin is None else [*found, (b"origin", origin.encode())]


OURS = (
    "127.0.0.1:8888 [::1]:8888 [fe80::1] 10.244.1.7:8888 localhost LOCALHOST:8888 a.localhost nas.local "
    "ragline-gateway gateway:8888 ragline-gateway.rag.svc x.rag.svc.cluster.local:80 rag.example.org "
    "RAG.example.org. a.b.corp.example:443"
)


@pytest.mark.parametrize("host", ["", *OURS.split()])
def test_names_that_nobody_else_can_have_and_those_that_are_set_are_ours(host: str) -> None:
    VISITORS.check("GET", headers(host))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.nip.io:8888",
        "localhost.evil.example",
        "rag.example.org.evil.example",
        "a.b:c",
        "corp.example",
        "evilcorp.example",
        "127.0.0.1:8888.evil.example",
        "user@127.0.0.1.evil.example",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_any_other_name_is_refused_whatever_is_asked(method: str, host: str) -> None:
    with pytest.raises(WrongHost, match="GATEWAY_HOSTS"):
        VISITORS.check(method, headers(host))
    Visitors(["*"], (), "GATEWAY_HOSTS").check(method, headers(host))


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8888", "http://127.0.0.1:8888"),
        ("[::1]:8888", "http://[::1]:8888"),
        ("rag.example.org", "https://rag.example.org"),
        ("127.0.0.1:8888", "https://rag.example.org"),
        ("127.0.0.1:8888", "https://chat.example.org"),
    ],
)
def test_pages_of_ours_may_change_things(host: str, origin: str) -> None:
    VISITORS.check("POST", headers(host, origin))


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:3000",
        "http://127.0.0.1",
        "http://localhost:8888",
        "file://",
        "https://chat.example.org.evil.example",
        "http://[",
        "http://127.0.0.1:8888@evil.example",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_pages_of_others_may_not(method: str, origin: str) -> None:
    with pytest.raises(Forbidden, match="GATEWAY_CORS_ORIGINS"):
        VISITORS.check(method, headers("127.0.0.1:8888", origin))
    VISITORS.check("GET", headers("127.0.0.1:8888", origin))


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/v1/documents", {"host": "evil.example"}, 421),
        ("GET", "/metrics", {"host": "evil.example"}, 421),
        ("POST", "/v1/documents", {"origin": "https://evil.example"}, 403),
        ("POST", "/v1/documents", {"origin": "null"}, 403),
        ("DELETE", "/v1/documents/a", {"origin": "https://evil.example"}, 403),
        ("GET", "/health", {"host": "evil.example"}, 200),
        ("GET", "/metrics", {"host": "rag.example.org"}, 200),
    ],
)
async def test_the_gateway_checks_both(method: str, path: str, sent: dict[str, str], status: int) -> None:
    app = create(Settings(public_url="https://rag.example.org/base"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8888") as client:
        reply = await client.request(method, path, headers=sent)
    assert reply.status_code == status
