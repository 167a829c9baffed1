"""Finding a service's backends: in its `backends/` folder, and in packages from outside.

A backend is one place with a `create()`: a module or a package `services/<service>/backends/<name>`, or what
an installed package names under the entry point group `ragline.backends.<service>`:

    [project.entry-points."ragline.backends.retrieval"]
    milvus = "ragline_milvus.store"
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from services.core.errors import RaglineError

GROUP = "ragline.backends"


class Backend(Protocol):
    """What every backend of every service can do besides its own protocol."""

    async def ready(self) -> None:
        """Return when it can serve.

        Raises:
            ServiceUnavailable: It cannot serve yet; the message says why not.
        """

    async def close(self) -> None:
        """Release what it holds; called once."""


class UnknownBackend(RaglineError):
    """A backend name that nothing stands behind, or whose packages are not installed."""

    status, code = 500, "unknown_backend"


def names(package: str) -> list[str]:
    """List the backends of a service.

    Args:
        package: The dotted name of its `backends` folder, such as `services.retrieval.backends`.

    Returns:
        The names, sorted: the folder's modules without the private ones, and what other packages bring.
    """
    return sorted({*_own(package), *_outside(package)})


def load(package: str, name: str) -> object:
    """Import a backend. The service's own is taken where a package from outside has one of the same name.

    Args:
        package: As for `names`.
        name: The backend's name.

    Returns:
        The module or package whose `create` makes the backend.

    Raises:
        UnknownBackend: There is none of that name, or a package that it needs is not installed.
    """
    try:
        if name in _own(package):
            return importlib.import_module(f"{package}.{name}")
        outside = _outside(package)
        if name in outside:
            return outside[name].load()
    except ModuleNotFoundError as error:
        raise UnknownBackend(
            f"backend {name!r} needs the package {error.name!r}: {_remedy(package, name)}"
        ) from error
    raise UnknownBackend(f"unknown backend {name!r}: choose one of {', '.join(names(package))}")


def _own(package: str) -> set[str]:
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return {module.name for module in found if not module.name.startswith("_")}


def _outside(package: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"{GROUP}.{_service(package)}")}


def _service(package: str) -> str:
    return package.split(".")[1]


def _remedy(package: str, name: str) -> str:
    if name in _own(package):
        return f"run pip install '.[{_service(package)}]'"
    brought_by = _outside(package)[name].dist
    return f"install it, or {brought_by.name if brought_by else 'what brings the backend'} with all it needs"
