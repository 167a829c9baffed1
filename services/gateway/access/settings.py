"""The settings of who may do what."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from services.core.addresses import RedisAddress, is_loopback
from services.core.errors import InvalidRequest
from services.core.settings import PeerSettings
from services.gateway.access.caller import TENANT_PATTERN
from services.gateway.access.keys import read_keys


class AccessSettings(PeerSettings):
    """Part of the gateway's settings; `access` comes last, because it is judged by all others."""

    keys_file: Path | None = Field(
        None,
        validation_alias="GATEWAY_KEYS_FILE",
        description="file of API keys, as `ragline keys` writes it; read anew when it changes; unset: nobody "
        "is asked for a key",
    )
    oidc_issuer: str = Field(
        "",
        validation_alias="OIDC_ISSUER",
        description="identity provider whose tokens are let in, as its tokens name it; empty: none",
    )
    oidc_audience: str = Field(
        "",
        validation_alias="OIDC_AUDIENCE",
        description="audience that a token must be for",
    )
    oidc_jwks_url: str = Field(
        "",
        validation_alias="OIDC_JWKS_URL",
        description="where the provider publishes its keys; empty: what OIDC_ISSUER's "
        "/.well-known/openid-configuration says",
    )
    oidc_tenant_claim: str = Field(
        "tenant",
        validation_alias="OIDC_TENANT_CLAIM",
        description="claim that names the tenant; dots lead into a claim",
    )
    oidc_tenant: str = Field(
        "",
        pattern=f"^$|{TENANT_PATTERN}",
        validation_alias="OIDC_TENANT",
        description="tenant of tokens without that claim; empty: they are refused",
    )
    oidc_roles_claim: str = Field(
        "roles",
        validation_alias="OIDC_ROLES_CLAIM",
        description="claim that lists roles (ask, ingest, admin; others are ignored); dots lead into a "
        "claim, as realm_access.roles",
    )
    link_seconds: float = Field(
        86_400,
        ge=0,
        validation_alias="GATEWAY_LINK_SECONDS",
        description="how long a citation's link opens its passage without a key, where keys are asked for; "
        "0: it needs a key",
    )
    link_secret: str = Field(
        "",
        repr=False,
        validation_alias="GATEWAY_LINK_SECRET",
        description="secret that signs those links, the same for all gateways; empty: SERVICE_TOKEN; without "
        "both a key's links are signed by its hash alone, and an OpenID token's end with the gateway",
    )
    limits_url: str = Field(
        "",
        validation_alias="LIMITS_URL",
        description="where several gateways count what keys use, as redis://host:6379/1; empty: each gateway "
        "counts by itself",
    )
    audit_log: str = Field(
        "",
        validation_alias="AUDIT_LOG",
        description="file that gets a line of JSON for each request, of who did what; - for standard output; "
        "empty: none",
    )
    audit_content: bool = Field(
        False,
        validation_alias="AUDIT_CONTENT",
        description="write questions and answers into the audit log too",
    )
    published: str = Field(
        "",
        validation_alias="GATEWAY_PUBLISHED",
        description="address at which a container's port is published, where HOST is only the container's "
        "own; compose sets it from BIND",
    )
    access: Literal["", "open"] = Field(
        "",
        validate_default=True,
        validation_alias="GATEWAY_ACCESS",
        description="open: anyone who reaches the gateway may do everything, at whatever address it listens; "
        "empty: without keys it listens on loopback alone",
    )

    @property
    def access_mode(self) -> Literal["keys", "loopback", "open"]:
        """Who may come in: who has a key, who is on this machine, or anyone."""
        if self.keys_file is not None or self.oidc_issuer:
            return "keys"
        return "open" if self.access == "open" else "loopback"

    @field_validator("keys_file")
    @classmethod
    def _check_keys(cls, path: Path | None) -> Path | None:
        if path is not None:
            read_keys(path)
        return path

    @field_validator("limits_url")
    @classmethod
    def _check_limits_url(cls, url: str) -> str:
        if url:
            try:
                RedisAddress.parse("LIMITS_URL", "the counters of limits", url)
            except InvalidRequest as error:
                raise ValueError(error.message) from None
        return url

    @field_validator("access")
    @classmethod
    def _check_exposure(cls, access: str, info: ValidationInfo) -> str:
        known = info.data
        if known.get("oidc_issuer") and not known.get("oidc_audience"):
            raise ValueError(
                "OIDC_ISSUER needs OIDC_AUDIENCE: a token for another program is none for this one"
            )
        if known.get("keys_file") is not None or known.get("oidc_issuer"):
            if access == "open":
                raise ValueError("open lets everybody in, and there are keys: drop one of them")
            return access
        name = "GATEWAY_PUBLISHED" if known.get("published") else "HOST"
        host = known.get("published") or known.get("host") or "127.0.0.1"
        if access == "open" or is_loopback(host):
            return access
        raise ValueError(
            f"{name} is {host}, and without keys the gateway listens on loopback alone, because anyone who "
            "reaches it may read and delete every document: make keys (ragline keys create, then "
            "GATEWAY_KEYS_FILE), or set GATEWAY_ACCESS=open where that is meant"
        )
