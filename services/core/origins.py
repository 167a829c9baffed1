"""Whether a request came by a name that is ours, and from a page that may ask. Pure.

A page of another site makes a visitor's browser ask what only the visitor reaches. It can send a form to us
(then `Origin` names its site), and it can have its own name answer with our address, which makes it our own
origin (then `Host` is its name). So both are checked. A name cannot be made to mean us by somebody else where
it is an address, has no dot, or ends as names do that nobody can register.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from services.core.errors import Forbidden, WrongHost

ANY = "*"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, and whose replies no other page can read."""

_PRIVATE = (".localhost", ".local", ".internal", ".svc", ".home.arpa", ".test")
_PORTS = {"http": 80, "https": 443}


class Visitors:
    """What is let in: requests to `hosts`, and from pages of `origins` and of the host itself."""

    def __init__(self, hosts: Iterable[str], origins: Iterable[str], setting: str) -> None:
        """Make the rules.

        Args:
            hosts: Names besides those that are always ours; `.example.org` is all below it, `*` is any.
            origins: Origins whose pages may ask, as `https://chat.example.org`; `*` for all.
            setting: The variable that holds the hosts, for errors.
        """
        self._hosts = frozenset(host.lower().strip() for host in hosts) - {""}
        self._origins = frozenset(origin.lower() for origin in origins)
        self._setting = setting

    def check(self, method: str, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Check a request.

        Raises:
            WrongHost: It came by a name that is not ours.
            Forbidden: It would change something, and came from a page of another site.
        """
        host = ""
        for name, value in headers:
            if name == b"host":
                host = value.decode("latin-1").lower()
                if not self._is_ours(host):
                    raise WrongHost(
                        f"this service is not called {_name_of(host)!r}: if it should be, add that to "
                        f"{self._setting}"
                    )
        if method in SAFE_METHODS:
            return
        for name, value in headers:
            if name == b"origin":
                origin = value.decode("latin-1").lower()
                if not self._may_ask(origin, host):
                    raise Forbidden(f"a page of {origin} may not do this: {self._how_to_let_in()}")

    def _is_ours(self, host: str) -> bool:
        if is_unclaimable(host) or ANY in self._hosts:
            return True
        name = _name_of(host)
        return name in self._hosts or any(known[:1] == "." and name.endswith(known) for known in self._hosts)

    def _may_ask(self, origin: str, host: str) -> bool:
        if ANY in self._origins or origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
            port = parts.port or _PORTS.get(parts.scheme)
        except ValueError:
            return False
        name = parts.hostname or ""
        if not name:
            return False  # "null" is whoever does not say
        own, _, own_port = host.rpartition(":") if _has_port(host) else (host, "", "")
        if name == own.strip("[]") and (port == int(own_port) if own_port else port in _PORTS.values()):
            return True
        return name in self._hosts  # the proxy in front of us calls us by another name than readers do

    def _how_to_let_in(self) -> str:
        if self._setting == "GATEWAY_HOSTS":
            return "name its origin in GATEWAY_CORS_ORIGINS"
        return "ask the gateway instead"


@lru_cache(maxsize=1024)
def is_unclaimable(host: str) -> bool:
    """Whether nobody else can have this name lead to us: no name at all, an address, or a private name."""
    name = _name_of(host)
    if "." not in name and ":" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.endswith(_PRIVATE)
    return True


def _name_of(host: str) -> str:
    """The host of a `Host` header, without its port, brackets and the dot at its end."""
    name = host.rpartition(":")[0] if _has_port(host) else host
    return name.strip("[]").rstrip(".")


def _has_port(host: str) -> bool:
    before, colon, port = host.rpartition(":")
    return bool(colon) and (port == "" or port.isdecimal()) and (before.endswith("]") or ":" not in before)
