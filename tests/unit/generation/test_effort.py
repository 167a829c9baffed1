"""How hard to think: every profile, every effort, engines that take the word and engines that do not.

A usual run has every pair of them, and every engine where thinking is off.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import get_args

import pytest

from services.core.wire.chat import ChatMessage, ChatRequest
from services.core.wire.sampling import ReasoningEffort
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.entries import ModelEntry
from services.generation.reasoning.profiles import PROFILES
from services.generation.reasoning.thinking import Task, Thinking
from services.generation.task import make_task
from tests.soak import SOAK

EFFORTS = get_args(ReasoningEffort)
MESSAGES = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Why?")]
ENGINES = {
    "native": Capabilities(
        native_reasoning=True, native_budget=True, continuation=True, switch=True, effort=True
    ),
    "continuing": Capabilities(continuation=True, switch=True, effort=True),
    "template alone": Capabilities(continuation=True),
    "plain": Capabilities(native_reasoning=True, switch=True, effort=True),
    "hosted": Capabilities(native_reasoning=True, effort=True),
}


class Engine:
    """Answers each request by its field for reasoning, or as if it had been told not to think."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self.prompts: list[Prompt] = []

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        self.prompts.append(prompt)
        yield Delta(content="Because.")
        yield Delta(finish_reason="stop", tokens=TokenCounts(5, 1))


def made(profile: str, **fields: object) -> Task:
    request = ChatRequest(messages=MESSAGES, **fields)  # type: ignore[arg-type]
    return make_task(request, ModelEntry(name="m", model_id="m", profile=profile), answer=512, thinking=2048)


async def asked(profile: str, engine: str, **fields: object) -> list[Prompt]:
    subject = Engine(ENGINES[engine])
    async for _ in Thinking(subject, made(profile, **fields)).deltas():
        pass
    return subject.prompts


CASES = [
    (profile, effort, engine)
    for at, profile in enumerate(PROFILES)
    for by, effort in enumerate(EFFORTS)
    for number, engine in enumerate(ENGINES)
    # an engine decides much where thinking is off; how the word reaches it does not depend on which word it is
    if SOAK or effort == "none" or number == (at + by) % len(ENGINES)
]


@pytest.mark.soak
@pytest.mark.parametrize(("profile", "effort", "engine"), CASES)
async def test_every_profile_with_every_effort(profile: str, effort: ReasoningEffort, engine: str) -> None:
    """The word only where the model has one; `none` never leaves thinking on where it can be switched."""
    kind = PROFILES[profile]
    first = (await asked(profile, engine, reasoning_effort=effort))[0]
    system = "\n".join(text for role, text in first.messages if role == "system")
    word = {"none": "low", "minimal": "low"}.get(effort, effort) if kind.efforts else ""
    written = not ENGINES[engine].effort
    assert first.effort == ("" if written else word)
    assert ("Reasoning: " in system) == (written and bool(word))
    if kind.system_switch:
        assert system == kind.system_switch[effort == "none"]
    if effort != "none":
        assert first.thinking in ({True} if kind.hybrid == "off" else {None, False})
        assert (first.thinking is False) == (kind.trace == "prompted")
        return
    closed = first.prefix.rstrip().endswith(kind.closer) if first.prefix else False
    assert closed or first.thinking is False or kind.trace in {"none", "prompted"}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, ""),
        ({"reasoning_effort": "low"}, "low"),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "high", "max_tokens": 100}, "high"),
        ({"reasoning_effort": "minimal"}, "low"),
        ({"reasoning_effort": "none"}, "low"),
        ({"max_reasoning_tokens": 0}, "low"),
        ({"max_reasoning_tokens": 511}, "low"),
        ({"max_reasoning_tokens": 2048}, "medium"),
        ({"max_reasoning_tokens": 100_000}, "high"),
        ({"max_reasoning_tokens": 64, "reasoning_effort": "high"}, "low"),
    ],
)
def test_the_word_for_a_budget(fields: dict[str, object], word: str) -> None:
    assert made("gpt-oss", **fields).prompt.effort == word
    assert made("qwen3", **fields).prompt.effort == ""


def test_thinking_that_is_off_by_the_settings_is_as_little_as_there_is() -> None:
    request = ChatRequest(messages=MESSAGES)
    entry = ModelEntry(name="m", model_id="openai/gpt-oss-20b")
    assert make_task(request, entry, answer=512, thinking=0).prompt.effort == "low"


async def test_written_in_front_of_the_system_text() -> None:
    [prompt] = await asked("gpt-oss", "template alone", reasoning_effort="high")
    assert prompt.messages == (("system", "Reasoning: high\n\nBe brief."), ("user", "Why?"))


async def test_a_model_that_its_system_text_switches() -> None:
    [on] = await asked("nemotron", "plain")
    assert on.messages == (("system", "detailed thinking on"), ("user", "Be brief.\n\nWhy?"))
    [off] = await asked("nemotron", "plain", max_reasoning_tokens=0)
    assert off.messages[0] == ("system", "detailed thinking off")


@pytest.mark.parametrize("profile", ["granite", "deepseek-v3.1"])
async def test_a_model_that_thinks_only_where_it_is_told_to(profile: str) -> None:
    [unasked] = await asked(profile, "plain")
    assert unasked.thinking is None
    on, *_ = await asked(profile, "plain", reasoning_effort="low")
    assert on.thinking is True
    [off] = await asked(profile, "plain", reasoning_effort="none")
    assert off.thinking is False


@pytest.mark.parametrize("profile", ["qwen3.5", "deepseek-v3.1"])
@pytest.mark.parametrize(("engine", "switched"), [("plain", True), ("hosted", False)])
async def test_where_thinking_is_off_no_opener_was_written(profile: str, engine: str, switched: bool) -> None:
    """The answer comes as it is; it takes a second request only where the template could not be told."""
    prompts = await asked(profile, engine, max_reasoning_tokens=0)
    off_by_itself = PROFILES[profile].hybrid == "off"
    assert len(prompts) == (1 if switched or off_by_itself else 2)


def test_what_a_chat_template_is_told() -> None:
    prompt = made("gpt-oss", reasoning_effort="low").prompt
    assert prompt.template_options() == {"reasoning_effort": "low"}
    assert made("qwen3").prompt.template_options() == {}
