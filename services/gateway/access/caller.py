"""Who asks: the caller of the request in hand, and what it may do.

The middleware sets the caller before anything else of the gateway runs. Whoever needs it calls
`current_caller`; a task that a request starts inherits it. Work that belongs to no request has no caller, and
so it can name no collection: a task that outlives its request (a session of several requests, a shadow) must
set its own.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from services.core.errors import Forbidden

Role = Literal["ask", "ingest", "admin"]
"""`ask`: questions, searches, reading documents. `ingest`: putting documents in and deleting them, and jobs.
`admin`: both, and what concerns the whole tenant."""

DEFAULT_TENANT = "default"
"""The tenant whose collections have the names that they had before there were keys."""
TENANT_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_TENANT_LENGTH = 24


class Limits(BaseModel):
    """What a key may use; None: as much as there is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    tokens_per_day: int | None = Field(None, ge=1)
    concurrent: int | None = Field(None, ge=1)
    ingest_bytes_per_day: int | None = Field(None, ge=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """One who asks.

    `id` tells keys apart and is no secret; it is empty where nobody is asked for a key. `collections` are the
    names that the caller may use, as the tenant says them; None: all of its tenant. `subject` is what an
    OpenID token calls its owner, or the name that a key was given.
    """

    id: str = ""
    subject: str = ""
    tenant: str = DEFAULT_TENANT
    roles: frozenset[Role] = frozenset({"admin"})
    collections: frozenset[str] | None = None
    limits: Limits = field(default_factory=Limits)

    @property
    def is_anyone(self) -> bool:
        """Whether nobody is asked for a key, so that names and rights are as if there were no tenants."""
        return not self.id

    @property
    def is_operator(self) -> bool:
        """Whether the caller may see what concerns all tenants: an admin of the default one."""
        return "admin" in self.roles and self.tenant == DEFAULT_TENANT

    def require(self, role: Role) -> None:
        """Raise `Forbidden` where the caller has neither this role nor `admin`."""
        if role not in self.roles and "admin" not in self.roles:
            have = ", ".join(sorted(self.roles)) or "none"
            raise Forbidden(f"this needs the role {role!r}; the key {self.id} has: {have}")


ANYONE = Caller()
"""The caller where keys are off."""

_caller: ContextVar[Caller] = ContextVar("caller")


def set_caller(caller: Caller) -> None:
    """Say who asks, for this request and the tasks that it starts."""
    _caller.set(caller)


def find_caller() -> Caller | None:
    """Return the caller of the request in hand; None where there is none."""
    return _caller.get(None)


def current_caller() -> Caller:
    """Return the caller of the request in hand.

    Raises:
        RuntimeError: There is none: this runs outside of a request, or on a route that is public.
    """
    try:
        return _caller.get()
    except LookupError:
        raise RuntimeError("there is no caller here: what is asked for belongs to no request") from None
