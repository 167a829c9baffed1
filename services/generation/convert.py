"""`python -m services.generation.convert GGUF FOLDER`: an OpenVINO model from a GGUF file, once.

A process of its own, because converting takes minutes of CPU and gigabytes of memory that a service
must not keep, and because its numpy part would hold up the service's event loop.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from filelock import FileLock

from services.generation.quantize import context_length, refused, requantize

DONE = "ragline.json"
"""Written last: a folder with this file is whole. `{"context_length": tokens or null, "source": path}`."""


def convert(source: Path, folder: Path) -> None:
    """Make `folder`, atomically; waits where another process is making it and then does nothing."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if (folder / DONE).exists():
            return
        staging = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            _build(source, staging)
            shutil.rmtree(folder, ignore_errors=True)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _forget_older(folder)


def _build(source: Path, staging: Path) -> None:
    import openvino_genai as genai  # noqa: PLC0415 - costs memory that the caller of `convert.DONE` need not pay

    gguf = staging / "model.gguf"
    if refused(source):
        requantize(source, gguf)
    else:
        gguf.symlink_to(source.resolve())
    tokenizer = genai.Tokenizer(str(gguf), enable_save_ov_model=True)
    genai.ContinuousBatchingPipeline(
        str(gguf), tokenizer, genai.SchedulerConfig(), "CPU", enable_save_ov_model=True
    )
    gguf.unlink()
    about = {"context_length": context_length(source), "source": str(source.resolve())}
    (staging / DONE).write_text(json.dumps(about), encoding="utf-8")


def _forget_older(folder: Path) -> None:
    """The same file converted by another engine version, or before it changed, is of no use any more."""
    source = _source(folder)
    for other in folder.parent.iterdir():
        if other != folder and _source(other) == source:
            shutil.rmtree(other, ignore_errors=True)


def _source(folder: Path) -> object:
    try:
        return json.loads((folder / DONE).read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, KeyError):
        return None


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
