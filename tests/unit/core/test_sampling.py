"""One sampling, from a request's body to the model."""

from __future__ import annotations

import orjson
import pytest
from pydantic import ValidationError

from services.core.clients.generation import _payload
from services.core.wire.chat import ChatMessage, ChatRequest
from services.core.wire.compare import ArmRequest
from services.core.wire.sampling import Sampling, SamplingFields

FIELDS = {
    "max_tokens": 5,
    "temperature": 0.0,
    "top_p": 0.5,
    "seed": 0,
    "reasoning_effort": "low",
    "max_reasoning_tokens": 0,
}
ASKED = [ChatMessage(role="user", content="q")]


def test_the_fields_are_all_handed_on():
    assert FIELDS.keys() == SamplingFields.model_fields.keys()
    assert ArmRequest(**FIELDS).sampling == Sampling(**FIELDS)
    chat = ChatRequest(messages=ASKED, **FIELDS, think=True, stop="end")
    assert chat.sampling == Sampling(**FIELDS, think=True, stop=("end",))
    assert ChatRequest(messages=ASKED, **FIELDS, max_completion_tokens=7).sampling.max_tokens == 7
    assert ChatRequest(messages=ASKED, stop=["a", "b"]).sampling == Sampling(stop=("a", "b"))


def test_what_is_not_set_is_left_to_the_model_entry_and_zero_is_set():
    asked = [{"role": "user", "content": "q"}]
    body = orjson.loads(_payload(asked, "m", Sampling(**FIELDS, think=True, stop=("end",))))
    options = {**FIELDS, "model": "m", "think": True, "stop": ["end"]}
    common = {"messages": asked, "stream": True}
    assert body == {**common, "stream_options": {"include_usage": True}, **options}
    assert orjson.loads(_payload(asked, "", Sampling())).keys() == {"messages", "stream", "stream_options"}


def test_an_arm_keeps_its_fields_order_and_refuses_others():
    dumped = ArmRequest(name="a", **FIELDS).model_dump()
    assert list(dumped) == ["name", "model", "prompt", *FIELDS]
    with pytest.raises(ValidationError, match="stop"):
        ArmRequest(stop="end")
