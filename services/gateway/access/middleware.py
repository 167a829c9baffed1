"""The door: every request gets its caller, or is refused before anything else of the gateway sees it.

What it used is counted when it has ended, and written into the audit log.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core.errors import Forbidden, RaglineError, Unauthorized
from services.core.exchange import brings_token
from services.core.health import Check, Soft
from services.core.metrics import Metrics
from services.gateway.access.audit import AuditLog
from services.gateway.access.caller import ANYONE, Caller, Limits, set_caller
from services.gateway.access.counters import open_counters
from services.gateway.access.keys import PREFIX, KeyFile
from services.gateway.access.ledger import Ledger, open_ledger
from services.gateway.access.limits import Limiter
from services.gateway.access.links import LinkSigner
from services.gateway.access.oidc import Tokens
from services.gateway.access.roles import Need, needed_role
from services.gateway.access.settings import AccessSettings
from services.gateway.access.usage import UsageBook

CHALLENGE = 'Bearer realm="ragline"'


class Door:
    """Finds out who asks, what is left of its limits, and keeps the books."""

    def __init__(self, settings: AccessSettings, metrics: Metrics) -> None:
        self.keys = KeyFile(settings.keys_file) if settings.keys_file else None
        self.tokens = Tokens(settings) if settings.oidc_issuer else None
        self.links = LinkSigner(
            self.keys,
            takes_tokens=self.tokens is not None,
            secret=settings.link_secret or settings.service_token,
            seconds=settings.link_seconds,
        )
        self.counters = open_counters(settings.limits_url)
        self.limiter = Limiter(self.counters)
        self._token = settings.service_token.encode()
        self.usage = UsageBook(metrics)
        self.audit = (
            AuditLog(settings.audit_log, content=settings.audit_content) if settings.audit_log else None
        )

    async def close(self) -> None:
        """Close what it holds."""
        await self.limiter.close()
        await self.counters.close()
        if self.audit is not None:
            self.audit.close()

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked for a key."""
        return self.keys is None and self.tokens is None

    def limits_of(self, tenant: str) -> Limits | None:
        """Return the limits that all of a tenant share."""
        return self.keys.limits_of(tenant) if self.keys else None

    @property
    def checks(self) -> Mapping[str, Check]:
        """What `/health/ready` says of it; none of these keeps the gateway from answering."""
        checks: dict[str, Check] = {}
        if self.keys is not None:
            checks["keys"] = Soft(self.keys.check)
        if self.tokens is not None:
            checks["identity provider"] = Soft(self.tokens.check)
        if self.counters.shared is not None:
            checks["limits"] = Soft(self.counters.check)
        if self.audit is not None:
            checks["audit log"] = Soft(self.audit.check)
        return checks

    async def trusts(self, request: Request) -> bool:
        """Whether who asks may know what the gateway waits for: an operator, one of our services, or anyone
        where nobody is asked for a key."""
        if self.is_open or (self._token and brings_token(request.scope["headers"], self._token)):
            return True
        try:
            return (await self.identify(request.scope["headers"])).is_operator
        except RaglineError:
            return False

    async def let_in(self, need: Need, scope: Scope) -> Caller:
        """Find the caller of a request, who may do what it needs: by its key, or else by a signed link.

        Raises:
            Unauthorized: There is no key, or it is not valid.
            Forbidden: Its key lacks the role.
        """
        if self.is_open:
            return ANYONE
        headers = scope["headers"]
        caller = None if read_key(headers) else self._open_link(scope)
        caller = caller or await self.identify(headers)
        if need == "operator":
            if not caller.is_operator:
                raise Forbidden(
                    f"this needs the role 'admin' in the tenant 'default'; the key {caller.id} has it not"
                )
        elif need != "public":
            caller.require(need)
        return caller

    def _open_link(self, scope: Scope) -> Caller | None:
        try:
            return self.links.open(scope)
        except Unauthorized as error:
            raise refuse(error.message, code="invalid_token") from None

    async def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Find the caller of a request by its headers. Raises `Unauthorized` where it has no valid key."""
        key = read_key(headers)
        if not key:
            raise refuse(
                "this gateway needs a key: send it as `Authorization: Bearer KEY`, or as `x-api-key`"
            )
        if self.tokens is not None and key.count(".") == 2 and not key.startswith(PREFIX):
            try:
                return await self.tokens.identify(key)
            except Unauthorized as error:
                raise refuse(error.message, code="invalid_token") from None
        caller, refusal = self.keys.find(key) if self.keys else (None, "there is no such key")
        if caller is None:
            raise refuse(refusal, code="invalid_token")
        return caller


def refuse(reason: str, *, code: str = "") -> Unauthorized:
    """Make the refusal; `code` is RFC 6750's, where a key was sent."""
    value = CHALLENGE + (f', error="{code}"' if code else "")
    return Unauthorized(reason, headers={"www-authenticate": value})


