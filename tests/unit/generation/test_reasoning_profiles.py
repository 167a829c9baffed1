"""Which profile a model id suggests, and what a request becomes by it."""

from __future__ import annotations

import pytest

from services.core.wire.chat import ChatMessage, ChatRequest
from services.generation.entries import ModelEntry
from services.generation.reasoning.conversation import fold_system_text, remove_thinking, split_reasoning
from services.generation.reasoning.matching import InvalidProfile, find_profile
from services.generation.reasoning.profiles import PROFILES
from services.generation.reasoning.thinking import Task
from services.generation.task import make_task

MODELS = {
    "deepseek-ai/DeepSeek-R1": "deepseek-r1",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-8B": "deepseek-r1",
    "bartowski/DeepSeek-R1-Distill-Qwen-1.5B-GGUF": "deepseek-r1",
    "deepseek-r1:8b": "deepseek-r1",
    "Qwen/QwQ-32B": "qwq",
    "Qwen/Qwen3-8B": "qwen3",
    "qwen3:4b": "qwen3",
    "Qwen/Qwen3.5-27B": "qwen3.5",
    "Qwen/Qwen3-30B-A3B-Instruct-2507": "none",
    "Qwen/Qwen3-4B-Thinking-2507": "prefilled",
    "openai/gpt-oss-20b": "gpt-oss",
    "ibm-granite/granite-3.3-8b-instruct": "granite",
    "microsoft/Phi-4-reasoning-plus": "phi-4-reasoning",
    "microsoft/Phi-4-mini-reasoning": "phi-4-reasoning",
    "microsoft/phi-4": "none",
    "mistralai/Magistral-Small-2506": "magistral",
    "mistralai/Mistral-7B-Instruct-v0.3": "none",
    "NovaSky-AI/Sky-T1-32B-Preview": "sky-t1",
    "meta-llama/Llama-3.1-8B-Instruct": "none",
    "meta-llama/Llama-3.3-70B-Instruct": "none",
    "qwen2.5-coder-0.5b-instruct": "none",
    "smollm2-135m-instruct": "none",
    "google/gemma-3-4b-it": "alternating",
    "google/gemma-4-27b-it": "gemma-4",
    "MiniMaxAI/MiniMax-M3": "minimax-m3",
    "o3-mini": "openai-reasoning",
    "openai/gpt-5": "openai-reasoning",
    "mistralai/Mixtral-8x7B-Instruct-v0.1": "alternating",
    "deepseek-ai/DeepSeek-V3.1": "deepseek-v3.1",
    "deepseek-ai/DeepSeek-V3": "unknown",
    "moonshotai/Kimi-K2-Thinking": "kimi-k2",
    "moonshotai/Kimi-K2-Instruct": "none",
    "MiniMaxAI/MiniMax-M2": "minimax-m2",
    "baidu/ERNIE-4.5-21B-A3B-Thinking": "ernie",
    "tencent/Hunyuan-A13B-Instruct": "hunyuan",
    "ByteDance-Seed/Seed-OSS-36B-Instruct": "seed-oss",
    "nvidia/Llama-3.1-Nemotron-Nano-8B-v1": "nemotron",
    "nvidia/Llama-3_3-Nemotron-Super-49B-v1": "nemotron",
    "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF": "none",
    "zai-org/GLM-4.5-Air": "tags",
    "zai-org/GLM-4.6": "tags",
    "zai-org/GLM-Z1-9B-0414": "prefilled",
    "allenai/Olmo-3-7B-Think": "prefilled",
    "allenai/Olmo-3-7B-Instruct": "none",
    "somebody/thinker-9b": "unknown",
    "somebody/model": "unknown",
    "": "unknown",
}


@pytest.mark.parametrize(("model", "profile"), MODELS.items())
def test_profile_of_a_model(model: str, profile: str) -> None:
    assert find_profile(model).name == profile


def test_override() -> None:
    assert find_profile("deepseek-r1", "prompted") is PROFILES["prompted"]
    with pytest.raises(InvalidProfile, match=r"'promted': choose one of .*prompted"):
        find_profile("x", "promted")


