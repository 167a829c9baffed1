"""pydantic-ai, which validates every reply: answers, streams, thinking, structured output, tools, errors."""

from __future__ import annotations

import pytest

pytest.importorskip("pydantic_ai", reason="needs the clients' environment: make test-clients")

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.expected import ANSWER, KEY, NOTHING, QUESTION, THOUGHT


class Product(BaseModel):
    name: str
    count: int


@pytest.fixture
def agent(gateway: str):
    def make(model: str = "plain", *, api: type[Model] = OpenAIChatModel, **options) -> Agent:
        provider = OpenAIProvider(base_url=f"{gateway}/v1", api_key=KEY)
        return Agent(api(model, provider=provider), **options)

    return make


async def test_an_answer_is_valid(agent):
    result = await agent().run(QUESTION)
    assert result.output == ANSWER
    assert result.usage.output_tokens > 0 if not callable(result.usage) else result.usage().output_tokens > 0


async def test_a_stream_is_valid(agent):
    async with agent().run_stream(QUESTION) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    assert len(pieces) > 3
    assert "".join(pieces) == ANSWER


async def test_a_conversation_goes_on(agent):
    first = await agent().run(QUESTION)
    second = await agent(instructions="Be brief.").run(QUESTION, message_history=first.all_messages())
    assert second.output == ANSWER


async def test_an_abstention_is_an_answer(agent):
    assert (await agent(model_settings={"extra_body": NOTHING}).run(QUESTION)).output


@pytest.mark.parametrize("model", ["thinking", "tagged"])
async def test_thinking_is_a_part_of_its_own(agent, model):
    result = await agent(model).run(QUESTION)
    parts = [part for message in result.all_messages() for part in message.parts]
    assert [part.content.strip() for part in parts if isinstance(part, ThinkingPart)] == [THOUGHT]
    assert result.output == ANSWER


@pytest.mark.parametrize("model", ["cut", "uncounted", "unknown"])
async def test_odd_endings_are_valid(agent, model):
    assert ANSWER.startswith((await agent(model).run(QUESTION)).output)


@pytest.mark.parametrize(("model", "status"), [("nobody", 404), ("down", 503), ("failing", 502)])
async def test_errors_keep_their_status(agent, model, status):
    with pytest.raises(ModelHTTPError) as caught:
        await agent(model).run(QUESTION)
    assert caught.value.status_code == status


@pytest.mark.parametrize("output", [Product, NativeOutput(Product)])
async def test_an_answer_has_the_form_that_is_asked_for(agent, output):
    result = await agent("tooled", output_type=output).run(QUESTION)
    assert result.output == Product(name="honey", count=1)


async def test_a_tool_is_called_and_its_reply_is_answered_from(agent):
    asked: list[str] = []
    made = agent("tooled")

    @made.tool_plain
    def count_hives(place: str) -> int:
        asked.append(place)
        return 12

    assert (await made.run(QUESTION)).output == ANSWER
    assert asked == ["honey"]


async def test_the_responses_api_gives_the_same(agent):
    made = agent(api=OpenAIResponsesModel)
    assert (await made.run(QUESTION)).output == ANSWER
    async with made.run_stream(QUESTION) as result:
        assert "".join([piece async for piece in result.stream_text(delta=True, debounce_by=None)]) == ANSWER
    products = agent("tooled", api=OpenAIResponsesModel, output_type=Product)
    assert (await products.run(QUESTION)).output == Product(name="honey", count=1)
