"""Links: what is never asked, and what is fetched. Loopback stands for the internet where a test lets it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import AF_INET, AF_UNSPEC, AddressFamily

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from services.core.errors import InvalidRequest, PayloadTooLarge, RaglineError, UnsupportedMedia
from services.dataprep.upload.links import Fetcher, LinkLimits, is_public, links
from tests.local_proxy import run_proxy

LIMITS = LinkLimits(bytes=10_000, seconds=10, ports=None)


class Names(AbstractResolver):
    """A resolver of these names alone; counts what it is asked."""

    def __init__(self, **names: str) -> None:
        self.names = names
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.names:
            raise OSError(f"no such name: {host}")
        return [
            {"hostname": host, "host": address, "port": port, "family": AF_INET, "proto": 0, "flags": 0}
            for address in self.names[host].split()
        ]

    async def close(self) -> None: ...


@asynccontextmanager
async def site() -> AsyncIterator[tuple[int, list[str]]]:
    """A web site on loopback: its port, and the paths that were asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        where = request.match_info["where"]
        if where == "page":
            return web.Response(text="<p>hello", content_type="text/html")
        if where == "guide.md":
            return web.Response(text="# Guide", content_type="text/plain")
        if where == "zip":
            return web.Response(body=b"PK", content_type="application/zip")
        if where == "big":
            return web.Response(body=bytes(10_001), content_type="text/plain")
        if where == "bomb":
            body = gzip.compress(bytes(1_000_000))
            return web.Response(body=body, content_type="text/plain", headers={"Content-Encoding": "gzip"})
        if where == "to":
            return web.Response(status=302, headers={"Location": request.query["url"]})
        if where == "loop":
            return web.Response(status=302, headers={"Location": "/loop"})
        if where == "never":
            await asyncio.Event().wait()
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{where}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    try:
        yield runner.addresses[0][1], asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "192.0.0.192",
        "192.0.0.9",
        "192.88.99.1",
        "192.31.196.1",
        "192.175.48.9",
        "2001:1::1",
        "2001:4:112::1",
        "2001:30::1",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff::1",
        "5f00::1",
        "100::1",
        "64:ff9b:1::1",
        "::7f00:1",
        "4000::1",
        "localhost",
        "",
    ],
)
def test_addresses_that_are_not_the_internets(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "link",
    [
        f"http://{'a' * 300}.example.org/page",
        f"http://{'a.' * 200}example.org/page",
        "http://" + "a" * 70_000,
        "http://127.0.0.1:{port}/page",
        "http://[::1]:{port}/page",
        "http://[::ffff:127.0.0.1]:{port}/page",
        "http://inside.test:{port}/page",
        "http://both.test:{port}/page",
        "http://localhost:{port}/page",
        "http://2130706433:{port}/page",
        "http://0x7f.1:{port}/page",
        "http://127.1:{port}/page",
        "http://user:secret@127.0.0.1:{port}/page",
        "file:///etc/passwd",
        "ftp://example.org/a.txt",
        "gopher://127.0.0.1:{port}/page",
        "//127.0.0.1:{port}/page",
        "/etc/passwd",
        "http://",
        "http://[::1",
        "nonsense",
    ],
)
async def test_what_is_refused_is_never_asked(tmp_path: Path, link: str) -> None:
    names = Names(
        **{"inside.test": "127.0.0.1", "both.test": "93.184.216.34 127.0.0.1", "localhost": "127.0.0.1"}
    )
    names.names |= {"2130706433": "127.0.0.1", "0x7f.1": "127.0.0.1", "127.1": "127.0.0.1"}
    async with site() as (port, asked):
        with pytest.raises(InvalidRequest):
            await Fetcher(LIMITS, resolver=names).fetch(link.format(port=port), tmp_path / "a")
    assert asked == []
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:{port}/page", "http://inside.test:{port}/page", "file:///etc/passwd"]
)
async def test_a_redirect_is_vetted_as_the_link_was(tmp_path: Path, target: str) -> None:
    """Only the first name may be asked: its address counts as public here, loopback's others do not."""
    names = Names(**{"outside.test": "127.0.0.1", "inside.test": "127.0.0.2"})
    async with site() as (port, asked):
        vetted: list[str] = []

        def allowed(address: str) -> bool:
            vetted.append(address)
            return len(vetted) == 1

        link = f"http://outside.test:{port}/to?url={target.format(port=port)}"
        with pytest.raises(InvalidRequest, match=r"refused|not an address"):
            await Fetcher(LIMITS, resolver=names, allowed=allowed).fetch(link, tmp_path / "a")
    assert asked == ["/to"]


