"""An OpenVINO model: its folder, converted once from a GGUF file; the open pipeline; its tokens."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import numpy as np
import openvino as ov
import openvino_genai as genai

from services.core.errors import ServiceError
from services.generation.backend import Prompt
from services.generation.backends.openvino.batch import Batch, scheduler

DONE = "ragline.json"
"""Written last: a folder with this file is whole. `{"context_length": tokens or null, "source": path}`."""

PROBE = "a " * 40_000
"""Longer than the length at which tokenizers made from GGUF files silently cut (8,192 tokens)."""

PIECE = 2000
"""Characters: at most four bytes each, so never more than 8,000 tokens."""

_BOUNDARY = re.compile(r"(?<=[^\s<|])(?= [^\W\d_])")
"""Between a word and the space before the next: byte-pair tokenizers never join across it."""

MARKUP = 64


@dataclass(frozen=True, slots=True)
class Model:
    """An open model. `context` bounds prompt and answer together; longer texts lose what is past
    `truncates_at` tokens in the tokenizer."""

    batch: Batch
    tokenizer: genai.Tokenizer
    config: genai.GenerationConfig
    context: int
    truncates_at: int


def converted_folder(gguf: Path, home: Path, engine_version: str) -> Path:
    """The folder of the OpenVINO model made from this file by this engine version."""
    status = gguf.stat()
    key = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} {engine_version}".encode()).hexdigest()[:12]
    return home / "models" / "openvino" / f"{gguf.stem}-{key}"


async def convert_in_child(gguf: Path, folder: Path) -> None:
    """Make `folder` from `gguf` by the module `convert` in a child process.

    Raises:
        ServiceError: The child failed; the message has its last line.
    """
    command = (sys.executable, "-m", "services.generation.backends.openvino.convert", str(gguf), str(folder))
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


def open_model(folder: Path, *, max_context: int, threads: int, concurrency: int) -> Model:
    """Open the model in `folder` and warm it up; blocks for as long as that takes.

    Args:
        folder: An OpenVINO model, converted here or elsewhere.
        max_context: Tokens of prompt and answer together; the model's own limit bounds it.
        threads: How many threads compute.
        concurrency: How many requests the engine works on at once.
    """
    context = min(max_context, _trained_context(folder) or max_context)
    tokenizer = genai.Tokenizer(str(folder))
    pipeline = genai.ContinuousBatchingPipeline(
        str(folder), tokenizer, scheduler(context, concurrency), "CPU", INFERENCE_NUM_THREADS=threads
    )
    config = pipeline.get_config()
    end = tokenizer.get_eos_token_id()
    if end >= 0 and config.eos_token_id < 0:
        config.set_eos_token_id(end)
    # the first inference allocates and compiles; the first user should not wait for that
    warm = pipeline.get_config()
    warm.max_new_tokens, warm.do_sample, warm.apply_chat_template = 2, False, False
    pipeline.generate([tokenizer.encode("warm").input_ids], [warm])
    truncates_at = int(_tokenize(tokenizer, PROBE).shape[1])
    return Model(Batch(pipeline, max(end, 0)), tokenizer, config, context, truncates_at)


def encode(model: Model, prompt: Prompt) -> ov.Tensor:
    """The prompt by the model's own chat template and what the turn begins with, as token ids of shape
    (1, n), never truncated."""
    opened = model.tokenizer.apply_chat_template(
        prompt.chat_messages(), add_generation_prompt=True, extra_context=prompt.template_options()
    )
    text = opened + prompt.prefix
    tokens = _tokenize(model.tokenizer, text)
    if tokens.shape[1] < model.truncates_at:
        return tokens
    parts = [_tokenize(model.tokenizer, part).data for part in split_text(text)]
    return ov.Tensor(np.concatenate(parts, axis=1))


def split_text(text: str, size: int = PIECE) -> list[str]:
    """Cut `text` into parts of at most `size` characters whose tokens, joined, are the text's.

    The cuts are where a byte-pair tokenizer cuts anyway. Where a part has no such boundary, the cut is
    anywhere but inside a `<|marker|>`. Pure.
    """
    parts = []
    while len(text) > size:
        cuts = [match.start() for match in _BOUNDARY.finditer(text, 1, size)]
        cut = cuts[-1] if cuts else size
        marker = text.rfind("<", max(1, cut - MARKUP), cut)
        if not cuts and marker > 0:
            cut = marker
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


def _tokenize(tokenizer: genai.Tokenizer, text: str) -> ov.Tensor:
    return tokenizer.encode(text, add_special_tokens=False).input_ids


def _trained_context(folder: Path) -> int | None:
    """The longest context that the model was trained for; None where the folder does not say."""
    try:
        about = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return int(about["context_length"]) if about["context_length"] else None
