"""openvino-genai in this process, from a GGUF file or an OpenVINO folder."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from subprocess import PIPE

import numpy as np
import openvino as ov
import openvino_genai as genai

from services.core.errors import ContextLengthExceeded, ServiceError
from services.core.wire.chat import FinishReason
from services.generation import template
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.convert import DONE
from services.generation.cpu import usable_cpus
from services.generation.entry import ModelEntry
from services.generation.files import converted, locate
from services.generation.loading import Loader, Report, in_thread
from services.generation.openvino_batch import POLL_SECONDS, Batch, scheduler
from services.generation.pieces import pieces
from services.generation.settings import EmbeddedSettings
from services.generation.text import Detokenizer, StopScanner

DISTRIBUTION = "openvino-genai"
# no seed: its sampler has one for all requests; no logprobs: it knows the chosen token's only
CAPABILITIES = Capabilities(
    embedded=True, continuation=True, switch=True, effort=True, grammar=True, distribution=DISTRIBUTION
)

PROBE = "a " * 40_000
"""Longer than the length at which tokenizers made from GGUF files silently cut (8,192 tokens)."""


@dataclass(frozen=True, slots=True)
class Model:
    """What is loaded. `context` bounds prompt and answer together; longer texts lose what is past
    `truncates_at` tokens in the tokenizer."""

    batch: Batch
    tokenizer: genai.Tokenizer
    config: genai.GenerationConfig
    context: int
    truncates_at: int


class OpenVinoEngine:
    """One model. Loads in the background from the moment it is made."""

    capabilities = CAPABILITIES

    def __init__(self, entry: ModelEntry, settings: EmbeddedSettings) -> None:
        self._entry = entry
        self._settings = settings
        self._loader = Loader(f"model {entry.name} on openvino", self._load)
        self._loader.start()

    @property
    def idle(self) -> bool:
        """Whether the engine computes nothing."""
        model = self._loader.value
        return model is None or model.batch.idle

    async def ready(self) -> None:
        await self._loader.ready()

    async def close(self) -> None:
        model = await self._loader.close()
        if model is not None:
            await model.batch.close()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        model = await self._loader.get()
        tokens = await in_thread(lambda: _encode(model, prompt), "encode")
        size = int(tokens.shape[1])
        if size >= model.context:
            raise ContextLengthExceeded(
                f"the prompt has {size} tokens, model {self._entry.name} takes {model.context} with the "
                "answer: send fewer or shorter passages or messages",
                service="openvino",
            )
        config = _config(model.config, prompt, min(prompt.max_tokens, model.context - size))
        handle = await model.batch.add(tokens, config)
        try:
            async for delta in _read(model, handle, prompt.stop, size):
                yield delta
        finally:
            handle.cancel()

    async def _load(self, report: Report) -> Model:
        root = self._settings.root
        path = await in_thread(lambda: locate(self._entry, root, report), "fetch")
        if path.is_file():
            folder = converted(path, root, version(DISTRIBUTION))
            if not (folder / DONE).exists():
                report(f"converting {path.name} for openvino (once, about a minute) ...")
                await _convert(path, folder)
                report("")
            path = folder
        return await in_thread(lambda: self._open(path), "load")

    def _open(self, folder: Path) -> Model:
        context = min(self._entry.max_context, _trained_context(folder) or self._entry.max_context)
        threads = self._settings.threads or usable_cpus()
        tokenizer = genai.Tokenizer(str(folder))
        pipeline = genai.ContinuousBatchingPipeline(
            str(folder),
            tokenizer,
            scheduler(context, self._settings.concurrency),
            "CPU",
            INFERENCE_NUM_THREADS=threads,
        )
        config = pipeline.get_config()
        end = tokenizer.get_eos_token_id()
        if end >= 0 and config.eos_token_id < 0:
            config.set_eos_token_id(end)
        # the first inference allocates and compiles; the first user should not wait for that
        warm = pipeline.get_config()
        warm.max_new_tokens, warm.do_sample, warm.apply_chat_template = 2, False, False
        pipeline.generate([tokenizer.encode("warm").input_ids], [warm])
        truncates_at = int(_tokens(tokenizer, PROBE).shape[1])
        return Model(Batch(pipeline, max(end, 0)), tokenizer, config, context, truncates_at)


def _encode(model: Model, prompt: Prompt) -> ov.Tensor:
    """The prompt by the model's own chat template and what the turn begins with, as token ids of shape
    (1, n), never truncated."""
    messages = [{"role": role, "content": text} for role, text in prompt.messages]
    apply = model.tokenizer.apply_chat_template
    text = apply(messages, add_generation_prompt=True, extra_context=template.options(prompt)) + prompt.prefix
    tokens = _tokens(model.tokenizer, text)
    if tokens.shape[1] < model.truncates_at:
        return tokens
    parts = [_tokens(model.tokenizer, part).data for part in pieces(text)]
    return ov.Tensor(np.concatenate(parts, axis=1))


def _tokens(tokenizer: genai.Tokenizer, text: str) -> ov.Tensor:
    return tokenizer.encode(text, add_special_tokens=False).input_ids


async def _read(
    model: Model, handle: genai.GenerationHandle, stops: Sequence[str], prompt_tokens: int
) -> AsyncGenerator[Delta]:
    """The answer as it comes; ends after the delta with the finish reason."""
    text = Detokenizer(lambda tokens: str(model.tokenizer.decode(list(tokens))))
    scanner = StopScanner(stops)
    count = 0
    while True:
        outputs = []
        while handle.can_read():
            outputs.extend(handle.read().values())
        tokens = [token for output in outputs for token in output.generated_ids]
        count += len(tokens)
        reason = _reason(handle, outputs)
        piece = scanner.push(text.push(tokens) + (text.flush() if reason else ""))
        counts = TokenCounts(prompt_tokens, count)
        if scanner.stopped:
            yield Delta(content=piece, finish_reason="stop", tokens=counts)
            return
        if reason:
            yield Delta(content=piece + scanner.flush(), finish_reason=reason, tokens=counts)
            return
        if piece:
            yield Delta(content=piece)
        model.batch.check(handle)
        await asyncio.sleep(POLL_SECONDS)


def _reason(handle: genai.GenerationHandle, outputs: Sequence[genai.GenerationOutput]) -> FinishReason | None:
    """Why the engine ended, None while it goes on. Raises `ServiceError` where it gave up."""
    status = genai.GenerationStatus
    reasons = genai.GenerationFinishReason
    known: dict[object, FinishReason] = {reasons.STOP: "stop", reasons.LENGTH: "length"}
    for output in outputs:
        if output.finish_reason in known:
            return known[output.finish_reason]
    if handle.get_status() in {status.RUNNING, status.FINISHED} or handle.can_read():
        return None
    raise ServiceError(
        f"openvino ended a generation as {handle.get_status().name}: its cache is too small, "
        "lower LLM_CONCURRENCY or LLM_MAX_CONTEXT",
        service="openvino",
    )


def _config(base: genai.GenerationConfig, prompt: Prompt, limit: int) -> genai.GenerationConfig:
    config = genai.GenerationConfig()
    config.set_eos_token_id(base.eos_token_id)
    config.stop_token_ids = base.stop_token_ids
    config.max_new_tokens = limit
    config.apply_chat_template = False
    config.do_sample = prompt.temperature > 0
    if prompt.temperature > 0:
        config.temperature = prompt.temperature
        config.top_p = prompt.top_p
    return config


def _trained_context(folder: Path) -> int | None:
    try:
        about = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return int(about["context_length"]) if about["context_length"] else None


async def _convert(gguf: Path, folder: Path) -> None:
    command = (sys.executable, "-m", "services.generation.convert", str(gguf), str(folder))
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


async def create(entry: ModelEntry) -> OpenVinoEngine:
    return OpenVinoEngine(entry, EmbeddedSettings.load())
