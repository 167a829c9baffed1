"""A chat completions endpoint, asked a few questions and observed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import aclosing

import orjson
from pydantic import ValidationError

from pipelines.conformance.checks import REFUSALS, Observed, Reply, Stream
from services.core.client import HttpClient
from services.core.context import set_deadline
from services.core.errors import RaglineError
from services.core.wire.chat import Usage

QUESTION = "How many minutes are three hours? Answer in one short sentence."
LONG = "Write a long story about a lighthouse, in many paragraphs."
MOST_TOKENS, FEW_TOKENS, LONG_TOKENS = 2048, 8, 400
PIECES_BEFORE_HANGING_UP = 3
SECONDS = 600.0


class Endpoint:
    """A chat completions route and the model to ask there."""

    def __init__(self, http: HttpClient, prefix: str, model: str) -> None:
        self._http = http
        self._path = f"{prefix}/chat/completions"
        self._model = model

    async def observe(self) -> Observed:
        """Ask everything. What fails is part of what is observed; raises where nobody answers at all."""
        set_deadline(SECONDS)
        stream = await self._ask_streamed(QUESTION, MOST_TOKENS)
        reply = await self._ask_whole()
        cut = await self._ask_streamed(LONG, FEW_TOKENS)
        await self._ask_streamed(LONG, LONG_TOKENS, pieces=PIECES_BEFORE_HANGING_UP)
        after = await self._ask_streamed(QUESTION, FEW_TOKENS)
        return Observed(stream, reply, cut, after, {kind: await self._provoke(kind) for kind in REFUSALS})

    def _body(self, text: str, limit: int, *, stream: bool) -> dict[str, object]:
        body: dict[str, object] = {
            "model": self._model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": limit,
            "stream": stream,
        }
        return body | ({"stream_options": {"include_usage": True}} if stream else {})

    async def _ask_streamed(self, text: str, limit: int, *, pieces: int = 0) -> Stream:
        """Read to the end, or hang up after so many pieces."""
        seen, start = Stream(), time.perf_counter()
        payload = self._body(text, limit, stream=True)
        try:
            async with aclosing(self._http.stream(self._path, payload)) as events:
                async for event in events:
                    if seen.done:
                        seen.after_done += 1
                    elif event.data == b"[DONE]":
                        seen.done = True
                    else:
                        self._read_chunk(seen, event.data)
                    if seen.channels and seen.first_seconds is None:
                        seen.first_seconds = time.perf_counter() - start
                    if pieces and len(seen.channels) >= pieces:
                        break
        except RaglineError as error:
            seen.error = error.message
        return seen

    def _read_chunk(self, seen: Stream, data: bytes) -> None:
        try:
            chunk = orjson.loads(data)
            choices, usage = chunk.get("choices") or [], chunk.get("usage")
            seen.usage = Usage.model_validate(usage) if usage else seen.usage
            for choice in choices:
                content, reasoning = _read_channels(choice.get("delta") or {})
                seen.reasoning += reasoning
                seen.content += content
                seen.channels += ["reasoning"] * bool(reasoning) + ["content"] * bool(content)
                seen.finish_reason = choice.get("finish_reason") or seen.finish_reason
        except (orjson.JSONDecodeError, ValidationError, AttributeError) as error:
            seen.error = f"a chunk is not OpenAI's: {error}"

    async def _ask_whole(self) -> Reply:
        try:
            body = orjson.loads(
                await self._http.post(self._path, self._body(QUESTION, MOST_TOKENS, stream=False))
            )
            choice = body["choices"][0]
            content, reasoning = _read_channels(choice["message"])
            usage = Usage.model_validate(body["usage"]) if body.get("usage") else None
            return Reply(content, reasoning, choice["finish_reason"], usage)
        except RaglineError as error:
            return Reply("", "", "", None, error.message)
        except (orjson.JSONDecodeError, ValidationError, LookupError, TypeError, AttributeError) as error:
            return Reply("", "", "", None, f"the reply is not OpenAI's: {error}")

    async def _provoke(self, kind: str) -> RaglineError | None:
        good = self._body(QUESTION, FEW_TOKENS, stream=False)
        bad = {
            "no messages": orjson.dumps(good | {"messages": []}),
            "unknown model": orjson.dumps(good | {"model": "no-such-model"}),
            "broken JSON": b'{"messages": [',
        }
        try:
            await self._http.post(self._path, bad[kind])
        except RaglineError as error:
            return error
        return None


def _read_channels(message: Mapping[str, object]) -> tuple[str, str]:
    """Content and reasoning, under whichever of its names."""
    reasoning = message.get("reasoning_content") or message.get("reasoning") or message.get("thinking")
    return str(message.get("content") or ""), str(reasoning or "")
