from __future__ import annotations

import base64

import numpy as np
import orjson
import pytest
from pydantic import TypeAdapter

from services.core.wire.embedding import EncodeReply, OpenAIEmbeddingReply
from services.core.wire.encoding import decode
from services.embedding.app import make_encode_reply, make_openai_reply
from services.embedding.backend import normalise
from services.embedding.encoder import EmbeddedTexts, quantise_states

RANDOM = np.random.default_rng(3)


def encoded(*, states: bool) -> EmbeddedTexts:
    vectors = RANDOM.normal(size=(2, 16)).astype(np.float32)
    tokens = [RANDOM.normal(size=(rows, 16)).astype(np.float32) for rows in (5, 2)]
    return EmbeddedTexts(vectors, 7, [quantise_states(states) for states in tokens] if states else None)


def test_packed_token_vectors_are_those_of_the_texts_own_tokens() -> None:
    states = RANDOM.normal(size=(6, 16)).astype(np.float32) * 9
    back = quantise_states(states).astype(np.float32) / 127
    assert back.shape == (4, 16)
    np.testing.assert_allclose(back, normalise(states[1:-1]), atol=0.5 / 127 + 1e-6)
    np.testing.assert_array_equal(quantise_states(states, prefix=2), quantise_states(states)[2:])


def test_a_text_of_special_tokens_only_has_no_token_vectors() -> None:
    assert quantise_states(np.ones((2, 16), np.float32)).shape == (0, 16)


@pytest.mark.parametrize("packed", [False, True])
def test_the_encode_reply_is_the_wire_type(packed: bool) -> None:
    def parsed(what: EmbeddedTexts) -> EncodeReply:
        reply = make_encode_reply(what, "m", packed=packed)
        assert reply.media_type == ("application/msgpack" if packed else "application/json")
        return decode(TypeAdapter(EncodeReply), reply.body, "embedding")

    what = encoded(states=True)
    np.testing.assert_array_equal(np.array(parsed(what).embeddings, np.float32), what.vectors)
    sent = [(one.tokens, one.dim, one.data) for one in parsed(what).token_vectors or []]
    assert sent == [(len(rows), 16, rows.tobytes()) for rows in what.token_vectors or []]
    assert [tokens for tokens, _, _ in sent] == [3, 0]
    assert parsed(encoded(states=False)).token_vectors is None


def test_to_json_clients_token_vectors_are_base64() -> None:
    what = encoded(states=True)
    body = orjson.loads(make_encode_reply(what, "m", packed=False).body)
    found = [base64.b64decode(one["data"], validate=True) for one in body["token_vectors"]]
    assert found == [rows.tobytes() for rows in what.token_vectors or []]


def test_openai_base64_is_little_endian_float32() -> None:
    what = encoded(states=False)
    plain = OpenAIEmbeddingReply.model_validate_json(make_openai_reply(what, "m", as_base64=False).body)
    packed = orjson.loads(make_openai_reply(what, "m", as_base64=True).body)
    assert plain.usage.prompt_tokens == plain.usage.total_tokens == 7
    for index, item in enumerate(packed["data"]):
        floats = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
        np.testing.assert_array_equal(floats, what.vectors[index])
        np.testing.assert_array_equal(np.array(plain.data[index].embedding, np.float32), floats)


def test_a_vector_of_zeros_stays_one() -> None:
    assert not normalise(np.zeros((1, 4), np.float32)).any()
