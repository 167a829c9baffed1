"""A server that answers as a recording does: at `/{recording}/{chunking}` and the engine's own routes.

It honours stop strings. A request after the first is answered with the text that the first left out, or
with the recording's `then`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.conformance.recordings import (
    CHUNKINGS,
    Event,
    Recording,
    completion_tokens,
    recordings,
    stopped,
)

TEMPLATED = "<|user|>...<|assistant|>"
GENERATING = ("chat/completions", "v1/completions", "generate_stream")
PROMPT_TOKENS = 20


@dataclass
class StandIn:
    """Remembers what it was asked since `forget` (path and body), and the tokens that it counted."""

    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    tokens: int = 0
    rest: str = ""

    def forget(self) -> None:
        self.asked.clear()
        self.tokens, self.rest = 0, ""

    def app(self) -> FastAPI:
        app = FastAPI()
        known = {recording.name: recording for recording in recordings()}

        @app.get("/{name}/{chunking}/{path:path}")
        async def get(path: str) -> Response:
            if path.endswith("models"):
                raise HTTPException(404)
            return JSONResponse({})

        @app.post("/{name}/{chunking}/{path:path}")
        async def post(name: str, chunking: str, path: str, request: Request) -> Response:
            recording, body = known[name], await request.json()
            if path == "tokenize":
                return JSONResponse([] if recording.engine == "tgi" else {"tokens": [1, 2, 3]})
            if path == "chat_tokenize":
                return JSONResponse({"tokenize_response": [], "templated_text": TEMPLATED})
            if path == "apply-template":
                return JSONResponse({"prompt": TEMPLATED})
            if not path.endswith(GENERATING):
                raise HTTPException(404)
            first = not self.asked
            if first and f"/{path}" != recording.path:
                raise HTTPException(400, f"the recording is of {recording.path}, not of /{path}")
            self.asked.append((f"/{path}", body))
            stops = body.get("stop") or body.get("parameters", {}).get("stop") or []
            cut = CHUNKINGS[chunking]
            events = self._first(recording, cut.events, stops) if first else self._second(recording, path)
            self.tokens += completion_tokens(events)
            return _streamed(cut.writes(events, done=path != "generate_stream"))

        return app

    def _first(self, recording: Recording, cut, stops: list[str]) -> list[Event]:
        events, self.rest = stopped(list(cut(recording.events)), stops)
        return events

    def _second(self, recording: Recording, path: str) -> list[Event]:
        """An answer word by word, in the form of the route."""
        text = self.rest or recording.then
        words = [word + " " for word in text.split(" ")]
        words[-1] = words[-1].rstrip(" ")
        count = len(words)
        if path == "generate_stream":
            steps: list[Event] = [{"token": {"id": 1, "text": word, "special": False}} for word in words]
            details = {"finish_reason": "eos_token", "generated_tokens": count, "input_length": PROMPT_TOKENS}
            return [*steps, {"token": {"id": 2, "text": "", "special": True}, "details": details}]
        chat = path.endswith("chat/completions")
        parts = [({"delta": {"content": word}} if chat else {"text": word}) for word in words]
        choices = [{"index": 0, "finish_reason": None} | part for part in parts]
        choices.append({"index": 0, "finish_reason": "stop"} | ({"delta": {}} if chat else {"text": ""}))
        usage = {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": count,
            "total_tokens": PROMPT_TOKENS + count,
        }
        return [*({"choices": [choice]} for choice in choices), {"choices": [], "usage": usage}]


def _streamed(writes: Iterator[bytes]) -> Response:
    async def body() -> AsyncIterator[bytes]:
        for write in writes:
            yield write

    return StreamingResponse(body(), media_type="text/event-stream")
