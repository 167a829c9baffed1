"""Any server that speaks OpenAI's chat completions: OVMS, Ollama, SGLang, LMDeploy, a hosted API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from services.generation.backend import Capabilities, Delta, Prompt
from services.generation.entries import ModelEntry
from services.generation.server import Server, make_effort_field, make_sampling_fields, make_template_fields

CAPABILITIES = Capabilities(
    seed=True,
    native_reasoning=True,
    switch=True,
    effort=True,
    grammar=True,
    logprobs=True,
    bias=True,
    penalties=True,
    tools=True,
)
"""What every such server can be asked for; one that can do more has a backend of its own."""

TEMPLATE_SWITCH = frozenset({"ovms", "sglang"})
"""Servers that document `chat_template_kwargs`; others refuse a field they do not know."""

SWITCHED_BY_EFFORT = frozenset({"ollama"})
"""Servers whose `reasoning_effort` of `none` turns thinking off."""


WITHOUT_BIAS = frozenset({"ollama", "ovms"})
"""Servers that take no notice of `logit_bias`."""


class OpenAIEngine:
    """Generates with one model of one OpenAI-compatible server."""

    def __init__(self, entry: ModelEntry) -> None:
        switched = entry.engine in TEMPLATE_SWITCH | SWITCHED_BY_EFFORT
        self.capabilities = replace(CAPABILITIES, switch=switched, bias=entry.engine not in WITHOUT_BIAS)
        self._engine = entry.engine
        self._server = Server(entry)

    async def ready(self) -> None:
        await self._server.ready(f"{self._server.version}/models")

    async def close(self) -> None:
        await self._server.close()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        request = make_sampling_fields(prompt) | make_effort_field(prompt)
        request["messages"] = prompt.chat_messages()
        if self._engine in TEMPLATE_SWITCH:
            request |= make_template_fields(prompt)
        elif self._engine in SWITCHED_BY_EFFORT and prompt.thinking is False and not prompt.effort:
            request["reasoning_effort"] = "none"
        async with aclosing(self._server.chat(request)) as deltas:
            async for delta in deltas:
                yield delta


async def create(entry: ModelEntry) -> OpenAIEngine:
    """Make an engine for the entry."""
    return OpenAIEngine(entry)
