"""A model's folder in OpenVINO's form: converted once from a GGUF file, by a process of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from subprocess import PIPE

from services.core.children import build_command
from services.core.errors import ServiceError

DONE = "ragline.json"
"""Written last: a folder with this file is whole. `{"context_length": tokens or null, "source": path}`."""


def find_converted_folder(gguf: Path, home: Path, engine_version: str) -> Path:
    """Name the folder of the OpenVINO model made from this file by this engine version."""
    status = gguf.stat()
    key = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} {engine_version}".encode()).hexdigest()[:12]
    return home / "models" / "openvino" / f"{gguf.stem}-{key}"


async def convert_in_child(gguf: Path, folder: Path) -> None:
    """Make `folder` from `gguf` by the module `convert` in a child process.

    Raises:
        ServiceError: The child failed; the message has its last line.
    """
    command = build_command("services.generation.backends.openvino.convert", str(gguf), str(folder))
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
    try:
        _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise ServiceError(f"converting {gguf.name} failed: {lines[-1]}", service="openvino")


def read_trained_context(folder: Path) -> int | None:
    """Read the longest context that the model was trained for; None where the folder does not say."""
    try:
        about = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return int(about["context_length"]) if about["context_length"] else None
