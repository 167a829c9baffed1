"""The proxy that our clients reach a server by, from the usual variables. The choice is pure.

A neighbour is never reached by a proxy: this machine, and a name without a dot, as services have it in
compose and within a namespace of Kubernetes.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from pydantic import Field

from services.core.addresses import is_loopback
from services.core.settings import Settings

PATTERN = r"^$|^(https?://)?[^\s/]+/?$"
PORTS = {"http": 80, "https": 443}


class ProxySettings(Settings):
    """By which proxy servers are reached that are not of this network."""

    http_proxy: str = Field(
        "",
        pattern=PATTERN,
        validation_alias="HTTP_PROXY",
        description="proxy for http:// servers: models, guards, identity providers; never for this "
        "machine or a name without a dot",
    )
    https_proxy: str = Field(
        "",
        pattern=PATTERN,
        validation_alias="HTTPS_PROXY",
        description="proxy for https:// servers, as http://host:port",
    )
    no_proxy: str = Field(
        "",
        validation_alias="NO_PROXY",
        description="servers that are reached without a proxy, with commas between: a name with all names "
        "below it, with or without a dot before it; an address or a network; any of them with :port; * is "
        "every server",
    )


def choose_proxy(url: str, settings: ProxySettings) -> str | None:
    """Choose the proxy for a server.

    Args:
        url: The server's base URL.
        settings: The variables.

    Returns:
        The proxy's URL; None where the server is reached directly.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    proxy = settings.https_proxy if parts.scheme == "https" else settings.http_proxy
    if not proxy or not host or is_loopback(host) or ("." not in host and ":" not in host):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    port = parts.port or PORTS.get(parts.scheme)
    entries = (entry.strip().lower() for entry in settings.no_proxy.split(","))
    return None if any(_covers(entry, host, port) for entry in entries if entry) else proxy


def _covers(entry: str, host: str, port: int | None) -> bool:
    """Whether an entry of NO_PROXY means a server."""
    if entry == "*":
        return True
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit() and (":" not in name or name.endswith("]")):
        if int(wanted) != port:
            return False
        entry = name
    entry = entry.strip("[]")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        entry = entry.removeprefix("*").removeprefix(".")
        return bool(entry) and (host == entry or host.endswith(f".{entry}"))
