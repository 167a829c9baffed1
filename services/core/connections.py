"""The connections to one peer: how many at once, how long to wait for one, and what each failure means.

"Down" is said only where nobody listens: a connection that is refused, a name that nobody has. A peer that
accepts late and a pool without a free connection are `Busy`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urljoin, urlsplit

import aiohttp

from services.core import tracing
from services.core.context import DEADLINE_HEADER, REQUEST_ID_HEADER, request_id, seconds_left
from services.core.errors import Busy, DeadlineExceeded, RaglineError, ServiceError, ServiceUnavailable
from services.core.proxies import ProxySettings, choose_proxy
from services.core.tls import client_context

Payload = bytes | AsyncIterator[bytes] | None

CONNECT_SECONDS = 5.0
"""A lost packet is sent again after 1 and 3 seconds, and our own event loop may be late."""
DEFAULT_SECONDS = 120.0
BUSY_RETRY_SECONDS = 1.0
MAX_REDIRECTS = 3

_REDIRECTS = {301, 302, 303, 307, 308}
_KEEP_METHOD = {307, 308}
_OUR_OWN_LACK = {errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN}


class StaleConnection(ServiceUnavailable):
    """A pooled connection that the peer had closed: the request was not answered."""


class Connections:
    """A pool of at most `limit` connections, opened at first use."""

    def __init__(self, service: str, base_url: str, headers: Mapping[str, str], limit: int) -> None:
        self.service = service
        self._base_url = base_url
        self.base_url = hide_login(base_url)
        """As errors name it."""
        self._headers = dict(headers)
        self._limit = limit
        self._turns = asyncio.Semaphore(limit)
        self._session: aiohttp.ClientSession | None = None
        self._proxy: str | None = None

    async def aclose(self) -> None:
        """Close them all."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def take_turn(self) -> AsyncIterator[None]:
        """Hold one of the connections; wait for one no longer than the deadline. Raises `Busy`."""
        if self._turns.locked():
            try:
                async with asyncio.timeout(seconds_left(DEFAULT_SECONDS)):
                    await self._turns.acquire()
            except TimeoutError:
                raise self._busy(
                    f"all {self._limit} connections to it were in use until the deadline"
                ) from None
        else:
            await self._turns.acquire()
        try:
            yield
        finally:
            self._turns.release()

    async def request(
        self, method: str, path: str, body: Payload, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Send a request, inside of a turn, and return the reply when its head is there.

        Raises:
            ServiceError: The peer redirects to where the request cannot follow.
            aiohttp.ClientError: See `translate`; also `OSError`.
        """
        url = self._base_url + path
        for _ in range(MAX_REDIRECTS + 1):
            seconds = seconds_left(DEFAULT_SECONDS)
            reply = await self._pool().request(
                method,
                url,
                data=body,
                headers=self._outgoing(seconds, headers),
                allow_redirects=False,
                proxy=self._proxy,
                # sock_connect bounds new connections only; a bound on `connect` would cost a timer per call
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
            )
            if reply.status not in _REDIRECTS:
                return reply
            reply.close()
            url = self._redirected_url(method, url, reply, can_resend=body is None or isinstance(body, bytes))
        raise ServiceError(
            f"{self.service} at {self.base_url}{path} redirects without end, at last to {hide_login(url)}",
            service=self.service,
        )

    def translate(self, error: aiohttp.ClientError | OSError | UnicodeError) -> RaglineError:
        """Make the exception of ours that an aiohttp one stands for."""
        name = self.service
        translated: RaglineError
        if isinstance(error.__cause__, RaglineError):
            return error.__cause__  # what the request's body is made of failed, not the peer
        if isinstance(error, aiohttp.ServerDisconnectedError):
            translated = StaleConnection(f"{name} closed the connection: it may have died")
        elif isinstance(error, aiohttp.ConnectionTimeoutError):
            translated = self._busy(f"{self.base_url} accepted no connection within {CONNECT_SECONDS:g} s")
        elif isinstance(error, OSError) and error.errno in _OUR_OWN_LACK:
            translated = self._busy(f"this machine can open no connection to it ({error.strerror})")
        elif isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
            translated = self._proxy_failure(error)
        elif isinstance(error, aiohttp.ClientSSLError):
            translated = self._insecure(error)
        elif isinstance(error, aiohttp.ClientConnectorError):
            translated = ServiceUnavailable(f"{name} is down: no answer at {self.base_url}")
        elif isinstance(error, aiohttp.InvalidURL | UnicodeError):
            translated = ServiceError(f"{name}: {self.base_url} is no address: is its host spelled right?")
        elif isinstance(error, TimeoutError):
            translated = DeadlineExceeded(f"{name} did not answer before the deadline")
        elif isinstance(error, aiohttp.ClientPayloadError):
            translated = ServiceError(f"{name} broke off its reply: it may have died")
        elif isinstance(error, OSError):
            translated = StaleConnection(f"{name} reset the connection: it may have died")
        else:
            translated = ServiceError(f"{name} answered with something that is not HTTP: {error}")
        translated.service = name
        return translated

    def _proxy_failure(
        self, error: aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError
    ) -> ServiceUnavailable:
        proxy = hide_login(self._proxy or "")
        if isinstance(error, aiohttp.ClientHttpProxyError):
            problem = f"opens no connection to {self.base_url} ({error.status} {error.message})"
        else:
            problem = "does not answer"
        return ServiceUnavailable(f"{self.service}: the proxy {proxy} {problem}")

    def _insecure(self, error: aiohttp.ClientSSLError) -> ServiceError:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            problem = (
                f"its certificate is not believed ({error.certificate_error}): "
                "if its authority is your own, set TLS_CA_FILE"
            )
        else:
            problem = f"no secure connection: {error}"
        return ServiceError(f"{self.service} at {self.base_url}: {problem}")

    def _busy(self, reason: str) -> Busy:
        return Busy(f"{self.service} is busy: {reason}", service=self.service, retry_after=BUSY_RETRY_SECONDS)

    def _redirected_url(
        self, method: str, url: str, reply: aiohttp.ClientResponse, *, can_resend: bool
    ) -> str:
        """Return where the same request goes next: the same server, the same method, the same body.

        Raises:
            ServiceError: It would lose its body, or take our key to another server.
        """
        location = reply.headers.get("location", "")
        target = urljoin(url, location)
        shown = hide_login(target)
        if not location:
            problem = "and does not say where to"
        elif _origin(target) != _origin(url):
            problem = f"to {shown}, another server, which must not get the request and its key"
        elif method != "GET" and reply.status not in _KEEP_METHOD:
            problem = f"to {shown} with {reply.status}, which turns {method} into GET"
        elif not can_resend:
            problem = f"to {shown}, and the body cannot be sent a second time"
        else:
            return target
        raise ServiceError(
            f"{self.service} at {hide_login(url)} redirects {problem}: set its address to the one that "
            "answers",
            service=self.service,
            upstream_status=reply.status,
        )

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._proxy = choose_proxy(self._base_url, ProxySettings.load())
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # the turns are the limit
                    keepalive_timeout=60,
                    ssl=client_context() if self._base_url.startswith("https:") else True,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                skip_auto_headers={"User-Agent"},
            )
        return self._session

    def _outgoing(self, seconds: float | None, extra: Mapping[str, str]) -> dict[str, str]:
        headers = {"content-type": "application/json", **self._headers, **extra}
        if seconds is not None:
            headers[DEADLINE_HEADER] = f"{seconds * 1e3:.0f}"
        identifier = request_id.get()
        if identifier:
            headers[REQUEST_ID_HEADER] = identifier
        tracing.inject(headers, self.base_url)
        return headers


def hide_login(url: str) -> str:
    """Leave the user and the password out of a URL."""
    scheme, colon, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{colon}{authority.rpartition('@')[2]}{slash}{path}"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
