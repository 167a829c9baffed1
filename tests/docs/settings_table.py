"""The README's settings table, made from the settings classes; `python tests/docs/settings_table.py` writes it."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import services
from services.core.settings import Settings

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- settings -->\n", "<!-- /settings -->\n"
ORDER = ("gateway", "embedding", "retrieval", "reranking", "generation", "dataprep", "cli", "core")


def settings_classes() -> list[type[Settings]]:
    """Every settings class of every service and backend, the shared ones last."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = sorted(set(_below(Settings)), key=lambda kind: (kind.__module__, kind.__name__))
    return sorted(found, key=lambda kind: ORDER.index(kind.__module__.split(".")[1]))


def _below(kind: type[Settings]) -> Iterator[type[Settings]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("services."):
            yield child
        yield from _below(child)


def table() -> str:
    """A Markdown table: variable, default, where it is read, what it does; each variable once."""
    rows: dict[str, tuple[str, list[str], str]] = {}
    for kind in settings_classes():
        own = set(kind.__annotations__)
        for name, field in kind.model_fields.items():
            variable = str(field.validation_alias)
            where = _reader(kind.__module__)
            if name not in own:
                continue
            default = "" if field.is_required() else _show(field.default)
            rows.setdefault(variable, (default, [], field.description or ""))[1].append(where)
    lines = ["| variable | default | read by | what it does |", "|---|---|---|---|"]
    for variable, (default, where, description) in rows.items():
        readers = ", ".join(dict.fromkeys("every service" if name == "core" else name for name in where))
        lines.append(f"| `{variable}` | {default} | {readers} | {description.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _reader(module: str) -> str:
    """The service that has the settings, and the backend where they are a backend's own."""
    path, _, backend = module.partition(".backends.")
    parts = [part for part in path.split(".")[1:] if part != "settings"]
    return ".".join([*parts, *backend.split(".")[:1]] if backend else parts)


def _show(default: object) -> str:
    if default is None or str(default) == "":
        return ""
    return f"`{json.dumps(default)}`" if isinstance(default, bool | list | dict) else f"`{default}`"


def main() -> None:
    before, rest = README.read_text().split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}{table()}{END}{after}")


if __name__ == "__main__":
    main()
