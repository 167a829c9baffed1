"""The backend loader: one file with `create()` in a service's `backends/` folder is a backend."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol

from services.core.errors import RaglineError


class Backend(Protocol):
    """What every backend of every service can do besides its own protocol."""

    async def ready(self) -> None:
        """Return when it can serve; raise `ServiceUnavailable` that says why not."""

    async def close(self) -> None:
        """Release what it holds; called once."""


class UnknownBackend(RaglineError):
    """A backend name with no file behind it, or one whose packages are not installed."""

    status, code = 500, "unknown_backend"


def names(package: str) -> list[str]:
    """The backends of a service: the module names in `<package>`, sorted; private ones left out."""
    module = importlib.import_module(package)
    return sorted(
        info.name for info in pkgutil.iter_modules(module.__path__) if not info.name.startswith("_")
    )


def load(package: str, name: str) -> object:
    """The module `<package>.<name>`; its `create` makes the backend. Raises `UnknownBackend`."""
    known = names(package)
    if name not in known:
        raise UnknownBackend(f"unknown backend {name!r}: choose one of {', '.join(known)}")
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        extra = package.split(".")[1]
        raise UnknownBackend(
            f"backend {name!r} needs the package {error.name!r}: run pip install '.[{extra}]'"
        ) from error
