"""The six services: their names, where each listens, and the environment that tells the others so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.cli.errors import UsageError
from services.core.addresses import is_loopback
from services.core.settings import TOKEN_HEADER


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """`python -m services.<name>` serves on `port_variable` (else `port`).

    `url_variable` tells the others where it is. Where the user sets it to another address than the one at
    which the service would be started here, the service is somebody else's to run.
    """

    name: str
    port: int
    url_variable: str | None

    @property
    def port_variable(self) -> str:
        return f"{self.name.upper()}_PORT"


ROSTER: Mapping[str, ServiceSpec] = {
    spec.name: spec
    for spec in (
        ServiceSpec("embedding", 6000, "EMBEDDING_URL"),
        ServiceSpec("retrieval", 7000, "RETRIEVAL_URL"),
        ServiceSpec("reranking", 8000, "RERANKING_URL"),
        ServiceSpec("generation", 9000, "GENERATION_URL"),
        ServiceSpec("dataprep", 5000, "DATAPREP_URL"),
        ServiceSpec("gateway", 8888, None),
    )
}

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names what it replaces


class Addresses:
    """A port comes from `ports`, else from `<NAME>_PORT` in `env`, else from `recorded`, else the usual one.

    A service whose `<NAME>_URL` is in `env` (and that has no entry in `ports`) is external, unless that is
    the address at which it would be started here: its own port, on loopback or at `HOST`.

    `token` is what services that are started here show each other where `SERVICE_TOKEN` is not in `env`.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        ports: Mapping[str, int],
        recorded: Mapping[str, int],
        recorded_external: Mapping[str, str],
        token: str = "",
    ) -> None:
        self._token = env.get("SERVICE_TOKEN") or ""
        self._own_token = token
        self.host = env.get("HOST") or "127.0.0.1"
        self._scheme = "https" if env.get("TLS_CERT_FILE") else "http"
        self._admin_port = _from_env(env, "ADMIN_PORT") or 0
        self._ports = {
            name: ports.get(name) or _from_env(env, spec.port_variable) or recorded.get(name) or spec.port
            for name, spec in ROSTER.items()
        }
        wanted = {
            name: env[spec.url_variable]
            for name, spec in ROSTER.items()
            if spec.url_variable and env.get(spec.url_variable)
        }
        self.named = frozenset(name for name, url in wanted.items() if self._is_own(name, url))
        """The services whose `<NAME>_URL` names the address at which they are started here anyway."""
        external = {name: url for name, url in recorded_external.items() if name not in wanted}
        external |= {name: url for name, url in wanted.items() if name not in self.named}
        self.external = {name: url.rstrip("/") for name, url in external.items() if name not in ports}

    def port(self, name: str) -> int:
        return self._ports[name]

    def move(self, name: str, port: int) -> None:
        """From now on that service is at this port."""
        self._ports[name] = port

    def url(self, name: str) -> str:
        if name in self.external:
            return self.external[name]
        host = _EVERYWHERE.get(self.host, self.host)
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self._ports[name]}"

    def _is_own(self, name: str, url: str) -> bool:
        """Whether a URL names the very address at which that service is started here."""
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return False
        is_plain = parts.scheme == self._scheme and parts.path in {"", "/"} and not parts.username
        is_here = is_loopback(parts.hostname or "") or parts.hostname == self.host
        return is_plain and is_here and port == self._ports[name]

    def headers(self, name: str) -> dict[str, str]:
        """The headers of a request that a service takes for one of ours; an external one gets no `token`."""
        token = self._token or ("" if name in self.external else self._own_token)
        return {TOKEN_HEADER: token} if token else {}

    def environment(self, name: str) -> dict[str, str]:
        """The variables a service needs to serve at its port and to find the others."""
        urls = {spec.url_variable: self.url(other) for other, spec in ROSTER.items() if spec.url_variable}
        own = {ROSTER[name].port_variable: str(self._ports[name])}
        if self._admin_port:
            own["ADMIN_PORT"] = str(self._admin_port + list(ROSTER).index(name))
        if not self._token and self._own_token:
            own["SERVICE_TOKEN"] = self._own_token
        return {**urls, **own}


def describe_external(external: Mapping[str, str]) -> str:
    """Say which services run elsewhere, which variables say so, and how to run them here; empty for none."""
    if not external:
        return ""
    variables = [ROSTER[name].url_variable or "" for name in ROSTER if name in external]
    names = [name for name in ROSTER if name in external]
    verb = "names" if len(variables) == 1 else "name"
    return (
        f"not started here, because {_join(variables)} {verb} another address: {', '.join(names)}. "
        f"Unset {'it' if len(variables) == 1 else 'them'} to run {'it' if len(names) == 1 else 'them'} here"
    )


def _join(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def check_names(names: Iterable[str]) -> None:
    """Raise `UsageError` where one of the names is no service."""
    for name in names:
        if name not in ROSTER:
            raise UsageError(f"unknown service {name!r}: choose from {', '.join(ROSTER)}")


def _from_env(env: Mapping[str, str], variable: str) -> int | None:
    value = env.get(variable)
    if not value:
        return None
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise UsageError(f"{variable}={value} is not a port: use a number from 1 to 65535")
    return int(value)
