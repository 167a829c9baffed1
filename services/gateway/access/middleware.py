"""The door: every request gets its caller, or is refused before anything else of the gateway sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from services.core.errors import Forbidden, Unauthorized
from services.core.health import Check, Soft
from services.gateway.access.caller import ANYONE, Caller, set_caller
from services.gateway.access.keys import KeyFile
from services.gateway.access.roles import needed_role
from services.gateway.access.settings import AccessSettings

CHALLENGE: Mapping[str, str] = {"www-authenticate": 'Bearer realm="ragline"'}


class Door:
    """Finds out who asks."""

    def __init__(self, settings: AccessSettings) -> None:
        self.keys = KeyFile(settings.keys_file) if settings.keys_file else None

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked for a key."""
        return self.keys is None

    @property
    def checks(self) -> Mapping[str, Check]:
        """What `/health/ready` says of it; the gateway goes on with what it knew before."""
        return {"keys": Soft(self.keys.check)} if self.keys else {}

    async def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Find the caller of a request by its headers.

        Raises:
            Unauthorized: There is no key, or it is not valid.
        """
        key = read_key(headers)
        if not key:
            raise refuse(
                "this gateway needs a key: send it as `Authorization: Bearer KEY`, or as `x-api-key`"
            )
        caller, refusal = self.keys.find(key) if self.keys else (None, "there is no such key")
        if caller is None:
            raise refuse(refusal, code="invalid_token")
        return caller


def refuse(reason: str, *, code: str = "") -> Unauthorized:
    """Make the refusal; `code` is RFC 6750's, where a key was sent."""
    value = CHALLENGE["www-authenticate"] + (f', error="{code}"' if code else "")
    return Unauthorized(reason, headers={"www-authenticate": value})


def read_key(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Read the key of a request: a bearer token, `x-api-key`, or Azure's `api-key`; empty where none is
    there."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in {b"authorization", b"x-api-key", b"api-key"}:
            found.setdefault(name, value.decode("latin-1").strip())
    scheme, _, token = found.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return found.get(b"x-api-key") or found.get(b"api-key") or ""


class AccessMiddleware:
    """Sets the caller of every request, and refuses one that lacks the role which its route needs."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.door.is_open:
            set_caller(ANYONE)
            await self.app(scope, receive, send)
            return
        need = needed_role(scope["method"], scope["path"])
        if need != "public":
            caller = await self.door.identify(scope["headers"])
            if need == "operator":
                if not caller.is_operator:
                    raise Forbidden(
                        f"this needs the role 'admin' in the tenant 'default'; the key {caller.id} has it not"
                    )
            else:
                caller.require(need)
            set_caller(caller)
        await self.app(scope, receive, send)
