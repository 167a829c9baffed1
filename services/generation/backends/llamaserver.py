"""llama.cpp's own HTTP server (`llama-server`), on this machine or another.

A prompt with a `prefix` goes to `/apply-template` and then to `/v1/completions` as text, because the
chat route refuses an assistant's beginning where the template can think.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import BaseModel, ConfigDict, ValidationError

from services.generation.backend import Capabilities, Delta, Prompt
from services.generation.chunks import failure
from services.generation.entries import ModelEntry
from services.generation.server import Server, messages, sampled, switch

CAPABILITIES = Capabilities(
    seed=True, native_reasoning=True, continuation=True, switch=True, effort=True, grammar=True, logprobs=True
)


class _Rendered(BaseModel):
    model_config = ConfigDict(extra="ignore")

    prompt: str


class LlamaServerEngine:
    capabilities = CAPABILITIES

    def __init__(self, entry: ModelEntry) -> None:
        self._entry = entry
        self._server = Server(entry)

    async def ready(self) -> None:
        """`/health` is 503 while the model loads."""
        await self._server.ready("/health")

    async def close(self) -> None:
        await self._server.close()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        request = sampled(self._entry.model_id, prompt)
        request |= {"top_k": 0, "min_p": 0.0}  # T and top_p mean what they do elsewhere
        if prompt.seed is not None:
            # what is left of a cached prompt is computed in other batches, whose last bits differ
            request |= {"seed": prompt.seed % 2**31, "cache_prompt": False}
        if prompt.prefix:
            request["prompt"] = await self._opened(prompt) + prompt.prefix
            stream = self._server.complete(request)
        else:
            stream = self._server.chat(request | {"messages": messages(prompt)} | switch(prompt))
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                yield delta

    async def _opened(self, prompt: Prompt) -> str:
        """The conversation as its chat template opens the assistant's turn."""
        body = await self._server.post("/apply-template", {"messages": messages(prompt)} | switch(prompt))
        try:
            return _Rendered.model_validate_json(body).prompt
        except ValidationError as error:
            raise failure(self._server.name, "answered /apply-template without a prompt") from error


async def create(entry: ModelEntry) -> LlamaServerEngine:
    return LlamaServerEngine(entry)
