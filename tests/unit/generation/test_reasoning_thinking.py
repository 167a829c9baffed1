"""Asking: staged, twice, single; forced close, asking again, truncation. Engines that say what they are told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from services.core.errors import ContextLengthExceeded, ServiceError
from services.core.wire.chat import FinishReason
from services.generation.backend import Capabilities, Delta, Prompt, TokenCounts
from services.generation.backends.fake import FakeEngine
from services.generation.backends.fake import Settings as FakeSettings
from services.generation.entries import ModelEntry
from services.generation.reasoning.budget import Limits
from services.generation.reasoning.conversation import ask_to_think
from services.generation.reasoning.profiles import PROFILES, Profile
from services.generation.reasoning.thinking import Task, Thinking

QUESTION = (("system", "Be brief."), ("user", "Is ice dense?"))
PROMPT = Prompt(messages=QUESTION, max_tokens=1, temperature=0.0, top_p=1.0, stop=("END",))
LIMITS = Limits(thinking=8, total=40, answer=32)
ASKED = replace(LIMITS, asked=True)


class Scripted:
    """Gives one script per request: deltas, or an error. A token is a delta."""

    def __init__(self, *scripts: Sequence[Delta] | Exception, **capabilities: bool) -> None:
        self.capabilities = Capabilities(**capabilities)  # type: ignore[arg-type]
        self.scripts = list(scripts)
        self.prompts: list[Prompt] = []
        self.begun = self.closed = 0

    async def ready(self) -> None:
        return

    async def close(self) -> None:
        return

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Delta]:
        self.prompts.append(prompt)
        script = self.scripts.pop(0)
        if isinstance(script, Exception):
            raise script
        self.begun += 1
        try:
            for delta in script:
                yield delta
        finally:
            self.closed += 1


def script(
    *texts: str, reason: FinishReason = "stop", field: Sequence[str] = (), reasoning: int = 0
) -> list[Delta]:
    deltas = [*(Delta(reasoning=text) for text in field), *(Delta(content=text) for text in texts)]
    return [*deltas, Delta(finish_reason=reason, tokens=TokenCounts(10, len(deltas), reasoning))]


async def ask(
    engine: Scripted | FakeEngine, profile: str | Profile, limits: Limits = LIMITS
) -> tuple[str, str, Delta, Thinking]:
    kind = PROFILES[profile] if isinstance(profile, str) else profile
    thinking = Thinking(engine, Task(PROMPT, kind, limits))
    deltas = [delta async for delta in thinking.deltas()]
    assert all(not (delta.content and delta.reasoning) for delta in deltas)
    assert [bool(delta.finish_reason) for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    reasoning, content = ("".join(getattr(d, name) for d in deltas) for name in ("reasoning", "content"))
    if isinstance(engine, Scripted):
        assert not engine.scripts, "a request was not made"
        assert engine.closed == engine.begun
    return reasoning, content, deltas[-1], thinking


# staged: the engine continues turns


async def test_staged_prefilled() -> None:
    engine = Scripted(script("hm,", " so"), script("Yes", "."), continuation=True)
    assert (await ask(engine, "deepseek-r1"))[:3] == (
        "hm, so",
        "Yes.",
        Delta(finish_reason="stop", tokens=TokenCounts(10, 4, 2)),
    )
    think, answer = engine.prompts
    assert (think.prefix, think.stop, think.max_tokens) == ("", ("</think>",), 8)
    assert (answer.prefix, answer.stop, answer.max_tokens) == ("hm, so\n</think>\n\n", ("END",), 32)


async def test_staged_tags_begins_the_block() -> None:
    engine = Scripted(script("\nhm"), script("Yes"), continuation=True)
    reasoning, content, _, thinking = await ask(engine, "qwen3")
    assert (reasoning, content, thinking.outcome) == ("hm", "Yes", "finished")
    assert [p.prefix for p in engine.prompts] == ["<think>\n", "<think>\nhm\n</think>\n\n"]


async def test_staged_budget_is_closed() -> None:
    thoughts = [f" {n}" for n in range(8)]
    engine = Scripted(script(*thoughts, reason="length"), script("Yes"), continuation=True)
    reasoning, content, last, thinking = await ask(engine, "deepseek-r1", ASKED)
    assert (content, last.finish_reason, thinking.outcome) == ("Yes", "stop", "closed")
    assert reasoning == "".join(thoughts).strip()
    assert last.tokens == TokenCounts(10, 9, 8)


async def test_the_answers_own_limit_is_its_finish_reason() -> None:
    engine = Scripted(script("hm"), script("Yes", reason="length"), continuation=True)
    assert (await ask(engine, "deepseek-r1"))[2].finish_reason == "length"


async def test_prompted_staged() -> None:
    engine = Scripted(script("hm"), script("Yes"), continuation=True)
    assert (await ask(engine, "prompted"))[:2] == ("hm", "Yes")
    think, answer = engine.prompts
    assert think.messages == answer.messages
    assert think.messages[0] == QUESTION[0]
    assert think.messages[-1] == QUESTION[1]
    assert [role for role, _ in think.messages] == ["system", *["user", "assistant"] * 2, "user"]
    assert (think.prefix, answer.prefix) == ("<think>\n", "<think>\nhm\n</think>\n\n")


async def test_prompted_on_an_engine_that_cannot_continue() -> None:
    engine = Scripted(script("<think>\n", "hm"), script("Yes"))
    reasoning, content, last, _ = await ask(engine, "prompted")
    assert (reasoning, content) == ("hm", "Yes")
    assert last.tokens == TokenCounts(10, 3, 2)
    think, answer = engine.prompts
    assert (think.prefix, think.stop, answer.prefix) == ("", ("</think>",), "")
    assert answer.messages[-2] == ("assistant", "<think>\nhm\n</think>")
    assert answer.messages[-1][0] == "user"


async def test_prompted_with_a_budget_of_zero_is_the_plain_model() -> None:
    engine = Scripted(script("Yes"), continuation=True)
    reasoning, content, _, thinking = await ask(engine, "prompted", Limits(0, 32, 32, asked=True))
    assert (reasoning, content, thinking.outcome) == ("", "Yes", "none")
    assert engine.prompts[0] == replace(PROMPT, max_tokens=32, thinking=False)


@pytest.mark.parametrize(
    ("profile", "prefix"), [("deepseek-r1", "</think>\n\n"), ("qwen3", "<think>\n</think>\n\n")]
)
async def test_a_budget_of_zero_begins_with_a_closed_block(profile: str, prefix: str) -> None:
    engine = Scripted(script("\nYes"), continuation=True)
    assert (await ask(engine, profile, Limits(0, 32, 32, asked=True)))[:2] == ("", "\nYes")
    assert engine.prompts[0].prefix == prefix


async def test_an_empty_answer_after_thinking_is_asked_again() -> None:
    engine = Scripted(script("hm"), script("\n"), script("Yes"), continuation=True)
    reasoning, content, last, thinking = await ask(engine, "prompted")
    assert (reasoning, content, last.finish_reason, thinking.outcome) == ("hm", "Yes", "stop", "reasked")
    assert engine.prompts[2].messages == QUESTION


async def test_thinking_that_leaves_no_room_is_asked_again() -> None:
    engine = Scripted(script("hm"), ContextLengthExceeded("full"), script("Yes"), continuation=True)
    assert (await ask(engine, "deepseek-r1"))[1] == "Yes"


# single: no continuation, or an engine that parses


async def test_single_tags() -> None:
    engine = Scripted(script("<thi", "nk>hm</think>", "\nYes"))
    reasoning, content, last, thinking = await ask(engine, "qwen3")
    assert (reasoning, content, thinking.outcome) == ("hm", "Yes", "finished")
    assert last.tokens == TokenCounts(10, 3, None), "nobody counted the thinking"
    assert engine.prompts[0] == replace(PROMPT, max_tokens=40, stop=()), (
        "an engine would stop inside the thinking"
    )


async def test_single_field_counts_are_the_engines() -> None:
    engine = Scripted(script("\n\nYes", field=["hm", " so"], reasoning=2), native_reasoning=True)
    reasoning, content, last, _ = await ask(engine, "deepseek-r1")
    assert (reasoning, content, last.tokens) == ("hm so", "Yes", TokenCounts(10, 3, 2))


async def test_native_budget_is_the_engines() -> None:
    engine = Scripted(script("Yes", field=["hm"], reasoning=1), native_reasoning=True, native_budget=True)
    await ask(engine, "deepseek-r1", ASKED)
    assert engine.prompts[0].max_reasoning_tokens == 8
    assert engine.prompts[0].thinking is None
    none = Scripted(script("Yes"), native_reasoning=True, native_budget=True)
    await ask(none, "qwen3", Limits(0, 32, 32, asked=True))
    assert (none.prompts[0].max_reasoning_tokens, none.prompts[0].thinking) == (0, False)


@pytest.mark.parametrize("thinking", [0, 8])
@pytest.mark.parametrize("reason", ["stop", "length"])
async def test_content_alone_is_an_answer_where_the_engine_counts_the_thinking(
    thinking: int, reason: FinishReason
) -> None:
    """vLLM with a budget that leaves no thinking, or a model that closes it at once: it has parsed it already."""
    engine = Scripted(
        script("Yes", ".", reason=reason), native_budget=True, native_reasoning=True, continuation=True
    )
    reasoning, content, last, _ = await ask(engine, "deepseek-r1", Limits(thinking, 40, 32, asked=True))
    assert (reasoning, content, last.finish_reason) == ("", "Yes.", reason)


async def test_unclosed_is_asked_again_without_thinking() -> None:
    engine = Scripted(script("<think>hm", " and", reason="length"), script("Yes."))
    reasoning, content, last, thinking = await ask(engine, "qwen3")
    assert (reasoning, content, last.finish_reason, thinking.outcome) == ("hm and", "Yes.", "stop", "reasked")
    again = engine.prompts[1]
    assert again.thinking is False
    assert again.max_tokens == LIMITS.answer
    assert again.messages[-1][1].startswith(QUESTION[-1][1])
    assert len(again.messages[-1][1]) > len(QUESTION[-1][1])


async def test_asked_again_it_thinks_again_before_it_answers() -> None:
    engine = Scripted(script("hm", reason="length"), script("well\n</think>\n\nYes."))
    reasoning, content, _, _ = await ask(engine, "deepseek-r1")
    assert (reasoning, content) == ("hm\nwell", "Yes.")


async def test_asked_again_it_answers_without_any_tag() -> None:
    engine = Scripted(script("hm", reason="length"), script("Yes."))
    assert (await ask(engine, "deepseek-r1"))[:2] == ("hm", "Yes.")


async def test_truncated_twice_is_said() -> None:
    engine = Scripted(script("hm", reason="length"), script("well", reason="length"))
    reasoning, content, last, thinking = await ask(engine, "deepseek-r1")
    assert (reasoning, content) == ("hm\nwell", "")
    assert (last.finish_reason, thinking.outcome) == ("reasoning_truncated", "truncated")


@pytest.mark.parametrize("field", [True, False])
async def test_a_budget_without_continuation_stops_the_stream(field: bool) -> None:
    steps = [f" {n}" for n in range(20)]
    first = script("Yes", field=steps) if field else script("<think>", *steps, "</think>Yes")
    engine = Scripted(first, script("Yes."), native_reasoning=field)
    reasoning, content, last, thinking = await ask(engine, "qwen3", ASKED)
    assert (content, last.finish_reason, thinking.outcome) == ("Yes.", "stop", "reasked")
    assert reasoning.split() == [str(n) for n in range(8)]
    assert last.tokens is not None
    assert last.tokens.reasoning is None, "a broken-off request is not counted"


async def test_field_thinking_is_closed_by_continuation() -> None:
    steps = [f" {n}" for n in range(20)]
    engine = Scripted(script("Yes", field=steps), script("No."), native_reasoning=True, continuation=True)
    _, content, _, thinking = await ask(engine, "qwen3", ASKED)
    assert (content, thinking.outcome) == ("No.", "closed")
    assert engine.prompts[1].prefix.startswith("<think>\n 0 1")
    assert engine.prompts[1].prefix.endswith("\n</think>\n\n")


async def test_an_unknown_model_that_thinks_too_long_is_closed() -> None:
    engine = Scripted(script("<reasoning>hm", reason="length"), script("Yes."), continuation=True)
    assert (await ask(engine, "unknown"))[:2] == ("hm", "Yes.")
    assert engine.prompts[1].prefix == "<reasoning>hm\n</reasoning>\n\n"


async def test_a_model_that_does_not_think_may_say_nothing() -> None:
    engine = Scripted(script())
    _, content, last, thinking = await ask(engine, "none")
    assert (content, last.finish_reason, thinking.outcome) == ("", "stop", "none")


async def test_the_room_for_thinking_that_nobody_asked_for_can_shrink() -> None:
    engine = Scripted(ContextLengthExceeded("full"), script("<think>hm</think>Yes"))
    _, content, _, thinking = await ask(engine, "qwen3", Limits(2048, 2560, 512))
    assert (content, thinking.outcome) == ("Yes", "finished")
    assert [p.max_tokens for p in engine.prompts] == [2560, 1024]


async def test_a_prompt_that_does_not_fit_says_so() -> None:
    for limits in (LIMITS, ASKED):
        with pytest.raises(ContextLengthExceeded):
            await ask(Scripted(ContextLengthExceeded("full")), "qwen3", limits)


async def test_failures_and_closing_reach_the_engine() -> None:
    with pytest.raises(ServiceError):
        await ask(Scripted(script("hm"), ServiceError("down"), continuation=True), "deepseek-r1")
    engine = Scripted(script("a", "b", "c"), continuation=True)
    stream = Thinking(engine, Task(PROMPT, PROFILES["deepseek-r1"], LIMITS)).deltas()
    await anext(stream)
    await stream.aclose()
    assert engine.closed == 1


async def test_misplaced_thinking_is_known_at_the_end() -> None:
    engine = Scripted(script("hm", "<channel|>", "Yes"))
    _, content, _, thinking = await ask(engine, "gemma-4")
    assert (content, thinking.misplaced) == ("hmYes", 2)


async def test_a_model_that_writes_its_tags_and_begins_without_one_is_held_back() -> None:
    reasoning, content, _, thinking = await ask(Scripted(script("hm", "</think>", "Yes")), "tags")
    assert (reasoning, content, thinking.misplaced) == ("hm", "Yes", 0)


# every wire format behind every profile that can read it, by the fake engine

FORMATS = {
    "field": ["field", "deepseek-r1", "qwen3", "unknown", "none"],
    "tags": ["tags", "qwen3", "deepseek-r1", "unknown", "field"],
    "prefilled": ["deepseek-r1", "prefilled", "qwq"],
    "unclosed": ["tags", "deepseek-r1", "unknown", "prompted"],
    "nested": ["tags", "deepseek-r1", "unknown"],
    "repeated": ["tags", "deepseek-r1", "unknown"],
    "mixed": ["tags", "field", "unknown"],
    "quoted": ["tags", "deepseek-r1", "unknown"],
    "unanswered": ["tags", "deepseek-r1", "unknown"],
    "granite": ["granite"],
    "harmony": ["gpt-oss"],
}


@pytest.mark.parametrize("continuation", [False, True])
@pytest.mark.parametrize("budget", [None, 0, 3, 100])
@pytest.mark.parametrize(("kind", "profile"), [(kind, p) for kind, ps in FORMATS.items() for p in ps])
async def test_every_format_gives_an_answer_without_its_trace(
    kind: str, profile: str, budget: int | None, continuation: bool
) -> None:
    settings = FakeSettings(reasoning=6, reasoning_format=kind, continuation=continuation)  # type: ignore[call-arg]
    engine = FakeEngine(ModelEntry(name="fake", engine="fake"), settings)
    limits = Limits(20, 60, 40) if budget is None else Limits(budget, 40 + budget, 40, asked=True)
    reasoning, content, last, thinking = await ask(engine, profile, limits)
    assert content.strip()
    assert last.finish_reason == "stop"
    assert "Thinking" not in content
    assert "on on" not in content
    for tag in ("think>", "<|", "response:"):
        assert tag not in content.replace("`<think>` and `</think>`", "")
    assert thinking.outcome != "truncated"
    if budget == 0 and profile != "none":
        assert len(reasoning.split()) <= 1
    if budget == 3 and profile != "none":
        assert len(reasoning.split()) <= 4


def test_the_examples_of_prompted_thinking_close_what_they_open() -> None:
    turns = ask_to_think(QUESTION, "<think>", "</think>")
    assert all(a[0] != b[0] for a, b in pairwise(turns))
    assert all(t.count("<think>") == t.count("</think>") == 1 for role, t in turns if role == "assistant")