async def test_the_vetted_address_is_the_one_that_is_asked(tmp_path: Path) -> None:
    names = Names(**{"docs.test": "127.0.0.1"})
    fetcher = Fetcher(LIMITS, resolver=names, allowed=lambda address: address == "127.0.0.1")
    async with site() as (port, _):
        page = await fetcher.fetch(f"http://docs.test:{port}/page", tmp_path / "a")
        assert names.asked == ["docs.test"]  # once: no second look-up that could answer differently
        guide = await fetcher.fetch(f"http://docs.test:{port}/to?url=/guide.md", tmp_path / "b")
        query = await fetcher.fetch(f"http://docs.test:{port}/page?id=3", tmp_path / "c")
    assert (page.name, page.path.read_bytes(), page.size) == ("docs.test/page.html", b"<p>hello", 8)
    assert (guide.name, guide.path.read_text()) == ("docs.test/guide.md", "# Guide")
    assert query.name == "docs.test/page?id=3.html"


@pytest.mark.parametrize(
    ("where", "error", "words"),
    [
        ("nothing", InvalidRequest, "answers 404"),
        ("zip", UnsupportedMedia, "application/zip"),
        ("big", PayloadTooLarge, "DATAPREP_MAX_FILE_BYTES"),
        ("bomb", PayloadTooLarge, "DATAPREP_MAX_FILE_BYTES"),
        ("to?url=/to%3Furl%3D/page", None, ""),
        ("to?url=http://nowhere.test/", InvalidRequest, "cannot be fetched"),
    ],
)
async def test_what_cannot_be_had(
    tmp_path: Path, where: str, error: type[RaglineError] | None, words: str
) -> None:
    fetcher = Fetcher(LIMITS, resolver=Names(**{"docs.test": "127.0.0.1"}), allowed=lambda _: True)
    async with site() as (port, _):
        link = f"http://docs.test:{port}/{where}"
        if error is None:
            assert (await fetcher.fetch(link, tmp_path / "a")).size == 8
            return
        with pytest.raises(error, match=words):
            await fetcher.fetch(link, tmp_path / "a")


async def test_redirects_end_and_so_does_patience(tmp_path: Path) -> None:
    names = Names(**{"docs.test": "127.0.0.1"})
    async with site() as (port, asked):
        with pytest.raises(InvalidRequest, match="more than 5 times"):
            await Fetcher(LIMITS, resolver=names, allowed=lambda _: True).fetch(
                f"http://docs.test:{port}/loop", tmp_path / "a"
            )
        assert len(asked) == 6
        with pytest.raises(InvalidRequest, match=r"longer than 0\.5 s"):
            await Fetcher(LinkLimits(100, 0.5, None), resolver=names, allowed=lambda _: True).fetch(
                f"http://docs.test:{port}/never", tmp_path / "a"
            )


def test_link_lists_as_clients_send_them() -> None:
    assert links(['["https://a/", "https://b/"]', "", " https://c/ "]) == [
        "https://a/",
        "https://b/",
        "https://c/",
    ]
    for wrong in ('["a"', "[1]", '["a", {}]'):
        with pytest.raises(InvalidRequest, match="JSON list"):
            links([wrong])


@pytest.mark.parametrize(
    "link", ["http://example.org:8080/", "https://example.org:22/", "http://example.org:99999/"]
)
async def test_ports_that_are_not_the_webs_are_not_asked(tmp_path: Path, link: str) -> None:
    names = Names(**{"example.org": "93.184.216.34"})
    with pytest.raises(InvalidRequest, match=r"DATAPREP_FETCH_PORTS|is not a link"):
        await Fetcher(LinkLimits(100, 5), resolver=names).fetch(link, tmp_path / "file")
    assert names.asked == []


async def test_a_password_in_a_link_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="user name or a password") as refused:
        await Fetcher(LIMITS).fetch("http://me:secret@example.org/", tmp_path / "file")
    assert "secret" not in refused.value.message


async def test_a_proxy_of_its_own_is_asked_and_what_is_known_as_inside_is_not(tmp_path: Path) -> None:
    """A name that only the proxy knows goes to it; what this network knows as its own is refused before."""
    names = Names(**{"inside.test": "10.0.0.7", "public.test": "93.184.216.34"})
    limits = LinkLimits(LIMITS.bytes, LIMITS.seconds, frozenset({80}))
    async with site() as (port, asked), run_proxy(port) as proxy:
        fetcher = Fetcher(limits, resolver=names, proxy=proxy.url)
        for name in ("public.test", "only-the-proxy-knows.test"):
            page = await fetcher.fetch(f"http://{name}/page", tmp_path / name)
            assert page.path.read_bytes() == b"<p>hello"
        assert proxy.asked == ["GET http://public.test/page", "GET http://only-the-proxy-knows.test/page"]
        for link in (
            "http://inside.test/page",
            "http://127.0.0.1/page",
            "http://public.test/to?url=http://inside.test/",
        ):
            with pytest.raises(InvalidRequest, match=r"not an address of the internet"):
                await fetcher.fetch(link, tmp_path / "refused")
        assert len(proxy.asked) == 3, "the redirect's first link alone"
    assert "/to" in asked
