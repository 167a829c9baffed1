"""Where each service listens, and the environment that tells the others so."""

from __future__ import annotations

from collections.abc import Mapping

from services.cli.errors import UsageError
from services.cli.roster import ROSTER

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names what it replaces


class Addresses:
    """A port comes from `ports`, else from `<NAME>_PORT` in `env`, else from `recorded`, else the usual one.

    A service whose `<NAME>_URL` is in `env` (and that has no entry in `ports`) is external.
    """

    def __init__(
        self,
        env: Mapping[str, str],
        ports: Mapping[str, int],
        recorded: Mapping[str, int],
        recorded_external: Mapping[str, str],
    ) -> None:
        self.host = env.get("HOST") or "127.0.0.1"
        self._ports = {
            name: ports.get(name) or _from_env(env, spec.port_variable) or recorded.get(name) or spec.port
            for name, spec in ROSTER.items()
        }
        given = {
            name: env[spec.url_variable]
            for name, spec in ROSTER.items()
            if spec.url_variable and env.get(spec.url_variable) and name not in ports
        }
        kept = {name: url for name, url in recorded_external.items() if name not in ports}
        self.external = {name: url.rstrip("/") for name, url in {**kept, **given}.items()}

    def port(self, name: str) -> int:
        return self._ports[name]

    def move(self, name: str, port: int) -> None:
        """From now on that service is at this port."""
        self._ports[name] = port

    def url(self, name: str) -> str:
        if name in self.external:
            return self.external[name]
        host = _EVERYWHERE.get(self.host, self.host)
        return f"http://[{host}]:{self._ports[name]}" if ":" in host else f"http://{host}:{self._ports[name]}"

    def environment(self, name: str) -> dict[str, str]:
        """The variables a service needs to serve at its port and to find the others."""
        urls = {spec.url_variable: self.url(each) for each, spec in ROSTER.items() if spec.url_variable}
        return {**urls, ROSTER[name].port_variable: str(self._ports[name])}


def _from_env(env: Mapping[str, str], variable: str) -> int | None:
    value = env.get(variable)
    if not value:
        return None
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise UsageError(f"{variable}={value} is not a port: use a number from 1 to 65535")
    return int(value)
