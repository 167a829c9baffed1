"""Text Generation Inference, on Xeon or Gaudi: its OpenAI route, or its native `/generate_stream`.

Thinking comes as `<think>` text on both. The native route takes plain text, so the chat template is
applied by TGI itself (`/chat_tokenize`, TGI 2.3 or newer); it is also what continues a `prefix`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.core.settings import Settings as BaseSettings
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.chunks import Step, engine_failure
from services.generation.endings import read_finish_reason
from services.generation.entries import ModelEntry
from services.generation.probe import HELLO, OpeningProbe
from services.generation.server import Server, make_sampling_fields
from services.generation.text import StopScanner

CAPABILITIES = Capabilities(seed=True, continuation=True, logprobs=True)


class Settings(BaseSettings):
    route: Literal["openai", "native"] = Field(
        "openai",
        validation_alias="LLM_TGI_ROUTE",
        description="tgi: openai (/v1/chat/completions) or native (/generate_stream after /chat_tokenize)",
    )


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Token(_Wire):
    text: str = ""
    special: bool = False


class _Details(_Wire):
    finish_reason: str
    generated_tokens: int
    input_length: int | None = None

    @property
    def counts(self) -> TokenCounts | None:
        """None where the server is too old to say how long the prompt was."""
        if self.input_length is None:
            return None
        return TokenCounts(self.input_length, self.generated_tokens)


class _Step(Step):
    """One event of `/generate_stream`; the last one has `details`."""

    token: _Token | None = None
    details: _Details | None = None


class _SimpleToken(_Wire):
    id: int
    text: str = ""


class _Templated(_Wire):
    tokenize_response: list[_SimpleToken]
    templated_text: str


_TOKENS = TypeAdapter(list[_SimpleToken])


class TgiEngine:
    """Generates with the model of one TGI server."""

    def __init__(self, entry: ModelEntry, settings: Settings) -> None:
        self.capabilities = CAPABILITIES
        self._probe = OpeningProbe(entry, lambda: self._render(HELLO))
        self._entry = entry
        self._native = settings.route == "native"
        self._server = Server(entry)
        self._name = self._server.name
        self._added: set[int] | None = None

    async def ready(self) -> None:
        """Ask `/health`, which is 503 while the model loads, and runs a short generation after that."""
        await self._server.ready("/health")
        self.capabilities = await self._probe.look(self.capabilities)

    async def close(self) -> None:
        await self._server.close()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        stream = self._generate_natively(prompt) if self._native or prompt.prefix else self._chat(prompt)
        # TGI ends its text with the stop string, OpenAI's contract ends it before
        scanner = StopScanner(prompt.stop)
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                text = scanner.push(delta.content) + (scanner.flush() if delta.finish_reason else "")
                if text or delta.reasoning or delta.finish_reason:
                    yield Delta(text, delta.reasoning, delta.finish_reason, delta.tokens)

    def _chat(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        request = make_sampling_fields(prompt) | {"messages": prompt.chat_messages()}
        if not prompt.temperature or prompt.top_p >= 1:
            del request["top_p"]  # TGI refuses 1, and samples where top_p is there though T is 0
        if prompt.seed is not None:
            request["seed"] = prompt.seed % 2**63
        return self._server.chat(request)

    async def _generate_natively(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        text = await self._render(prompt) + prompt.prefix
        request = {"inputs": text, "parameters": _make_parameters(prompt)}
        async with aclosing(self._server.events("/generate_stream", request)) as events:
            async for event in events:
                step = _Step.read(event.data, self._name)
                text = step.token.text if step.token and not step.token.special else ""
                details = step.details
                if details is None:
                    yield Delta(text)
                    continue
                reason = read_finish_reason(details.finish_reason, self._name)
                yield Delta(text, finish_reason=reason, tokens=details.counts)
                return
        raise engine_failure(self._name, "ended its stream without a finish reason: it may have been stopped")

    async def _render(self, prompt: Prompt) -> str:
        """Return the conversation as its chat template opens the turn, for `/generate_stream`.

        That route puts the tokenizer's special tokens (a BOS) before what it is given: a template's own
        BOS has to go.
        """
        request = {"model": self._entry.model_id, "messages": prompt.chat_messages()}
        body = await self._server.post("/chat_tokenize", request)
        try:
            templated = _Templated.model_validate_json(body)
        except ValidationError as error:
            raise engine_failure(self._name, "answered /chat_tokenize without a templated text") from error
        text, tokens = templated.templated_text, templated.tokenize_response
        if tokens and tokens[0].text and tokens[0].id in await self._find_added_tokens():
            return text.removeprefix(tokens[0].text)
        return text

    async def _find_added_tokens(self) -> set[int]:
        """Find the ids that the tokenizer puts around a text by itself: they stand for no part of it."""
        if self._added is None:
            body = await self._server.post("/tokenize", {"inputs": "a"})
            try:
                self._added = {token.id for token in _TOKENS.validate_json(body) if not token.text}
            except ValidationError as error:
                raise engine_failure(self._name, "answered /tokenize without tokens") from error
        return self._added


def _make_parameters(prompt: Prompt) -> dict[str, object]:
    """Write TGI's sampling: only a temperature above 0 and a top_p below 1 are values to it."""
    parameters: dict[str, object] = {
        "max_new_tokens": prompt.max_tokens,
        "do_sample": prompt.temperature > 0,
        "details": True,
        "return_full_text": False,
        "stop": list(prompt.stop),
    }
    if prompt.temperature > 0:
        parameters["temperature"] = prompt.temperature
        if prompt.top_p < 1:
            parameters["top_p"] = prompt.top_p
    if prompt.seed is not None:
        parameters["seed"] = prompt.seed % 2**63
    return parameters


async def create(entry: ModelEntry) -> TgiEngine:
    """Make an engine for the entry, with the settings of the environment."""
    return TgiEngine(entry, Settings.load())
