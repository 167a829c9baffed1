"""llama.cpp's own HTTP server (`llama-server`), on this machine or another.

A prompt with a `prefix` goes to `/apply-template` and then to `/v1/completions` as text, because the
chat route refuses an assistant's beginning where the template can think.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from pydantic import BaseModel, ConfigDict, ValidationError

from services.generation.backend import Capabilities, Delta, Prompt
from services.generation.chunks import engine_failure
from services.generation.entries import ModelEntry
from services.generation.probe import HELLO, OpeningProbe
from services.generation.server import Server, make_sampling_fields, make_template_fields

CAPABILITIES = Capabilities(
    seed=True,
    native_reasoning=True,
    continuation=True,
    switch=True,
    effort=True,
    grammar=True,
    logprobs=True,
    bias=True,
    penalties=True,
    tools=True,
)


class RenderedPrompt(BaseModel):
    """The reply of `/apply-template`."""

    model_config = ConfigDict(extra="ignore")

    prompt: str


class LlamaServerEngine:
    """Generates with the model of one llama-server."""

    def __init__(self, entry: ModelEntry) -> None:
        self.capabilities = CAPABILITIES
        self._server = Server(entry)
        self._probe = OpeningProbe(entry, lambda: self._render(make_conversation(HELLO)))

    async def ready(self) -> None:
        """Ask `/health`, which is 503 while the model loads."""
        await self._server.ready("/health")
        self.capabilities = await self._probe.look(self.capabilities)

    async def close(self) -> None:
        await self._server.close()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        request = make_sampling_fields(prompt) | make_sampler_fields(prompt)
        conversation = make_conversation(prompt)
        if prompt.prefix:
            request["prompt"] = await self._render(conversation) + prompt.prefix
            request |= make_grammar_fields(prompt)
            stream = self._server.complete(request)
        else:
            stream = self._server.chat(request | conversation)
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                yield delta

    async def _render(self, conversation: dict[str, object]) -> str:
        """Return the conversation as its chat template opens the assistant's turn."""
        body = await self._server.post("/apply-template", conversation)
        try:
            return RenderedPrompt.model_validate_json(body).prompt
        except ValidationError as error:
            raise engine_failure(self._server.name, "answered /apply-template without a prompt") from error


def make_conversation(prompt: Prompt) -> dict[str, object]:
    """Write the messages, and what the request says to the chat template."""
    return {"messages": prompt.chat_messages()} | make_template_fields(prompt)


def make_grammar_fields(prompt: Prompt) -> dict[str, object]:
    """Write the form of the answer as llama.cpp takes it beside a raw prompt."""
    schema = prompt.features.json_schema()
    return {} if schema is None else {"json_schema": schema}


def make_sampler_fields(prompt: Prompt) -> dict[str, object]:
    """Write llama.cpp's own fields: without its extra samplers, T and top_p mean what they do elsewhere."""
    fields: dict[str, object] = {"top_k": 0, "min_p": 0.0}
    if prompt.seed is not None:
        # what is left of a cached prompt is computed in other batches, whose last bits differ
        fields |= {"seed": prompt.seed % 2**31, "cache_prompt": False}
    return fields


async def create(entry: ModelEntry) -> LlamaServerEngine:
    """Make an engine for the entry."""
    return LlamaServerEngine(entry)
