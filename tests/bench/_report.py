"""How every benchmark reports: a table on the terminal, the same as JSON in build/bench/<name>.json."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

VERSIONS = (
    "ragline",
    "aiohttp",
    "fastapi",
    "uvicorn",
    "openvino-genai",
    "xllamacpp",
    "qdrant-edge-py",
    "pydantic",
)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def machine() -> dict[str, str | int | None]:
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


def report(
    name: str, title: str, rows: Sequence[Mapping[str, str | float]], *, n: int, note: str = ""
) -> None:
    """Print `rows` as a table and write them with machine and versions; column names carry the units."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(columns, *cells, strict=True)]
    print(f"\n{title} (n = {n})")
    for line in [columns, ["-" * width for width in widths], *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    if note:
        print(note)
    target = Path("build/bench") / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "name": name,
        "title": title,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "n": n,
        "note": note,
        "rows": list(rows),
        "machine": machine(),
        "versions": versions(),
    }
    target.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {target}")


def _cell(value: str | float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
