"""The `openvino` engine: generations of one model, each read from the batch that they share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from importlib.metadata import version

import openvino_genai as genai

from services.core.errors import ContextLengthExceeded, ServiceError
from services.core.wire.chat import FinishReason
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.backends.openvino.batch import POLL_SECONDS
from services.generation.backends.openvino.model import (
    DONE,
    Model,
    convert_in_child,
    converted_folder,
    encode,
    open_model,
)
from services.generation.entries import ModelEntry
from services.generation.loading import Loader, Report, locate_model
from services.generation.settings import EmbeddedSettings
from services.generation.text import Detokenizer, StopScanner
from services.generation.threads import run_in_thread

DISTRIBUTION = "openvino-genai"
# no seed: its sampler has one for all requests; no logprobs: it knows the chosen token's only
CAPABILITIES = Capabilities(
    embedded=True, continuation=True, switch=True, effort=True, grammar=True, distribution=DISTRIBUTION
)


class OpenVinoEngine:
    """Generates with one model, which loads in the background from the moment the engine is made."""

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
        tokens = await run_in_thread(lambda: encode(model, prompt), "encode")
        size = int(tokens.shape[1])
        if size >= model.context:
            raise ContextLengthExceeded(
                f"the prompt has {size} tokens, model {self._entry.name} takes {model.context} with the "
                "answer: send fewer or shorter passages or messages",
                service="openvino",
            )
        config = _generation_config(model.config, prompt, min(prompt.max_tokens, model.context - size))
        handle = await model.batch.add(tokens, config)
        try:
            async for delta in _read(model, handle, prompt.stop, size):
                yield delta
        finally:
            handle.cancel()

    async def _load(self, report: Report) -> Model:
        settings, entry = self._settings, self._entry
        path = await run_in_thread(lambda: locate_model(entry, settings.root, report), "fetch")
        if path.is_file():
            folder = converted_folder(path, settings.root, version(DISTRIBUTION))
            if not (folder / DONE).exists():
                report(f"converting {path.name} for openvino (once, about a minute) ...")
                await convert_in_child(path, folder)
                report("")
            path = folder
        return await run_in_thread(
            lambda: open_model(
                path,
                max_context=entry.max_context,
                threads=settings.thread_count,
                concurrency=settings.concurrency,
            ),
            "load",
        )


async def _read(
    model: Model, handle: genai.GenerationHandle, stops: Sequence[str], prompt_tokens: int
) -> AsyncGenerator[Delta]:
    """Yield the answer as it comes; ends after the delta with the finish reason."""
    text = Detokenizer(lambda tokens: str(model.tokenizer.decode(list(tokens))))
    scanner = StopScanner(stops)
    count = 0
    while True:
        outputs = []
        while handle.can_read():
            outputs.extend(handle.read().values())
        tokens = [token for output in outputs for token in output.generated_ids]
        count += len(tokens)
        reason = _finish_reason(handle, outputs)
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


def _finish_reason(
    handle: genai.GenerationHandle, outputs: Sequence[genai.GenerationOutput]
) -> FinishReason | None:
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


def _generation_config(base: genai.GenerationConfig, prompt: Prompt, limit: int) -> genai.GenerationConfig:
    """The model's own ends with the prompt's sampling."""
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


async def create(entry: ModelEntry) -> OpenVinoEngine:
    """Make an engine for the entry, with the settings of the environment."""
    return OpenVinoEngine(entry, EmbeddedSettings.load())
