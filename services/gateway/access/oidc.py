"""OpenID Connect: a bearer token of a company's identity provider names the caller, its tenant and its
roles."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping
from typing import get_args

import jwt
import orjson
import structlog

from services.core.client import HttpClient
from services.core.errors import RaglineError, ServiceUnavailable, Unauthorized
from services.gateway.access.caller import MAX_TENANT_LENGTH, TENANT_PATTERN, Caller, Role
from services.gateway.access.settings import AccessSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures alone: with a shared secret (HS256) the provider's public key would be one, and `none` is
nobody's."""
LEEWAY_SECONDS = 30
FRESH_SECONDS = 3600.0
"""How long the provider's keys are used before they are asked for again."""
REFETCH_SECONDS = 30.0
"""Tokens with an unknown key make the keys be asked for again, but no more often than this."""
MOST_REMEMBERED = 10_000
MAX_TOKEN_LENGTH = 16_384

log = structlog.get_logger(__name__)


class Tokens:
    """Verifies tokens by the keys that the provider publishes."""

    def __init__(self, settings: AccessSettings) -> None:
        self._settings = settings
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._asked = float("-inf")
        self._problem = ""
        self._lock = asyncio.Lock()
        self._known: dict[bytes, tuple[float, Caller]] = {}

    async def identify(self, token: str) -> Caller:
        """Return who a token names.

        Raises:
            Unauthorized: The token is not valid, or says no tenant.
            ServiceUnavailable: The provider has never answered, so no token can be verified.
        """
        mark = hashlib.sha256(token.encode()).digest()
        known = self._known.get(mark)
        if known is not None and known[0] > time.time():
            return known[1]
        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthorized(f"the token is longer than {MAX_TOKEN_LENGTH} characters")
        claims = await self._verify(token)
        caller = self._to_caller(claims)
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        # for as long as the keys are, so that a withdrawn key ends its tokens too
        until = min(float(str(claims["exp"])), time.time() + FRESH_SECONDS)
        self._known[mark] = until, caller
        return caller

    async def check(self) -> None:
        """Raise `ServiceUnavailable` where the provider did not answer when it was last asked."""
        if self._problem:
            raise ServiceUnavailable(self._problem)

    async def _verify(self, token: str) -> Mapping[str, object]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise Unauthorized(f"the token is signed by {header.get('alg')!r}, which is not accepted")
            key = await self._find_key(str(header.get("kid") or ""))
            claims: Mapping[str, object] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._settings.oidc_audience,
                issuer=self._settings.oidc_issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"the token is not valid: {error}") from None
        return claims

    async def _find_key(self, name: str) -> jwt.PyJWK:
        """Find the key that a token names; where none is named, the only one.

        Raises:
            Unauthorized: The provider has no such key.
            ServiceUnavailable: The provider has never answered.
        """
        key = self._pick(name)
        now = time.monotonic()
        is_stale = now - self._fetched > FRESH_SECONDS
        if (key is None or is_stale) and now - self._asked > REFETCH_SECONDS:
            async with self._lock:
                if time.monotonic() - self._asked > REFETCH_SECONDS:
                    self._asked = time.monotonic()
                    await self._fetch()
            key = self._pick(name)
        if key is not None:
            return key
        if not self._keys:
            raise ServiceUnavailable(
                self._problem or "the identity provider's keys are being fetched", retry_after=1
            )
        raise Unauthorized("the token is not valid: its key is none of the identity provider's")

    def _pick(self, name: str) -> jwt.PyJWK | None:
        if name:
            return self._keys.get(name)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    async def _fetch(self) -> None:
        """Ask for the keys; where that fails, those that were read before go on counting."""
        url = self._settings.oidc_jwks_url
        issuer = self._settings.oidc_issuer.rstrip("/")
        try:
            if not url:
                found = await _get_json(f"{issuer}/.well-known/openid-configuration")
                url = str(found.get("jwks_uri") or "")
            keys = _read_keys(await _get_json(url))
        except (RaglineError, ValueError, jwt.PyJWTError) as error:
            self._problem = f"the keys of the identity provider {issuer} cannot be read: {error}"
            log.warning("the identity provider's keys cannot be read", reason=str(error))
            return
        withdrawn = self._keys.keys() - keys.keys()
        if withdrawn:
            self._known.clear()
        self._keys, self._fetched, self._problem = keys, time.monotonic(), ""

    def _to_caller(self, claims: Mapping[str, object]) -> Caller:
        settings = self._settings
        tenant = _claim(claims, settings.oidc_tenant_claim) or settings.oidc_tenant
        if (
            not isinstance(tenant, str)
            or len(tenant) > MAX_TENANT_LENGTH
            or not re.fullmatch(TENANT_PATTERN, tenant)
        ):
            raise Unauthorized(
                f"the token's {settings.oidc_tenant_claim!r} names no tenant: small letters, digits and "
                f"single hyphens, at most {MAX_TENANT_LENGTH}"
            )
        given = _claim(claims, settings.oidc_roles_claim)
        words = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        roles: frozenset[Role] = frozenset(role for role in get_args(Role) if role in words)
        subject = str(claims["sub"])[:128]
        return Caller(id=f"oidc:{subject}", subject=subject, tenant=tenant, roles=roles)


def _claim(claims: Mapping[str, object], path: str) -> object:
    """Read a claim, inside of others where its path has dots (Keycloak's `realm_access.roles`)."""
    if path in claims:
        return claims[path]
    found: object = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


async def _get_json(url: str) -> Mapping[str, object]:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url!r} is no address")
    async with HttpClient("identity provider", url, max_reply_bytes=1_000_000) as http:
        found = orjson.loads(await http.get(""))
    if not isinstance(found, dict):
        raise ValueError("its reply is no object")
    return found


def _read_keys(found: Mapping[str, object]) -> dict[str, jwt.PyJWK]:
    """Read the keys for signatures that are known here; those of other kinds are left out."""
    keys: dict[str, jwt.PyJWK] = {}
    listed = found.get("keys")
    for each in listed if isinstance(listed, list) else []:
        if not isinstance(each, dict) or each.get("use", "sig") != "sig" or each.get("kty") == "oct":
            continue
        try:
            key = jwt.PyJWK(each)
        except jwt.PyJWTError:
            continue
        if key.algorithm_name in ALGORITHMS:
            keys[key.key_id or ""] = key
    if not keys:
        raise ValueError("there is no key for signatures")
    return keys
