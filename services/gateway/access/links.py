"""Signed links: a citation's address opens without a key, for a while, what its signer could see.

A link names its signer, the signer's tenant and its end; the signature binds them to the passage, its
collection and the marked words. It is an HMAC-SHA256 (RFC 2104), whose key comes from the secret that the
gateways share and from the hash of the signer's key, so that a link ends with the key that made it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import orjson
from starlette.datastructures import QueryParams
from starlette.types import Scope

from services.core.errors import Unauthorized
from services.core.wire.passages import DEFAULT_COLLECTION
from services.gateway.access.caller import Caller, find_caller
from services.gateway.access.keys import KeyFile, KnownKey

PARAMETER = "link"
"""The part of a link's query that holds its signature; it is written into no log."""
BOUND = ("collection", "start", "end")
"""What else of the query is signed; what clients add of their own is not."""
PURPOSE = b"ragline citation links 1 "
TOKEN_SIGNER = "oidc"  # noqa: S105 - what the ids of callers with an OpenID token begin with
_PATH = "/v1/passages/"
_REFUSAL = "this link is not valid: ask again for a new one, or send a key"


class LinkSigner:
    """Signs the addresses of passages, and opens them again."""

    def __init__(
        self,
        keys: KeyFile | None,
        *,
        takes_tokens: bool,
        secret: str,
        seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a signer.

        Args:
            keys: The keys whose links count.
            takes_tokens: Whether links of OpenID tokens count. Without a secret these are this gateway's own,
                until it ends.
            secret: What all gateways share; empty: a link of a key rests on the hash of that key alone.
            seconds: How long a link is valid; 0: none is made, and none opens.
            clock: Says the seconds of the epoch.
        """
        self._keys = keys
        self._secret = secret.encode()
        self._token_secret = (self._secret or secrets.token_bytes(32)) if takes_tokens else None
        self._seconds = seconds
        self._clock = clock

    def sign(self, passage_id: str, query: dict[str, str]) -> dict[str, str]:
        """Return what the query of a passage's address needs besides, for whoever asks now.

        Args:
            passage_id: The passage.
            query: The rest of the query: the collection by the caller's name, and the marked words.

        Returns:
            The signature; nothing where no key is asked for, or links are switched off.
        """
        caller = find_caller()
        if caller is None or caller.is_anyone or not self._seconds:
            return {}
        signer = TOKEN_SIGNER if caller.id.startswith(f"{TOKEN_SIGNER}:") else caller.id
        secret = self._secret_of(signer)
        if secret is None:
            return {}
        named = f"{signer}.{caller.tenant}.{int(self._clock() + self._seconds)}"
        return {PARAMETER: f"{named}.{_sign(secret, named, passage_id, query)}"}

    def open(self, scope: Scope) -> Caller | None:
        """Find the caller that a request's link stands for: its signer, for this one collection.

        Returns:
            The caller; None where the request has no link, or its address takes none.

        Raises:
            Unauthorized: The link was altered, has expired, or its signer may come in no more.
        """
        if scope["method"] not in {"GET", "HEAD"} or not scope["path"].startswith(_PATH):
            return None
        query = dict(QueryParams(scope["query_string"]))
        link, passage_id = query.get(PARAMETER, ""), scope["path"][len(_PATH) :]
        if not link or "/" in passage_id:
            return None
        named, _, signature = link.rpartition(".")
        signer, _, rest = named.partition(".")
        tenant, _, expires = rest.partition(".")
        secret = self._secret_of(signer) if self._seconds else None
        if secret is None or not hmac.compare_digest(
            signature.encode(), _sign(secret, named, passage_id, query).encode()
        ):
            raise Unauthorized(_REFUSAL)
        if int(expires) <= self._clock():
            ended = datetime.fromtimestamp(int(expires), UTC).isoformat(timespec="seconds")
            raise Unauthorized(f"this link expired at {ended}: ask again for a new one, or send a key")
        return self._narrow(signer, tenant, query.get("collection") or DEFAULT_COLLECTION)

    def _narrow(self, signer: str, tenant: str, collection: str) -> Caller:
        """Return the signer as it is now, with the rights of its link. Raises as `open`."""
        only = frozenset({collection})
        if signer == TOKEN_SIGNER:
            return Caller(id=TOKEN_SIGNER, tenant=tenant, roles=frozenset({"ask"}), collections=only)
        found = self._find_key(signer)
        if found is None or found.refusal or found.caller.tenant != tenant:
            raise Unauthorized("the key that made this link is valid no more: ask with another one")
        found.caller.require("ask")
        if found.caller.collections is not None and collection not in found.caller.collections:
            raise Unauthorized(_REFUSAL)
        return replace(found.caller, roles=frozenset({"ask"}), collections=only)

    def _find_key(self, identifier: str) -> KnownKey | None:
        return self._keys.find_by_id(identifier) if self._keys else None

    def _secret_of(self, signer: str) -> bytes | None:
        """Return what a signer's links are signed with; None where it is nobody."""
        if signer == TOKEN_SIGNER:
            return None if self._token_secret is None else _derive(self._token_secret, TOKEN_SIGNER)
        found = self._find_key(signer)
        return None if found is None else _derive(self._secret, found.hash)


def _derive(secret: bytes, of: str) -> bytes:
    return hmac.digest(secret, PURPOSE + of.encode(), hashlib.sha256)


def _sign(key: bytes, named: str, passage_id: str, query: dict[str, str]) -> str:
    message = orjson.dumps([named, passage_id, *(query.get(name, "") for name in BOUND)])
    return base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).decode().rstrip("=")
