"""vLLM's server, on any hardware it runs on (Xeon, Gaudi, GPU).

A prompt with a `prefix` goes to `/tokenize` and then to `/v1/completions` as token ids: the model's own
chat template opens the turn and the prefix continues it. vLLM's `continue_final_message` cannot do that
for reasoning models: their templates cut a closed thinking block out of an assistant message (the server
answers 400), and its reasoning parser takes the continued answer for thinking.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.errors import ServiceUnavailable
from services.core.settings import Settings as BaseSettings
from services.generation.backend import Capabilities, Delta, Prompt
from services.generation.chunks import engine_failure
from services.generation.entries import ModelEntry
from services.generation.probe import HELLO, OpeningProbe
from services.generation.server import Server, make_effort_field, make_sampling_fields, make_template_fields

CAPABILITIES = Capabilities(
    seed=True,
    native_reasoning=True,
    native_budget=True,
    continuation=True,
    switch=True,
    effort=True,
    grammar=True,
    logprobs=True,
    bias=True,
    penalties=True,
    tools=True,
)


class Settings(BaseSettings):
    budget: bool = Field(
        False,
        validation_alias="VLLM_THINKING_BUDGET",
        description="vllm: the server takes thinking_token_budget (0.19 or newer, started with "
        "--reasoning-parser and, where that parser names no tags, --reasoning-config)",
    )


class _Served(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str


class _Models(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: list[_Served] = Field(default_factory=list)


class _Tokens(BaseModel):
    model_config = ConfigDict(extra="ignore")

    tokens: list[int]


class _Text(BaseModel):
    """The reply of `/detokenize`."""

    model_config = ConfigDict(extra="ignore")

    prompt: str


class VllmEngine:
    """Generates with one model of one vLLM server."""

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        self.capabilities = replace(CAPABILITIES, native_budget=settings.budget)
        self._entry = entry
        self._server = Server(entry)
        self._probe = OpeningProbe(entry, self._render)

    async def ready(self) -> None:
        """Return when it can serve; raise `ServiceUnavailable` also where it serves other models than the
        entry's."""
        body = await self._server.ready(f"{self._server.version}/models")
        try:
            served = [model.id for model in _Models.model_validate_json(body or b"{}").data]
        except ValidationError as error:
            raise ServiceUnavailable(
                f"{self._server.name} answered with no list of models: correct LLM_ENDPOINT",
                service=self._server.name,
            ) from error
        if served and self._entry.model_id not in served:
            raise ServiceUnavailable(
                f"{self._server.name} serves {', '.join(served)}, not {self._entry.model_id}: "
                "correct LLM_MODEL_ID, or start it with --served-model-name",
                service=self._server.name,
            )
        self.capabilities = await self._probe.look(self.capabilities)

    async def close(self) -> None:
        await self._server.close()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        request = make_sampling_fields(prompt)
        if prompt.prefix:
            request["prompt"] = await self._encode(prompt)
            stream = self._server.complete(request)
        else:
            request |= {"messages": prompt.chat_messages()}
            request |= make_template_fields(prompt) | make_effort_field(prompt)
            if prompt.max_reasoning_tokens is not None and self.capabilities.native_budget:
                request["thinking_token_budget"] = prompt.max_reasoning_tokens
            stream = self._server.chat(request)
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                yield delta

    async def _render(self) -> str:
        """Return what the chat template makes of a greeting."""
        body = await self._server.post(
            "/detokenize", {"model": self._entry.model_id, "tokens": await self._encode(HELLO)}
        )
        try:
            return _Text.model_validate_json(body).prompt
        except ValidationError as error:
            raise engine_failure(self._server.name, "answered /detokenize without a text") from error

    async def _encode(self, prompt: Prompt) -> list[int]:
        """Return the token ids of the conversation as its template opens the turn, and of the prefix."""
        conversation = {"messages": prompt.chat_messages(), "add_generation_prompt": True}
        opened = await self._tokenize(conversation | make_template_fields(prompt))
        if not prompt.prefix:
            return opened
        return opened + await self._tokenize({"prompt": prompt.prefix, "add_special_tokens": False})

    async def _tokenize(self, request: dict[str, object]) -> list[int]:
        body = await self._server.post("/tokenize", {"model": self._entry.model_id, **request})
        try:
            return _Tokens.model_validate(orjson.loads(body)).tokens
        except (orjson.JSONDecodeError, ValidationError) as error:
            raise engine_failure(self._server.name, "answered /tokenize without tokens") from error


async def create(entry: ModelEntry) -> VllmEngine:
    """Make an engine for the entry, with the settings of the environment."""
    return VllmEngine(entry, Settings.load())
