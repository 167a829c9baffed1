"""Thinking budgets on real models and real engines, over the generation service's HTTP."""

from __future__ import annotations

import re

import pytest

from services.generation.reasoning.profiles import PROFILES
from tests.contract.real_models.conftest import Client
from tests.soak import SOAK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600), pytest.mark.soak]

OPENVINO = pytest.mark.parametrize("service", ["openvino"], indirect=True)

LONG_ANSWER = {0: 160, 64: 320, 512: 768}
"""`max_tokens` by budget: answers long enough that 5 % of their time is more than a busy machine's noise."""
COUNT = "Count from 1 to 100, each number in words and on a line of its own."

QUESTION = (
    "Passages:\n\n[1] Weights\nOne pound is 453.6 grams.\n\n[2] Bricks\nA brick weighs five pounds.\n\n"
    "Question: How heavy is a brick?"
)
TAG = re.compile(r"</?think>|\[/?THINK\]|<\|")

KINDS = (
    "none",
    "unknown",
    "prompted",
    "tags",
    "deepseek-r1",
    "qwen3",
    "gpt-oss",
    "granite",
    "nemotron",
)
"""One profile of each kind: where the thinking is, who opens it, what switches it. The others differ from one of
these in their tags or their sampling alone."""

BEHIND = (
    [(profile, budget) for profile in PROFILES for budget in (0, 16)]
    if SOAK
    else [*((profile, 16) for profile in KINDS), ("tags", 0), ("qwen3", 0)]
)
"""Profiles and budgets; without a budget it matters whether the thinking can be switched off or must be closed."""


async def seconds(client: Client, model: str) -> dict[str, float]:
    """The sums of the server's own histograms for that entry."""
    async with client.session.get(f"{client.service.url}/metrics") as reply:
        text = await reply.text()
    found = re.findall(rf'ragline_generation_(\w+)_seconds_sum{{model="{model}",.*}} (\S+)', text)
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("budget", LONG_ANSWER if SOAK else [64])
async def test_budgets_of_a_real_model(client: Client, budget: int) -> None:
    await client.ask("tiny", QUESTION, max_tokens=2)  # loaded and warm
    before = await seconds(client, "tiny")
    answer = await client.ask("tiny", COUNT, max_reasoning_tokens=budget, max_tokens=LONG_ANSWER[budget])
    after = await seconds(client, "tiny")
    assert answer.content.strip()
    assert answer.finish_reason in {"stop", "length"}
    assert not TAG.search(answer.content)
    assert answer.reasoning_tokens is not None
    assert answer.reasoning_tokens <= budget + 1
    assert bool(answer.reasoning) == (budget > 0)

    server = {name: after[name] - before.get(name, 0.0) for name in after}
    allowed = 0.05 * answer.end
    think = server.get("think_time", 0.0) if budget else 0.0
    assert abs(think - (answer.first_content - answer.first)) < allowed
    written = answer.end - answer.first_content
    assert abs(server["time_to_first_token"] + think + written - answer.end) < allowed
    assert abs(server["e2e_request_latency"] - answer.end) < allowed


@OPENVINO
async def test_effort_none_does_not_think(client: Client) -> None:
    answer = await client.ask("tiny", QUESTION, reasoning_effort="none")
    assert answer.content.strip()
    assert (answer.reasoning, answer.reasoning_tokens) == ("", 0)


@OPENVINO
async def test_a_requests_limit_holds_thinking_and_answer(client: Client) -> None:
    answer = await client.ask("tiny", QUESTION, max_tokens=20)
    assert answer.content.strip()
    assert answer.completion_tokens <= 20


@OPENVINO
@pytest.mark.parametrize(("profile", "budget"), BEHIND)
async def test_a_real_model_behind_every_profile(client: Client, profile: str, budget: int) -> None:
    answer = await client.ask(f"as-{profile}", QUESTION, max_reasoning_tokens=budget)
    assert answer.content.strip()
    assert answer.finish_reason in {"stop", "length"}
    assert not TAG.search(answer.content)
    assert (answer.reasoning_tokens or 0) <= budget + 1
