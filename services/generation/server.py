"""The HTTP client of every engine that is a server: its address, its key, and what its refusals mean here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import structlog

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
from services.core.sse import Event
from services.generation.backend import Delta, Prompt
from services.generation.chunks import DONE, ChunkReader, engine_failure, is_too_long, split_event
from services.generation.entries import ModelEntry
from services.generation.task import profile_of

Request = Mapping[str, object]

LAST_SECONDS = 2.0
"""How long a stream may be silent after its finish reason, where its token counts come; at most half of what
the entry may be silent between two tokens."""

log = structlog.get_logger(__name__)


class Server:
    """One model of one server. It holds a connection pool; closing a stream closes its connection."""

    def __init__(self, entry: ModelEntry) -> None:
        self._model_id = entry.model_id
        self._entry, self._profile = entry, profile_of(entry)
        self._last_seconds = min(LAST_SECONDS, (entry.between_tokens_seconds or LAST_SECONDS) / 2)
        self.name = entry.engine
        base, self.version = _split_endpoint(entry.endpoint)
        headers = {"authorization": f"Bearer {entry.api_key}"} if entry.api_key else {}
        self._http = HttpClient(self.name, base, headers=headers)

    async def ready(self, path: str) -> bytes:
        """Ask the server at `path` whether it can serve.

        Returns:
            What it says; empty where it has no such route and answers all the same.

        Raises:
            ServiceUnavailable: It cannot serve; the message says why.
        """
        try:
            return await self._http.get(path)
        except NotFound:
            return b""
        except RaglineError as error:
            message = self._translate(error, path).message
            raise ServiceUnavailable(message, service=self.name) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def post(self, path: str, request: Request) -> bytes:
        """Send a request and return the body of its reply. Raises what a refusal means to our caller."""
        try:
            return await self._http.post(path, request, idempotent=True)
        except RaglineError as error:
            raise self._translate(error, path) from error

    async def events(self, path: str, request: Request) -> AsyncGenerator[Event]:
        """Yield the events of a streamed reply; it raises the same errors as `post`."""
        # asking twice changes nothing; llama-server closes a connection after each stream and does not say so
        async with aclosing(self._http.stream(path, request, idempotent=True)) as events:
            try:
                async for event in events:
                    yield event
            except RaglineError as error:
                raise self._translate(error, path) from error

    async def chat(self, request: Request) -> AsyncGenerator[Delta]:
        """Stream OpenAI's `/chat/completions`; it ends after the delta with the finish reason."""
        async with aclosing(self._read_deltas(f"{self.version}/chat/completions", request)) as deltas:
            async for delta in deltas:
                yield delta

    async def complete(self, request: Request) -> AsyncGenerator[Delta]:
        """Stream OpenAI's `/completions`: raw text, no chat template, no reasoning parser."""
        async with aclosing(self._read_deltas(f"{self.version}/completions", request)) as deltas:
            async for delta in deltas:
                yield delta

    async def _read_deltas(self, path: str, request: Request) -> AsyncGenerator[Delta]:
        chunks = ChunkReader(self.name)
        async with aclosing(self.events(path, self._write_request(request))) as events:
            while True:
                try:
                    async with asyncio.timeout(self._last_seconds if chunks.finished else None):
                        event = await anext(events, None)
                    parts = [] if event is None else split_event(event.data)
                    is_done = event is None or DONE in (part.strip() for part in parts)
                    deltas = [chunks.read(part) for part in parts if part.strip() != DONE]
                except (RaglineError, TimeoutError) as error:
                    if not chunks.finished:
                        raise
                    # the answer is complete: what comes after it may only count its tokens
                    log.warning("stream ended oddly after its answer", engine=self.name, reason=str(error))
                    break
                for delta in deltas:
                    if delta.has_output:
                        yield delta
                if is_done:
                    break
        limit = None if "max_tokens" in self._profile.dropped else request.get("max_tokens")
        yield chunks.end(limit if isinstance(limit, int) else None)

    def _write_request(self, request: Request) -> Request:
        """Write a request in the server's dialect: the profile's, then the entry's own."""
        profile, renamed = self._profile, dict(self._profile.renamed)
        own = {
            renamed.get(name, name): value for name, value in request.items() if name not in profile.dropped
        }
        return {"model": self._model_id, **own, **self._entry.request.add}

    def _translate(self, error: RaglineError, path: str) -> RaglineError:
        """Say what the server's refusal means to our caller, who chose neither its key nor its model id."""
        if isinstance(error, RateLimited | ContextLengthExceeded):
            return error
        if isinstance(error, Unauthorized) or error.upstream_status == 403:
            return engine_failure(self.name, "refused our key: correct LLM_API_KEY (api_key)")
        if isinstance(error, NotFound):
            return engine_failure(
                self.name,
                f"has no model {self._model_id!r}, or no route {path}: "
                f"correct LLM_MODEL_ID or LLM_ENDPOINT ({error.message})",
            )
        # a 502 is also what the client makes of an `error` event inside a stream
        asked_too_much = isinstance(error, InvalidRequest) or type(error) is ServiceError
        if asked_too_much and is_too_long(error.message):
            return ContextLengthExceeded(error.message, service=self.name)
        if not isinstance(error, ServiceError | InvalidRequest):
            return ServiceError(error.message, service=self.name)
        return error


def make_sampling_fields(prompt: Prompt) -> dict[str, object]:
    """Write the sampling as OpenAI's two completion routes take it, and ask for a stream with usage."""
    fields: dict[str, object] = {
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if prompt.seed is not None:
        fields["seed"] = prompt.seed
    if prompt.stop:
        fields["stop"] = list(prompt.stop)
    return fields | prompt.features.wanted()


def make_template_fields(prompt: Prompt) -> dict[str, object]:
    """Write what the request says to the model's chat template, for a server that passes it on."""
    options = prompt.template_options()
    return {"chat_template_kwargs": options} if options else {}


def make_effort_field(prompt: Prompt) -> dict[str, object]:
    """Write OpenAI's field for how hard the model shall think."""
    return {"reasoning_effort": prompt.effort} if prompt.effort else {}


def _split_endpoint(endpoint: str) -> tuple[str, str]:
    """Split base and version prefix: `http://x/v3/` (OVMS) stays v3, a URL without one gets `/v1`."""
    base = endpoint.rstrip("/").removesuffix("/chat/completions")
    match = re.search(r"/v\d+$", base)
    return (base[: match.start()], match.group()) if match else (base, "/v1")
