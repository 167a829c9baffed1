"""What decides about a result besides the models: this machine, and the versions of what runs here."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipelines.evaluation.bundle.records import Machine

_DECIDING = (
    "ragline",
    "champ-dataset",
    "numpy",
    "openvino",
    "openvino-genai",
    "openvino-tokenizers",
    "optimum-habana",
    "qdrant-client",
    "qdrant-edge-py",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "xllamacpp",
)


def versions() -> dict[str, str]:
    """Of the installed distributions that decide about a result. A gateway elsewhere may have others."""
    found = {}
    for name in _DECIDING:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def machine() -> Machine:
    """`memory` is 0 where the system does not say."""
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        processor=_processor(),
        cores=_cores(),
        memory=_memory(),
        python=platform.python_version(),
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