def read_key(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Read the key of a request: a bearer token, `x-api-key` or Azure's `api-key`; empty where there is
    none."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in {b"authorization", b"x-api-key", b"api-key"}:
            found.setdefault(name, value.decode("latin-1").strip())
    scheme, _, token = found.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return found.get(b"x-api-key") or found.get(b"api-key") or ""


class AccessMiddleware:
    """Sets the caller of every request, and refuses one that may not do it, or not now."""

    def __init__(self, app: ASGIApp, door: Door, upload_paths: Collection[str] = ()) -> None:
        self.app = app
        self.door = door
        self.upload_paths = frozenset(upload_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        need = needed_role(scope["method"], scope["path"]) if scope["type"] == "http" else "public"
        if need == "public":
            await self.app(scope, receive, send)
        elif self.door.is_open and self.door.audit is None:
            set_caller(ANYONE)
            await self.app(scope, receive, send)
        else:
            await _Visit(self, scope, send).run(need, receive)


class _Visit:
    """One request of somebody, from the door to the books."""

    def __init__(self, owner: AccessMiddleware, scope: Scope, send: Send) -> None:
        self._app = owner.app
        self._door = owner.door
        self._scope = scope
        self._send = send
        self._is_post = scope["method"] == "POST"
        self._is_upload = self._is_post and scope["path"] in owner.upload_paths
        self._headers: list[tuple[bytes, bytes]] = []
        self._status = 0

    async def run(self, need: Need, receive: Receive) -> None:
        start = time.perf_counter()
        door, caller, refused = self._door, None, False
        ledger = open_ledger(keeps_content=door.audit is not None and door.audit.keeps_content)
        try:
            caller = await door.let_in(need, self._scope)
            set_caller(caller)
            refused = True
            async with await self._admit(caller):
                refused = False
                await self._app(self._scope, receive, self.send)
        except RaglineError as error:
            self._status = self._status or error.status
            raise
        finally:
            await self._account(caller, ledger, time.perf_counter() - start, refused=refused)

    async def _admit(self, caller: Caller) -> AbstractAsyncContextManager[None]:
        """Count the request. Returns its place among those in work. Raises `RateLimited`."""
        if caller.is_anyone:
            return nullcontext()
        limiter, tenant = self._door.limiter, self._door.limits_of(caller.tenant)
        left = await limiter.admit(caller, tenant, uploads=self._is_upload)
        self._headers = [(name.encode(), value.encode()) for name, value in left.items()]
        return limiter.hold_place(caller, tenant) if self._is_post else nullcontext()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._headers:
                message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)

    async def _account(self, caller: Caller | None, ledger: Ledger, seconds: float, *, refused: bool) -> None:
        door = self._door
        if caller is not None and not caller.is_anyone:
            door.usage.add(caller, ledger, refused=refused)
            await door.limiter.charge(caller, door.limits_of(caller.tenant), ledger)
        if door.audit is not None:
            method, path = self._scope["method"], self._scope["path"]
            door.audit.write(
                caller, ledger, method=method, path=path, status=self._status or 500, seconds=seconds
            )
