"""API keys: how they are made, how they are kept, and how one is found again.

A key is 43 random letters and digits, which is 256 bits, after `rl_`. It is shown once. The file has its
SHA-256: a slow hash protects a password, which can be guessed, and 256 random bits cannot, so it would only
cost time at every request.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.core.errors import ServiceUnavailable
from services.core.files import replace_atomically
from services.core.wire.passages import CollectionName
from services.gateway.access.caller import (
    DEFAULT_TENANT,
    MAX_TENANT_LENGTH,
    TENANT_PATTERN,
    Caller,
    Limits,
    Role,
)

TenantName = Annotated[str, Field(pattern=TENANT_PATTERN, max_length=MAX_TENANT_LENGTH)]
PREFIX = "rl_"
SECRET_LENGTH = 43
_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 12

log = structlog.get_logger(__name__)


class Key(BaseModel):
    """A key as the file has it. `hash` is the SHA-256 of the whole key, in hexadecimal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    name: str = Field("", max_length=64)
    tenant: TenantName = DEFAULT_TENANT
    roles: list[Role] = Field(min_length=1)
    collections: list[CollectionName] | None = Field(None, min_length=1)
    limits: Limits = Field(default_factory=Limits)
    created: AwareDatetime | None = None
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None

    @property
    def id(self) -> str:
        """The start of its hash, which says nothing of the key."""
        return self.hash[:_ID_LENGTH]

    def refusal(self, now: datetime) -> str:
        """Say why the key is not valid now; empty where it is."""
        if self.revoked is not None and self.revoked <= now:
            return f"the key {self.id} was revoked"
        if self.expires is not None and self.expires <= now:
            return f"the key {self.id} expired at {self.expires.isoformat(timespec='seconds')}"
        return ""


class KeyList(BaseModel):
    """The file: all keys, those that were revoked too, and the limits of tenants, which all their keys
    share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: list[Key] = Field(default_factory=list)
    tenants: dict[TenantName, Limits] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_unambiguous(self) -> KeyList:
        ids = [key.id for key in self.keys]
        if len(set(ids)) < len(ids):
            raise ValueError("a key is there twice")
        return self


def make_key() -> str:
    """Make a key of 256 random bits."""
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(SECRET_LENGTH))


def hash_key(key: str) -> str:
    """Return the hash that stands for a key in the file."""
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> KeyList:
    """Read a file of keys.

    Raises:
        ValueError: It cannot be read, or is no such file; the message says what is wrong with it.
    """
    try:
        return KeyList.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): make one with 'ragline keys create'"
        ) from None
    except ValidationError as error:
        issue = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in issue["loc"])
        raise ValueError(f"{path} is no file of keys ({where or 'file'}: {issue['msg']})") from None


def write_keys(path: Path, keys: KeyList) -> None:
    """Replace a file of keys, in one step."""
    replace_atomically(path, keys.model_dump_json(indent=2, exclude_none=True) + "\n")


class KnownKey(NamedTuple):
    """A key of the file; `refusal` says why it is not valid now, and is empty where it is."""

    hash: str
    caller: Caller
    refusal: str


class KeyFile:
    """The keys of a file, read anew whenever it changes. A broken file leaves the last good one in force."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises `ValueError` where it is broken already."""
        self._path = path
        self._mark = self._look()
        self._take(read_keys(path))
        self._problem = ""

    def find(self, key: str) -> tuple[Caller | None, str]:
        """Find the caller that a key stands for.

        Returns:
            The caller, or None with the reason why the key is refused; neither says anything of other keys.
        """
        self._refresh()
        digest = hash_key(key)
        # what a table of hashes gives away by its timing is of the hash, from which no key follows
        entry = self._keys.get(digest)
        if entry is None or not hmac.compare_digest(entry[0].hash, digest):
            return None, "there is no such key"
        found, caller = entry
        if found.expires is None and found.revoked is None:
            return caller, ""
        refusal = found.refusal(datetime.now(UTC))
        return (None, refusal) if refusal else (caller, "")

    def find_by_id(self, identifier: str) -> KnownKey | None:
        """Find a key by its id, valid or not, for what was made with it before; None where there is none."""
        self._refresh()
        entry = self._keys.get(self._hashes.get(identifier, ""))
        if entry is None:
            return None
        found, caller = entry
        return KnownKey(found.hash, caller, found.refusal(datetime.now(UTC)))

    def limits_of(self, tenant: str) -> Limits | None:
        """Return the limits that all keys of a tenant share."""
        return self._tenants.get(tenant)

    def _take(self, read: KeyList) -> None:
        self._keys = _by_hash(read)
        self._hashes = {key.id: key.hash for key in read.keys}
        self._tenants = read.tenants

    async def check(self) -> None:
        """Raise `ServiceUnavailable` where the file is broken, and an earlier one in force."""
        self._refresh()
        if self._problem:
            raise ServiceUnavailable(f"{self._problem}; the keys that were read before it are in force")

    def _look(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_ino, state.st_size

    def _refresh(self) -> None:
        mark = self._look()
        if mark == self._mark:
            return
        self._mark = mark  # before it is read: what is written meanwhile is another change
        try:
            self._take(read_keys(self._path))
        except ValueError as error:
            self._problem = str(error)
            log.error("the file of keys is broken: the last good one is in force", problem=str(error))
        else:
            self._problem = ""
            log.info("read the file of keys", keys=len(self._keys))


def _by_hash(keys: KeyList) -> Mapping[str, tuple[Key, Caller]]:
    return {key.hash: (key, _to_caller(key)) for key in keys.keys}


def _to_caller(key: Key) -> Caller:
    return Caller(
        id=key.id,
        subject=key.name,
        tenant=key.tenant,
        roles=frozenset(key.roles),
        collections=None if key.collections is None else frozenset(key.collections),
        limits=key.limits,
    )
