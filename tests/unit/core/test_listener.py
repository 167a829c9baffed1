"""The listener, by what a hostile client does to its connections."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel

from services.core.app import create_app
from services.core.health import Check
from services.core.listener import ListenerConfig
from services.core.serve import Server
from services.core.settings import ServiceSettings

GET = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
POST = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
LIMIT = 1000
PATIENT = {"header_seconds": 600.0, "body_seconds": 600.0}


class Body(BaseModel):
    k: int


def service(settings: ServiceSettings) -> FastAPI:
    router = APIRouter()

    @router.post("/echo")
    async def echo(body: Body) -> Body:
        return body

    @router.post("/upload")
    async def upload(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    @asynccontextmanager
    async def resources(app: FastAPI) -> AsyncIterator[Mapping[str, Check]]:
        yield {}

    return create_app(
        service="demo",
        settings=settings,
        router=router,
        resources=resources,
        upload_routes={"/upload": 1_000_000},
    )


@contextmanager
def serving(server: uvicorn.Server) -> Iterator[int]:
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def running(settings: ServiceSettings) -> Iterator[int]:
    with serving(uvicorn.Server(ListenerConfig("demo", service(settings), settings, 0))) as port:
        yield port


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running(ServiceSettings(max_body_bytes=LIMIT, **PATIENT)) as number:
        yield number


@pytest.fixture(scope="module")
def hasty() -> Iterator[int]:
    """One that waits for nobody."""
    with running(ServiceSettings(header_seconds=0.2, body_seconds=0.2)) as number:
        yield number


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Client:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before its end: the reply says why
            self.socket.sendall(data)
        return self

    def reply(self) -> tuple[int, dict[str, object]]:
        """Status and body; 0 where the connection ends without a reply."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._read()
            if not piece:
                return 0, {}
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line[16:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")
        )
        while len(body) < length:
            piece = self._read()
            assert piece
            body += piece
        parsed = json.loads(body) if body.startswith(b"{") else {}
        return int(head.split()[1]), parsed

    def _read(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def ended(self) -> bool:
        """Whether the other side closes; waits for it."""
        return self._read() == b""


def code(body: dict[str, object]) -> object:
    error = body["error"]
    assert isinstance(error, dict)
    return error["code"]


def test_a_head_of_many_megabytes_is_refused_and_holds_nobody_up(port: int) -> None:
    with Client(port) as attacker:
        status, body = attacker.send(GET + b"x: " + b"a" * 20_000_000).reply()
    assert (status, code(body)) == (431, "headers_too_large")
    with Client(port) as other:
        assert other.send(GET + b"\r\n").reply()[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        GET + b"a" * 70_000 + b": 1\r\n\r\n",
        GET + b"".join(b"x-%d: %s\r\n" % (number, b"a" * 1_000) for number in range(70)) + b"\r\n",
        GET + b"".join(b"x-%d: 1\r\n" % number for number in range(200)) + b"\r\n",
    ],
    ids=["url", "name", "all together", "count"],
)
def test_a_head_that_is_too_large_by_any_part_is_a_431(port: int, head: bytes) -> None:
    with Client(port) as client:
        status, body = client.send(head).reply()
        assert (status, code(body)) == (431, "headers_too_large")
        assert client.ended()


def test_a_head_of_the_usual_size_passes(port: int) -> None:
    with Client(port) as client:
        assert client.send(GET + b"cookie: " + b"a" * 32_000 + b"\r\n\r\n").reply()[0] == 200
        assert client.send(GET + b"cookie: " + b"a" * 60_000 + b"\r\n\r\n").reply()[0] == 200


@pytest.mark.parametrize(
    "rest",
    [b"0\r\nx: " + b"a" * 20_000_000, b"1;x=" + b"a" * 20_000_000],
    ids=["trailer", "chunk extension"],
)
def test_what_stands_for_nothing_in_a_body_has_a_limit(port: int, rest: bytes) -> None:
    with Client(port) as client:
        status, body = client.send(POST + b"transfer-encoding: chunked\r\n\r\n" + rest).reply()
    assert (status, code(body)) == (431, "headers_too_large")