def test_names_are_those_of_the_profiles() -> None:
    assert all(name == profile.name for name, profile in PROFILES.items())


def made(model: str, *, entry: dict[str, object] | None = None, **fields: object) -> Task:
    messages = fields.pop("messages", [ChatMessage(role="user", content="q")])
    request = ChatRequest(messages=messages, **fields)  # type: ignore[arg-type]
    named = ModelEntry(name="m", model_id=model, **(entry or {}))  # type: ignore[arg-type]
    return make_task(request, named, answer=512, thinking=2048)


def test_sampling_is_the_requests_then_the_entrys_then_the_profiles() -> None:
    def sampling(**fields: object) -> tuple[float, float]:
        prompt = made("deepseek-r1", **fields).prompt
        return prompt.temperature, prompt.top_p

    assert sampling() == (0.6, 0.95)
    assert sampling(entry={"temperature": 0.7}) == (0.7, 0.95)
    assert sampling(entry={"temperature": 0.7, "top_p": 0.5}, temperature=0, top_p=1) == (0, 1)
    instruct = made("llama-3.1-8b-instruct").prompt
    assert (instruct.temperature, instruct.top_p) == (0, 1)


def test_r1_gets_no_system_message() -> None:
    messages = [
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="a"),
        ChatMessage(role="assistant", content="<think>secret</think>\n\nb"),
        ChatMessage(role="user", content="c"),
    ]
    folded_in = (("user", "Be brief.\n\na"), ("assistant", "b"), ("user", "c"))
    assert made("deepseek-r1", messages=messages).prompt.messages == folded_in
    kept = (("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"))
    assert made("llama-3.1-8b-instruct", messages=messages).prompt.messages == kept


def test_folding_without_a_user_turn_or_a_system_text() -> None:
    assert fold_system_text((("system", "a"), ("assistant", "b"))) == (("user", "a"), ("assistant", "b"))
    assert fold_system_text((("user", "a"),)) == (("user", "a"),)


@pytest.mark.parametrize(
    "text",
    [
        "<think>secret</think>\n\nYes.",
        "secret\n</think>\n\nYes.",
        "<think>secret</think>\n<think>secret</think>Yes.",
        "<reasoning>secret</reasoning> Yes.",
        "[THINK]secret[/THINK]Yes.",
        "Yes.<think>secret",
        "Yes.",
    ],
)
def test_history_is_answers_alone(text: str) -> None:
    assert remove_thinking((("user", text), ("assistant", text))) == (("user", text), ("assistant", "Yes."))


def test_history_keeps_code() -> None:
    text = "Write `<think>`, or:\n```\n</think>\n```"
    assert remove_thinking((("assistant", text),)) == (("assistant", text),)


def test_split_of_a_closer_without_opener() -> None:
    assert split_reasoning("hm\n</think>\n\nYes", PROFILES["tags"]) == ("hm", "Yes")


@pytest.mark.parametrize(
    ("model", "changes", "trace", "thinking"),
    [
        ("qwen2.5-coder-1.5b-instruct", {"think": True, "max_reasoning_tokens": 64}, "prompted", 64),
        ("qwen2.5-coder-1.5b-instruct", {"max_reasoning_tokens": 64}, "none", 0),
        ("qwen2.5-coder-1.5b-instruct", {"think": True, "max_reasoning_tokens": 0}, "prompted", 0),
        (
            "deepseek-ai/DeepSeek-R1-Distill-Llama-8B",
            {"think": True, "max_reasoning_tokens": 64},
            "prefilled",
            64,
        ),
    ],
)
def test_a_request_may_ask_an_instruct_model_to_think(model, changes, trace, thinking) -> None:
    request = ChatRequest(messages=[ChatMessage(role="user", content="Why?")], **changes)
    made = make_task(request, ModelEntry(name="a", model_id=model), answer=100, thinking=500)
    assert (made.profile.trace, made.limits.thinking) == (trace, thinking)
