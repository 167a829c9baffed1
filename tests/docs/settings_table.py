"""The tables of docs/settings.md and the chart's settings.txt, made from the settings classes; running this writes them."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import services
from services.core.settings import Settings
from services.generation.reasoning.profiles import PROFILES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "settings.md"
CHART_LINES = ROOT / "kubernetes" / "ragline" / "settings.txt"
"""What the chart knows of settings and reasoning profiles, to refuse misspelt ones: a line each, with who reads it."""
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


FIRST = (
    "LLM_BACKEND",
    "LLM_ENGINE",
    "LLM_ENDPOINT",
    "LLM_MODEL_ID",
    "RAGLINE_HOME",
    "GATEWAY_PORT",
    "HOST",
    "VECTOR_URL",
    "RERANKING_TOP_N",
    "RELEVANCE_FLOOR",
)
"""What people set first."""

HEADINGS = {"cli": "The command line", "core": "Every service, and what several share"}


@dataclass(frozen=True)
class Row:
    """One variable: its default, where it is read, and what it does, in Markdown."""

    default: str
    readers: list[str]
    description: str

    def render(self, variable: str) -> str:
        readers = ", ".join(
            dict.fromkeys("every service" if name == "core" else name for name in self.readers)
        )
        return (
            f"| `{variable}` | {self.default} | {readers} | {self.description.replace('|', chr(92) + '|')} |"
        )


def collect_rows() -> dict[str, Row]:
    """Collect the variables in the order of their services, each once, under the class that declares it first."""
    rows: dict[str, Row] = {}
    for kind in settings_classes():
        own = set(kind.__annotations__)
        for name, field in kind.model_fields.items():
            if name not in own:
                continue
            default = "" if field.is_required() else _show(field.default)
            row = rows.setdefault(str(field.validation_alias), Row(default, [], field.description or ""))
            row.readers.append(_reader(kind.__module__))
    return rows


def render_tables() -> str:
    """Render a table of the first ten, then one for each service."""
    rows = collect_rows()
    parts = ["## The ten that people set first", "", *_render_table({name: rows[name] for name in FIRST})]
    for service in ORDER:
        own = {name: row for name, row in rows.items() if row.readers[0].split(".")[0] == service}
        parts += ["", f"## {HEADINGS.get(service, service.capitalize())}", "", *_render_table(own)]
    return "\n".join(parts) + "\n"


def _render_table(rows: dict[str, Row]) -> list[str]:
    head = ["| variable | default | read by | what it does |", "|---|---|---|---|"]
    return head + [row.render(variable) for variable, row in rows.items()]


def _reader(module: str) -> str:
    """The service that has the settings, and the backend where they are a backend's own."""
    path, _, backend = module.partition(".backends.")
    parts = [part for part in path.split(".")[1:] if part != "settings"]
    return ".".join([*parts, *backend.split(".")[:1]] if backend else parts)


def _show(default: object) -> str:
    if default is None or str(default) == "":
        return ""
    return f"`{json.dumps(default)}`" if isinstance(default, bool | list | dict) else f"`{default}`"


def render_chart_lines() -> str:
    """Render a line for each variable with the services that read it, `all` where every service does."""
    lines = []
    for variable, row in sorted(collect_rows().items()):
        services_named = {reader.split(".")[0] for reader in row.readers}
        readers = ["all"] if services_named & {"core", "cli"} else sorted(services_named)
        lines.append(f"{variable} {','.join(readers)}")
    page_of_opea = PAGE.read_text().split(BEGIN)[0]
    for cell in re.findall(r"^\| `[A-Z_]+` \|(.*)\|$", page_of_opea, re.MULTILINE):
        lines += [f"{name} all" for name in re.findall(r"`([A-Z]+_[A-Z_]+)`", cell)]
    lines += [f"profile:{name} generation" for name in PROFILES]
    return "\n".join(sorted(set(lines))) + "\n"


def main() -> None:
    CHART_LINES.write_text(render_chart_lines())
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{render_tables()}{END}{after}")


if __name__ == "__main__":
    main()