@pytest.mark.parametrize(
    "kind", [b"application/json", b"multipart/form-data; boundary=b", b"text/plain", b""]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_limited_whatever_it_says_that_it_is(port: int, kind: bytes, chunked: bool) -> None:
    head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: " + kind + b"\r\n"
    sent = b"transfer-encoding: chunked\r\n\r\n" + b"1f4\r\n%s\r\n" % (b" " * 500) * 3
    if not chunked:
        sent = b"content-length: 600000000\r\n\r\n"
    with Client(port) as client:
        status, body = client.send(head + sent).reply()
    assert (status, code(body)) == (413, "payload_too_large")


def test_a_route_that_takes_files_has_its_own_limit(port: int) -> None:
    head = b"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n"
    with Client(port) as client:
        assert client.send(head % 100_000 + b"a" * 100_000).reply()[0] == 200
    with Client(port) as client:
        assert client.send(head % 1_000_001).reply()[0] == 413


def test_the_rest_of_a_refused_body_is_not_read_for_ever(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.core.listener.LINGER_SECONDS", 0.2)
    with Client(port) as client:
        assert client.send(POST + b"content-length: 600000000\r\n\r\n").reply()[0] == 413
        assert client.ended()


def test_a_connection_is_kept_where_the_rest_of_a_refused_body_comes(port: int) -> None:
    with Client(port) as client:
        assert client.send(POST + b"content-length: 2000\r\n\r\n" + b" " * 1000).reply()[0] == 413
        client.send(b" " * 1000)
        assert client.send(GET + b"\r\n").reply()[0] == 200


def test_a_head_that_does_not_end_is_a_408(hasty: int) -> None:
    with Client(hasty) as client:
        status, body = client.send(GET).reply()
        assert (status, code(body)) == (408, "request_timeout")
        assert client.ended()


@pytest.mark.parametrize("sent", [b"", b"\r\n"])
def test_a_connection_without_a_request_is_closed(hasty: int, sent: bytes) -> None:
    with Client(hasty) as client:
        assert client.send(sent).ended()


def test_a_second_head_that_does_not_end_is_a_408_too(hasty: int) -> None:
    with Client(hasty) as client:
        assert client.send(GET + b"\r\n").reply()[0] == 200
        assert client.send(GET).reply()[0] == 408


@pytest.mark.parametrize("path", [b"/echo", b"/upload"])
@pytest.mark.parametrize(
    "sent", [b"content-length: 20\r\n\r\n{", b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"]
)
def test_a_body_that_stops_coming_is_a_408(hasty: int, path: bytes, sent: bytes) -> None:
    with Client(hasty) as client:
        status, body = client.send(POST.replace(b"/echo", path) + sent).reply()
    assert (status, code(body)) == (408, "request_timeout")


def test_a_websocket_is_refused_in_words(port: int) -> None:
    upgrade = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n"
    with Client(port) as client:
        status, body = client.send(GET + upgrade + b"\r\n").reply()
        assert (status, code(body)) == (400, "malformed_request")
        assert client.ended()


def test_an_upgrade_to_another_http_is_answered_in_this_one(port: int) -> None:
    upgrade = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
    with Client(port) as client:
        assert client.send(GET + upgrade + b"\r\n").reply()[0] == 200


def test_what_is_not_http_is_a_400_with_the_one_error_body(port: int) -> None:
    with Client(port) as client:
        status, body = client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").reply()
    assert (status, code(body)) == (400, "malformed_request")


def test_connections_that_ask_nothing_make_room() -> None:
    with running(ServiceSettings(max_connections=3, **PATIENT)) as port:
        idle = [Client(port) for _ in range(3)]
        idle[0].send(GET + b"\r\n").reply()  # it has asked since the others
        with Client(port) as fourth:
            assert fourth.send(GET + b"\r\n").reply()[0] == 200
            assert idle[1].ended()
            assert idle[0].send(GET + b"\r\n").reply()[0] == 200
        for client in idle:
            client.socket.close()


def test_where_all_connections_are_at_work_one_more_is_told_so() -> None:
    with running(ServiceSettings(max_connections=2, **PATIENT)) as port:
        half = [Client(port).send(POST + b"content-length: 9\r\n\r\n{") for _ in range(2)]
        with Client(port) as third:
            status, body = third.reply()
            assert (status, code(body)) == (503, "busy")
        for client in half:
            assert client.send(b'"k": 12}').reply() == (200, {"k": 12})
            client.socket.close()


def test_metrics_and_docs_may_have_a_port_of_their_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        admin_port = free.getsockname()[1]
    settings = ServiceSettings(admin_port=admin_port)
    app = service(settings)
    server = Server(
        ListenerConfig("demo", app, settings, 0),
        ListenerConfig("demo", app.state.admin, settings, admin_port),
    )
    with serving(server) as port:
        for path in (b"/metrics", b"/docs", b"/openapi.json"):
            request = GET.replace(b"/health", path) + b"\r\n"
            with Client(port) as client, Client(admin_port) as admin:
                assert client.send(request).reply()[0] == 404
                assert admin.send(request).reply()[0] == 200
        with Client(admin_port) as admin:
            status, body = admin.send(GET.replace(b"/health", b"/echo") + b"\r\n").reply()
            assert status == 404
            assert body["error"]["request_id"]  # type: ignore[index]
        with Client(admin_port) as admin:
            assert admin.send(b"GET /metrics HTTP/1.1\r\nhost: evil.example\r\n\r\n").reply()[0] == 421


def test_a_port_of_its_own_that_is_taken_is_said_and_ends_the_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = ServiceSettings(admin_port=taken.getsockname()[1])
        app = service(settings)
        admin = ListenerConfig("demo", app.state.admin, settings, settings.admin_port)
        with pytest.raises(SystemExit):
            Server(ListenerConfig("demo", app, settings, 0), admin).run()
