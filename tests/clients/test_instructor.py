"""instructor: structured output, checked by pydantic."""

from __future__ import annotations

import pytest

pytest.importorskip("instructor", reason="needs its own environment: make test-clients")

import instructor
import openai
from pydantic import BaseModel

from tests.clients.expected import KEY, QUESTION


class Product(BaseModel):
    name: str
    count: int


@pytest.fixture
def client(gateway: str):
    def make(mode: instructor.Mode) -> instructor.Instructor:
        return instructor.from_openai(
            openai.OpenAI(base_url=f"{gateway}/v1", api_key=KEY, max_retries=0), mode=mode
        )

    return make


@pytest.mark.parametrize("mode", [instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS])
def test_an_answer_has_the_form_that_is_asked_for(client, mode):
    made = client(mode).chat.completions.create(
        model="tooled",
        response_model=Product,
        max_retries=0,
        messages=[{"role": "user", "content": QUESTION}],
    )
    assert (made.name, made.count) == ("honey", 1)  # of a class that it makes of ours
