"""Fetching a client's links: off by default, and never from an address that is not the internet's.

A name is resolved, every address it has is vetted, and the connection goes to one of those: there is no
second look-up that could answer differently. Each redirect is a new link. Nothing of the environment
(proxies, .netrc) is used, no cookie is kept.

With a proxy of its own the look-up is the proxy's: what our own look-up refuses is refused, a name that it
does not find is left to the proxy, which has to refuse what is not the internet's.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from socket import AF_UNSPEC, AddressFamily

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from services.core.connections import hide_login
from services.core.errors import InvalidRequest, PayloadTooLarge, RaglineError, UnsupportedMedia
from services.core.tls import client_context
from services.dataprep.parsing.registry import all_formats, suffix_of_type
from services.dataprep.upload.multipart import Upload

REDIRECTS = 5
AT_A_TIME = 8
PIECE_BYTES = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_VAGUE = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream"})
"""Content types that say less than the link's own suffix does."""

_RESERVED = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
"""IANA's special-purpose registries of IPv4 and, within 2000::/3, of IPv6 addresses: private, shared,
documentation, benchmarks, relays and anycast of old, and addresses that stand for others on the way. Python's
own `is_global` takes some of them for the internet's, another set in each version."""

_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is given to anybody on the internet."""

LONGEST_LINK = 2048
LONGEST_LABEL, LONGEST_HOST = 63, 253

Allowed = Callable[[str], bool]


def links(values: Sequence[str]) -> list[str]:
    """The links in OPEA's `link_list`: a JSON list, or one link by itself, in each of the field's values."""
    found: list[str] = []
    for value in filter(None, map(str.strip, values)):
        if not value.startswith("["):
            found.append(value)
            continue
        try:
            listed = json.loads(value)
        except ValueError:
            listed = None
        if not isinstance(listed, list) or not all(isinstance(link, str) for link in listed):
            raise InvalidRequest('link_list is not a JSON list of links, such as ["https://example.org/"]')
        found += listed
    return found


def is_address(host: str) -> bool:
    """Whether a link's host is an IP address in place of a name."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is the internet's: not private, loopback, link-local, reserved or multicast."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip not in _UNICAST:
            return False
    return ip.is_global and not any(ip in network for network in _RESERVED)


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """What a link may bring, how long it may take, and the ports that are asked; None: any."""

    bytes: int
    seconds: float
    ports: frozenset[int] | None = frozenset({80, 443})


