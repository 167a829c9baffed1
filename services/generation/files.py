"""Where an embedded engine's model is on this machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

from services.core.errors import ServiceUnavailable
from services.core.models.catalogue import CATALOGUE
from services.core.models.fetch import Fetcher
from services.core.models.progress import Progress
from services.generation.entry import ModelEntry
from services.generation.loading import Report


def locate(entry: ModelEntry, home: Path, report: Report) -> Path:
    """The entry's GGUF file or OpenVINO folder; blocks while a catalogue model is fetched.

    Raises `ServiceUnavailable` where LLM_MODEL_PATH names nothing, and what `fetch` raises.
    """
    if entry.model_path:
        path = Path(entry.model_path).expanduser()
        if not path.exists():
            raise ServiceUnavailable(f"model path {path} does not exist: correct LLM_MODEL_PATH (model_path)")
        return path
    name = catalogue_name(entry.model_id)
    fetcher = Fetcher(home)

    def show(progress: Progress) -> None:
        share = 100 * progress.done // max(1, progress.total)
        report(f"fetching {name}: {share} % of {progress.total / 1e6:.0f} MB")

    try:
        return fetcher.fetch(name, progress=show)
    finally:
        report("")


def catalogue_name(model_id: str) -> str:
    """The catalogue's name for a hub id: `Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF` without owner and suffix."""
    name = model_id.rsplit("/", 1)[-1].lower().removesuffix("-gguf")
    return name if name in CATALOGUE else model_id


def converted(gguf: Path, home: Path, engine_version: str) -> Path:
    """The folder of the OpenVINO model made from this file by this engine version."""
    status = gguf.stat()
    key = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} {engine_version}".encode()).hexdigest()[:12]
    return home / "models" / "openvino" / f"{gguf.stem}-{key}"
