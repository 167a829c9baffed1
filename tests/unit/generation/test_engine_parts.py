"""What the server engines and the torch engine are made of."""

from __future__ import annotations

from importlib.util import find_spec

import orjson
import pytest

from services.core.errors import ContextLengthExceeded, ServiceError, ServiceUnavailable
from services.generation.backend import Delta, Prompt, TokenCounts
from services.generation.backends import habana
from services.generation.backends.habana import gaudi
from services.generation.backends.habana.torch_model import TorchModel
from services.generation.chunks import ChunkReader, is_too_long
from services.generation.endings import read_finish_reason
from services.generation.entries import ModelEntry
from services.generation.server import make_sampling_fields, make_template_fields

ASK = Prompt((("user", "Hi"),), max_tokens=5, temperature=0.0, top_p=1.0)


def data(body: object) -> bytes:
    return orjson.dumps(body)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content", "thinking"])
def test_thinking_under_any_of_its_names(name: str) -> None:
    assert ChunkReader("x").read(data({"choices": [{"delta": {name: "Hmm."}}]})) == Delta(reasoning="Hmm.")


def test_both_names_in_one_chunk_are_one_thought() -> None:
    delta = {"reasoning": "Hmm.", "reasoning_content": "Hmm.", "content": None}
    assert ChunkReader("x").read(data({"choices": [{"delta": delta}]})) == Delta(reasoning="Hmm.")


def test_the_completions_route_is_text() -> None:
    chunks = ChunkReader("x")
    assert chunks.read(data({"choices": [{"text": "Hi", "finish_reason": None}]})) == Delta("Hi")
    assert chunks.read(data({"choices": [{"text": "", "finish_reason": "length"}]})) == Delta()
    assert chunks.end() == Delta(finish_reason="length")


@pytest.mark.parametrize("choices", [[], None])
def test_usage_may_come_without_choices(choices: object) -> None:
    chunks = ChunkReader("x")
    chunks.read(data({"choices": [{"delta": {}, "finish_reason": "stop"}]}))
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 1}}
    assert chunks.read(data({"choices": choices, "usage": usage})) == Delta()
    assert chunks.end().tokens == TokenCounts(3, 2, 1)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"text"', b"<html>", b'{"choices": 5}'])
def test_what_is_no_chunk(body: bytes) -> None:
    with pytest.raises(ServiceError, match="x sent a chunk that is not"):
        ChunkReader("x").read(body)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "boom", "code": 500}},
        {"error": "boom", "error_type": "generation"},
        {"object": "error", "message": "boom"},
    ],
)
def test_an_error_in_the_place_of_a_chunk(body: object) -> None:
    with pytest.raises(ServiceError, match="x failed: boom"):
        ChunkReader("x").read(data(body))


@pytest.mark.parametrize("body", [{"error": {}}, {"error": ""}, {"object": "error"}])
def test_an_error_without_a_word_is_one_too(body: object) -> None:
    with pytest.raises(ServiceError, match="x failed: without a message"):
        ChunkReader("x").read(data(body))


def test_an_error_about_the_length_is_the_callers() -> None:
    with pytest.raises(ContextLengthExceeded):
        ChunkReader("x").read(data({"error": {"message": "maximum context length is 10 tokens"}}))


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory",
        "max_tokens must be at least 1",
        "`temperature` must be strictly positive",
        "the context of this request was cancelled",
        "stop sequences must have less than 4 elements",
    ],
)
def test_other_refusals_are_not_about_the_length(words: str) -> None:
    assert not is_too_long(words)


def test_an_unknown_reason_is_no_end() -> None:
    assert read_finish_reason(None, "x") is None
    assert read_finish_reason("eos_token", "x") == "stop"
    with pytest.raises(ServiceError, match="x broke off with finish_reason 'abort'"):
        read_finish_reason("abort", "x")


def test_nothing_is_sent_that_nobody_asked_for() -> None:
    assert set(make_sampling_fields(ASK)) == {
        *("max_tokens", "temperature", "top_p", "stream", "stream_options")
    }
    assert make_template_fields(ASK) == {}


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is here")
async def test_without_torch_the_habana_engine_says_what_to_install() -> None:
    with pytest.raises(ServiceUnavailable, match=r"habana needs torch.*pip install '\.\[habana\]'"):
        TorchModel.open("x", gaudi.Device("cpu"), context=512, threads=1)
    engine = await habana.create(ModelEntry(name="a", engine="habana", model_id="org/model"))
    with pytest.raises(ServiceUnavailable, match="habana needs torch"):
        await anext(engine.generate(ASK))
    await engine.close()


def test_static_shapes_grow_by_the_bucket() -> None:
    assert gaudi.shape_settings(256)["bucket_size"] == 256
    assert gaudi.shape_settings(256)["static_shapes"] is True
    assert gaudi.generate_arguments(graphs=False) == {
        "lazy_mode": True,
        "hpu_graphs": False,
        "ignore_eos": False,
    }


@pytest.mark.parametrize(
    ("text", "taken", "limit", "reason"),
    [
        ("It ends here.", 9, 10, "stop"),
        ("It ends here.", 10, 10, "stop"),
        ("It ends in the mid", 10, 10, "length"),
        ("It ends in a list,", 10, 10, "length"),
        ("It ends here.", 11, 10, "length"),
        ("It ends in the mid", 10, None, "stop"),
    ],
)
def test_all_its_tokens_taken_is_a_cut_answer(text: str, taken: int, limit: int | None, reason: str) -> None:
    chunks = ChunkReader("x")
    usage = {"prompt_tokens": 3, "completion_tokens": taken}
    chunks.read(data({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}], "usage": usage}))
    assert chunks.end(limit).finish_reason == reason