class Fetcher:
    """Fetches links into files. `allowed` vets addresses; a test may let loopback pass."""

    def __init__(
        self,
        limits: LinkLimits,
        *,
        resolver: AbstractResolver | None = None,
        allowed: Allowed = is_public,
        proxy: str | None = None,
    ) -> None:
        self._limits = limits
        self._proxy = proxy
        self._resolver = resolver
        self._allowed = allowed

    async def fetch(self, link: str, path: Path) -> Upload:
        """What is behind the link, written to `path`, named by host and path, with a suffix of its format.

        Raises `InvalidRequest` for a link that is refused or cannot be fetched, `UnsupportedMedia` for a
        content type that is not read, `PayloadTooLarge` over the limit.
        """
        vetted = _Vetted(self._resolver or ThreadedResolver(), self._allowed)
        try:
            async with (
                asyncio.timeout(self._limits.seconds),
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(
                        resolver=None if self._proxy else vetted,
                        use_dns_cache=False,
                        force_close=True,
                        ssl=client_context(),
                    ),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers={"User-Agent": "ragline-dataprep"},
                ) as session,
            ):
                return await self._follow(session, vetted, link, path)
        except TimeoutError:
            raise InvalidRequest(
                f"{link} cannot be fetched: it takes longer than {self._limits.seconds:g} s"
            ) from None
        except (aiohttp.ClientError, UnicodeError) as error:
            refusal = error.__cause__
            reason = refusal if isinstance(refusal, _Refused) else type(error).__name__
            raise InvalidRequest(f"{link} cannot be fetched: {reason}") from None

    async def fetch_all(self, links: Sequence[str], folder: Path) -> list[Upload]:
        """What is behind each link, in order, in files below `folder`; what cannot be had is its `error`."""
        slots = asyncio.Semaphore(AT_A_TIME)

        async def one(number: int, link: str) -> Upload:
            path = folder / f"link-{number}"
            async with slots:
                try:
                    return await self.fetch(link, path)
                except RaglineError as error:
                    return Upload(link, path, 0, "", error=error)

        return await asyncio.gather(*(one(number, link) for number, link in enumerate(links)))

    async def _follow(self, session: aiohttp.ClientSession, vetted: _Vetted, link: str, path: Path) -> Upload:
        if len(link) > LONGEST_LINK:
            raise InvalidRequest(f"{link[:100]}... is refused: a link has at most {LONGEST_LINK} characters")
        url = self._check_url(link, link)
        for _ in range(REDIRECTS + 1):
            if self._proxy:
                await self._vet_name(vetted, link, url)
            async with session.get(url, allow_redirects=False, proxy=self._proxy) as reply:
                if reply.status in _REDIRECTS and "location" in reply.headers:
                    url = self._check_url(link, str(url.join(URL(reply.headers["location"]))))
                    continue
                if reply.status != 200:
                    raise InvalidRequest(f"{link} cannot be fetched: the server answers {reply.status}")
                return await self._save(reply, _name(link, url, reply.content_type), path)
        raise InvalidRequest(f"{link} cannot be fetched: it redirects more than {REDIRECTS} times")

    @staticmethod
    async def _vet_name(vetted: _Vetted, link: str, url: URL) -> None:
        """Refuse a name that is known here as an address that is not the internet's."""
        try:
            await vetted.resolve(url.host or "", url.port or 0)
        except _Refused as refusal:
            raise InvalidRequest(f"{link} cannot be fetched: {refusal}") from None
        except OSError:
            return  # this network does not know the name: the proxy may

    def _check_url(self, link: str, target: str) -> URL:
        """A URL that may be asked for; an address in place of a name is vetted here, names when resolved."""
        try:
            url = URL(target)
            host, scheme = url.host, url.scheme
        except ValueError:
            raise InvalidRequest(f"{hide_login(link)[:LONGEST_LINK]} is not a link") from None
        if scheme not in {"http", "https"} or not host:
            raise InvalidRequest(f"{link} is refused: only http and https links are fetched")
        if url.user is not None or url.password is not None:
            raise InvalidRequest(f"{hide_login(link)} is refused: it holds a user name or a password")
        if len(host) > LONGEST_HOST or any(len(label) > LONGEST_LABEL for label in host.split(".")):
            raise InvalidRequest(
                f"{link[:LONGEST_HOST]}... is refused: a host has at most {LONGEST_HOST} characters, and "
                f"{LONGEST_LABEL} between its dots"
            )
        if is_address(host) and not self._allowed(host):
            raise InvalidRequest(f"{link} is refused: {host} is not an address of the internet")
        if self._limits.ports is not None and url.port not in self._limits.ports:
            raise InvalidRequest(f"{link} is refused: port {url.port} is not asked (DATAPREP_FETCH_PORTS)")
        return url

    async def _save(self, reply: aiohttp.ClientResponse, name: str, path: Path) -> Upload:
        size, sha256 = 0, hashlib.sha256()
        with path.open("xb") as out:
            async for piece in reply.content.iter_chunked(PIECE_BYTES):
                size += len(piece)
                if size > self._limits.bytes:
                    raise PayloadTooLarge(f"{name} is larger than DATAPREP_MAX_FILE_BYTES allows")
                sha256.update(piece)
                await asyncio.to_thread(out.write, piece)
        return Upload(name, path, size, sha256.hexdigest(), too_large=False)


class _Refused(OSError):
    pass


class _Vetted(AbstractResolver):
    """Gives only names all of whose addresses are allowed."""

    def __init__(self, resolver: AbstractResolver, allowed: Allowed) -> None:
        self._resolver = resolver
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        refused = [entry["host"] for entry in found if not self._allowed(entry["host"])]
        if refused:
            raise _Refused(f"{host} is at {refused[0]}, which is not an address of the internet")
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _name(link: str, url: URL, content_type: str) -> str:
    """`example.org/guide/setup.html`: host, path and query, with the suffix for the content type."""
    suffix = PurePosixPath(url.raw_path).suffix.lower()
    known = any(suffix in format_.suffixes for format_ in all_formats().values())
    wanted = suffix_of_type(content_type)
    if known and (content_type in _VAGUE or wanted == suffix):
        wanted = suffix
    if not wanted:
        raise UnsupportedMedia(f"{link} is of the type {content_type}, which is not read")
    path = url.raw_path.rstrip("/") or "/index"
    query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    name = f"{url.host}{path}{query}"
    return name if not query and suffix == wanted else name + wanted
