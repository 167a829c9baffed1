"""The chunks of a chat completion, and how a reply says that another entry answered."""

from __future__ import annotations

import orjson

from services.core.completion import ChunkWriter, fallback_headers, fallback_marks, skipped_entries
from services.core.sse import SseParser
from services.core.wire.answer import AnswerChunk
from services.core.wire.chat import Usage


def read(event: bytes) -> dict[str, object]:
    [parsed] = SseParser().feed(event)
    return orjson.loads(parsed.data)


def test_all_chunks_of_a_completion_have_its_id_and_the_clients_fields():
    chunks = ChunkWriter()
    events = [
        chunks.delta("m", {"role": "assistant", "content": ""}, fields={"degraded": ["reranking"]}),
        chunks.delta("m", {"content": "\u00e9"}),
        chunks.delta("m", {}, "stop"),
        chunks.usage("m", Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)),
    ]
    first, second, third, last = map(read, events)
    common = {"id": chunks.id, "object": "chat.completion.chunk", "created": chunks.created, "model": "m"}
    for chunk in (first, second, third, last):
        assert common.items() <= chunk.items()
        AnswerChunk.model_validate(chunk)
    assert first["degraded"] == ["reranking"]
    assert second["choices"] == [{"index": 0, "delta": {"content": "\u00e9"}, "finish_reason": None}]
    assert third["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 3)
    assert ChunkWriter().id != chunks.id


def test_the_entries_that_could_not_answer_are_marked_and_read_back():
    degraded = ["reranking", *fallback_marks(["large", "middle"])]
    assert skipped_entries(degraded) == ["large", "middle"]
    assert fallback_headers(degraded, "small") == {"x-ragline-fallback": "large -> small"}
    assert fallback_headers(["reranking"], "small") == {}
