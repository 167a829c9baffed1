"""Tokens of an identity provider: which are let in, as whom, and what its keys' changes and outages do."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fastapi import FastAPI

from services.gateway.access import oidc
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings
from tests.contract.conftest import Serve

AUDIENCE = "ragline"


class Provider:
    """An identity provider: publishes its keys, and signs tokens."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"one": rsa.generate_private_key(65537, 2048)}
        self.asked = 0
        self.is_down = False
        self.url = ""
        self.app = FastAPI()

        @self.app.get("/.well-known/openid-configuration")
        async def configuration() -> dict[str, str]:
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}

        @self.app.get("/keys")
        async def keys() -> dict[str, Any]:
            self.asked += 1
            if self.is_down:
                return {"keys": []}
            return {"keys": [self._publish(name, key) for name, key in self.keys.items()]}

    def _publish(self, name: str, key: Any) -> dict[str, Any]:
        is_curve = isinstance(key, ec.EllipticCurvePrivateKey)
        algorithm = jwt.algorithms.ECAlgorithm if is_curve else jwt.algorithms.RSAAlgorithm
        return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}

    def sign(self, name: str = "one", *, algorithm: str = "RS256", key: Any = None, **claims: Any) -> str:
        usual = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "user-7",
            "exp": int(time.time()) + 600,
            "tenant": "acme",
            "roles": ["ask", "reader"],
        }
        body = {field: value for field, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(body, key or self.keys[name], algorithm=algorithm, headers={"kid": name})


@pytest.fixture
def provider(serve: Serve) -> Provider:
    provider = Provider()
    provider.url = serve(provider.app)
    return provider


Ask = Callable[[str], httpx.Response]


@pytest.fixture
def ask(serve: Serve, provider: Provider) -> Ask:
    """Ask for the models: 503 is who was let in, because the services are down."""
    settings = Settings(oidc_issuer=provider.url, oidc_audience=AUDIENCE, generation_url="http://127.0.0.1:9")
    url = serve(create_gateway(settings))
    return lambda token: httpx.get(
        f"{url}/v1/models", headers={"authorization": f"Bearer {token}"}, timeout=30
    )


def test_a_valid_token_is_let_in(ask: Ask, provider: Provider) -> None:
    assert ask(provider.sign()).status_code == 503
    assert ask(provider.sign(sub="another", aud=["x", AUDIENCE], roles="ask other")).status_code == 503
    assert provider.asked == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"aud": "another program"},
        {"aud": None},
        {"iss": "https://evil.example.com"},
        {"sub": None},
        {"nbf": 9_999_999_999},
        {"tenant": None},
        {"tenant": "acme--x"},
        {"tenant": "../x"},
        {"tenant": ["acme"]},
        {"tenant": "a" * 25},
    ],
)
def test_a_token_that_is_not_valid_is_a_401(ask: Ask, provider: Provider, claims: dict[str, Any]) -> None:
    reply = ask(provider.sign(**claims))
    assert reply.status_code == 401, reply.text
    assert 'error="invalid_token"' in reply.headers["www-authenticate"]


def test_roles_come_from_the_token(ask: Ask, provider: Provider) -> None:
    for roles in ([], ["ingest"], None, "asking", {"ask": True}):
        reply = ask(provider.sign(roles=roles))
        assert reply.status_code == 403, roles
        assert "'ask'" in reply.json()["error"]["message"]


def test_nobody_signs_with_the_public_key_or_with_nothing(ask: Ask, provider: Provider) -> None:
    public = provider.keys["one"].public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    secret = jwt.utils.base64url_encode(pem)
    header, body, _ = provider.sign().split(".")

    def forge(name: str, sign: Callable[[bytes], bytes]) -> str:
        start = (
            jwt.utils.base64url_encode(f'{{"alg":"{name}","kid":"one","typ":"JWT"}}'.encode()).decode()
            + "."
            + body
        )
        return start + "." + jwt.utils.base64url_encode(sign(start.encode())).decode()

    forged = [
        forge("HS256", lambda text: hmac.new(pem, text, hashlib.sha256).digest()),
        forge("HS256", lambda text: hmac.new(secret, text, hashlib.sha256).digest()),
        forge("none", lambda text: b""),
        forge("None", lambda text: b""),
        f"{header}.{body}.",
        provider.sign(key=rsa.generate_private_key(65537, 2048)),
        provider.sign(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),
        "a.b.c",
        "..",
    ]
    for token in forged:
        assert ask(token).status_code == 401, token


def test_keys_that_are_rotated_are_fetched_with_a_bound(
    ask: Ask, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(provider.sign()).status_code == 503
    provider.keys["two"] = ec.generate_private_key(ec.SECP256R1())
    new = provider.sign("two", algorithm="ES256")
    for _ in range(5):
        assert ask(new).status_code == 401
    assert provider.asked == 1
    monkeypatch.setattr(oidc, "REFETCH_SECONDS", 0.0)
    assert ask(new).status_code == 503
    assert provider.asked == 2
    del provider.keys["one"]
    monkeypatch.setattr(oidc, "FRESH_SECONDS", -1.0)
    assert ask(provider.sign("two", algorithm="ES256")).status_code == 503


def test_a_key_that_is_withdrawn_ends_its_tokens(
    ask: Ask, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = provider.sign()
    assert ask(old).status_code == 503
    provider.keys = {"two": rsa.generate_private_key(65537, 2048)}
    monkeypatch.setattr(oidc, "REFETCH_SECONDS", 0.0)
    assert ask(provider.sign("two")).status_code == 503
    assert ask(old).status_code == 401


def test_a_provider_that_is_down_leaves_its_last_keys_in_force(
    ask: Ask, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(provider.sign()).status_code == 503
    provider.is_down = True
    monkeypatch.setattr(oidc, "REFETCH_SECONDS", 0.0)
    monkeypatch.setattr(oidc, "FRESH_SECONDS", -1.0)
    assert ask(provider.sign(sub="other")).status_code == 503
    assert provider.asked == 2


def test_a_provider_that_never_answered_is_a_503_that_says_so(ask: Ask, provider: Provider) -> None:
    provider.is_down = True
    reply = ask(provider.sign())
    assert reply.status_code == 503
    assert "identity provider" in reply.json()["error"]["message"]


def test_an_issuer_needs_an_audience() -> None:
    with pytest.raises(ValueError, match="OIDC_AUDIENCE"):
        Settings(oidc_issuer="https://login.example.com")
    settings = Settings(host="0.0.0.0", oidc_issuer="https://login.example.com", oidc_audience="x")  # noqa: S104
    assert settings.access_mode == "keys"


def test_claims_inside_of_claims() -> None:
    claims = {"realm_access": {"roles": ["ask"]}, "a.b": 1}
    assert oidc._claim(claims, "realm_access.roles") == ["ask"]
    assert oidc._claim(claims, "a.b") == 1
    assert oidc._claim(claims, "realm_access.roles.x") is None
