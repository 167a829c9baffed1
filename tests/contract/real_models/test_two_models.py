"""Both in-process engines, each with two models at once: SmolLM2-135M and Qwen2.5-Coder-0.5B.

Over the generation service's HTTP, where a request's `model` picks one of the two. What one model already
shows (limits, seeds, stop strings, long prompts, concurrency, the event loop) is in `test_generation` for each
engine; `make test-soak` asks the second model for it as well.
"""

from __future__ import annotations

import re

import pytest

from tests.contract.real_models.conftest import MODELS, WITHIN, Client
from tests.soak import SOAK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900), pytest.mark.soak]

COUNT = "Repeat: one two three four five six seven eight nine ten."
STORY = "Write a very long story about the sea."
TAG = re.compile(r"</?think>")
PLAIN = {"max_reasoning_tokens": 0, "temperature": 0, "max_tokens": 24}
EACH = [*MODELS] if SOAK else []
"""The models that are asked for what one model shows already."""


@pytest.mark.parametrize("model", MODELS)
async def test_streams_and_ends_with_reason_and_counts(client: Client, model: str) -> None:
    fields = {**PLAIN, "max_tokens": 7}
    answer = await client.ask(model, "List three colours of the rainbow.", **fields)
    assert answer.chunks >= 3
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 7)
    assert (answer.reasoning, answer.reasoning_tokens) == ("", 0)
    question = "List three colours of the rainbow. " + "Hello there " * 50
    more = await client.ask(model, question, **{**PLAIN, "max_tokens": 1})
    assert more.prompt_tokens - answer.prompt_tokens >= 100


@pytest.mark.parametrize("model", EACH)
async def test_stops_before_a_stop_string(client: Client, model: str) -> None:
    whole = (await client.ask(model, COUNT, **PLAIN)).content
    middle = whole[len(whole) // 2 : len(whole) // 2 + 4]
    answer = await client.ask(model, COUNT, stop=[middle], **PLAIN)
    assert answer.content == whole[: whole.index(middle)]
    assert answer.finish_reason == "stop"


@pytest.mark.parametrize("model", EACH)
async def test_a_seed_repeats_a_sampled_answer(client: Client, model: str) -> None:
    if not client.service.open(model).capabilities.seed:
        pytest.skip("promises nothing")
    fields = {**PLAIN, "temperature": 1}
    said = [
        (await client.ask(model, "Tell me a story about a fox.", seed=seed, **fields)).content
        for seed in (11, 11, 12, 13)
    ]
    assert said[0] == said[1]
    assert len(set(said)) > 1


@pytest.mark.parametrize("model", MODELS)
async def test_hanging_up_stops_that_model(client: Client, model: str) -> None:
    reply = await client.post(model, STORY, **{**PLAIN, "max_tokens": 1500})
    await reply.content.readuntil(b"\n\n")
    await reply.content.readuntil(b"\n\n")
    assert not client.service.is_idle(model)
    reply.close()
    assert await client.service.seconds_until_idle(model) < WITHIN


@pytest.mark.parametrize(("model", "budget"), [(m, b) for m in EACH for b in (0, 48)] or [("small", 16)])
async def test_prompted_thinking_within_its_budget(client: Client, model: str, budget: int) -> None:
    question = "A box holds 3 rows of 5 pens. How many pens are there?"
    if client.service.engine == "llamacpp" and not SOAK:
        pytest.skip("the budget of its small model is that of its tiny one, in test_thinking: make test-soak")
    answer = await client.ask(model, question, max_reasoning_tokens=budget, max_tokens=budget + 48)
    assert answer.content.strip()
    assert answer.finish_reason in {"stop", "length"}
    assert not TAG.search(answer.content)
    assert bool(answer.reasoning) == (budget > 0)
    assert answer.reasoning_tokens is not None
    assert answer.reasoning_tokens <= budget + 1


async def test_a_request_picks_one_of_the_two(client: Client) -> None:
    question = "What is the capital of France?"
    first = {model: await client.ask(model, question, **PLAIN) for model in MODELS}
    again = {model: await client.ask(model, question, **PLAIN) for model in reversed(MODELS)}
    for model, answer in again.items():
        assert answer.models == {model}
        assert answer == first[model], "the other model has changed it"
    assert "Paris" in first["small"].content
    assert first["tiny"].prompt_tokens != first["small"].prompt_tokens
    async with client.session.get(f"{client.service.url}/v1/models") as reply:
        listed = {info["id"]: info for info in (await reply.json())["data"]}
    for name, model in MODELS.items():
        info = listed[name]
        assert (info["engine"], info["model_id"], info["ready"]) == (client.service.engine, model, True)
        assert info["profile"] == "prompted"
