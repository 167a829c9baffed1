"""Any server that speaks OpenAI's chat completions: vLLM, OVMS, Ollama, SGLang, TGI, a hosted API."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.core.client import HttpClient
from services.core.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    NotFound,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
    Unauthorized,
)
from services.core.wire.chat import FinishReason
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.entry import ModelEntry

CAPABILITIES = Capabilities(seed=True, native_reasoning=True)
"""What every such server can be asked for; one that can do more has a file of its own."""

REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos_token": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
"""What servers call the same few things; TGI's and older names among them."""

_TOO_LONG = re.compile(
    r"context (length|size|window)|maximum (context|model) len|max_model_len|prompt is too long"
    r"|max_input_length",
    re.IGNORECASE,
)


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Delta(_Wire):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(_Wire):
    delta: _Delta = Field(default_factory=_Delta)
    finish_reason: str | None = None


class _Details(_Wire):
    reasoning_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int
    completion_tokens: int = 0
    completion_tokens_details: _Details | None = None


class _Error(_Wire):
    message: str = ""


class _Chunk(_Wire):
    """A chunk, or the error that vLLM and others send in the place of one."""

    choices: list[_Choice] = Field(default_factory=list)
    usage: _Usage | None = None
    error: _Error | str | None = None
    object: str = ""
    message: str | None = None


class OpenAIEngine:
    """One model of one server. Holds a connection pool; closing a generation closes its connection."""

    capabilities = CAPABILITIES

    def __init__(self, entry: ModelEntry) -> None:
        self._entry = entry
        self._name = entry.engine
        base, self._prefix = _split(entry.endpoint)
        headers = {"authorization": f"Bearer {entry.api_key}"} if entry.api_key else {}
        self._http = HttpClient(self._name, base, headers=headers)

    async def ready(self) -> None:
        try:
            await self._http.get(f"{self._prefix}/models")
        except NotFound:
            return  # it answers; the list of models is not part of every server
        except RaglineError as error:
            raise ServiceUnavailable(self._translated(error).message, service=self._name) from error

    async def close(self) -> None:
        await self._http.aclose()

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        events = self._http.stream(f"{self._prefix}/chat/completions", self._request(prompt))
        reason: FinishReason | None = None
        counts: TokenCounts | None = None
        try:
            async for event in events:
                if event.data == b"[DONE]":
                    break
                chunk = self._chunk(event.data)
                counts = _counts(chunk.usage) or counts
                for choice in chunk.choices[:1]:
                    reasoning = choice.delta.reasoning_content or choice.delta.reasoning or ""
                    content = choice.delta.content or ""
                    reason = self._reason(choice.finish_reason) or reason
                    if content or reasoning:
                        yield Delta(content=content, reasoning=reasoning)
        except RaglineError as error:
            raise self._translated(error) from error
        finally:
            await events.aclose()
        if reason is None:
            raise self._failure("ended its stream without a finish reason: it may have been stopped")
        yield Delta(finish_reason=reason, tokens=counts)

    def _request(self, prompt: Prompt) -> dict[str, object]:
        request: dict[str, object] = {
            "model": self._entry.model_id,
            "messages": [{"role": role, "content": text} for role, text in prompt.messages],
            "max_tokens": prompt.max_tokens,
            "temperature": prompt.temperature,
            "top_p": prompt.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if prompt.seed is not None:
            request["seed"] = prompt.seed
        if prompt.stop:
            request["stop"] = list(prompt.stop)
        return request

    def _chunk(self, data: bytes) -> _Chunk:
        try:
            chunk = _Chunk.model_validate(orjson.loads(data))
        except (orjson.JSONDecodeError, ValidationError) as error:
            raise self._failure(
                f"sent a chunk that is not OpenAI's: {data[:200].decode('utf-8', 'replace')}"
            ) from error
        if chunk.error is not None:
            raise self._failure(chunk.error if isinstance(chunk.error, str) else chunk.error.message)
        if chunk.object == "error":
            raise self._failure(chunk.message or "failed without a message")
        return chunk

    def _reason(self, reason: str | None) -> FinishReason | None:
        """Raises `ServiceError` for a reason that means failure or that nobody knows: not an answer's end."""
        if not reason:
            return None
        if reason not in REASONS:
            raise self._failure(f"broke off with finish_reason {reason!r}")
        return REASONS[reason]

    def _translated(self, error: RaglineError) -> RaglineError:
        """What the server's refusal means to our caller, who chose neither its key nor its model id."""
        if isinstance(error, RateLimited):
            return error
        if isinstance(error, Unauthorized) or " answered 403:" in error.message:
            return self._failure("refused our key: correct LLM_API_KEY (api_key)")
        if isinstance(error, NotFound):
            return self._failure(
                f"has no model {self._entry.model_id!r}, or no route {self._prefix}/chat/completions: "
                f"correct LLM_MODEL_ID or LLM_ENDPOINT ({error.message})"
            )
        if isinstance(error, InvalidRequest) and _TOO_LONG.search(error.message):
            return ContextLengthExceeded(error.message, service=self._name)
        return error

    def _failure(self, what: str) -> ServiceError:
        return ServiceError(f"{self._name} {what}", service=self._name)


def _split(endpoint: str) -> tuple[str, str]:
    """Base and version prefix: `http://x/v3/` (OVMS) stays v3, a URL without one gets `/v1`."""
    base = endpoint.rstrip("/").removesuffix("/chat/completions")
    match = re.search(r"/v\d+$", base)
    return (base[: match.start()], match.group()) if match else (base, "/v1")


def _counts(usage: _Usage | None) -> TokenCounts | None:
    if usage is None:
        return None
    details = usage.completion_tokens_details
    return TokenCounts(
        usage.prompt_tokens, usage.completion_tokens, (details and details.reasoning_tokens) or 0
    )


async def create(entry: ModelEntry) -> OpenAIEngine:
    return OpenAIEngine(entry)
