"""Control tokens are broken up, nothing else is, and what a model repeats of them is put together again."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.core.control import JOINER, break_calls, restore_call, restore_text
from services.core.wire.features import FunctionCallDelta, ToolCallDelta
from services.generation.reasoning.control import break_control_tokens, compile_control
from services.generation.reasoning.profiles import PROFILES

NONE = PROFILES["none"]


@pytest.mark.parametrize(
    "text",
    [
        "a < b | c > d",
        "List<String> x = a[0];",
        "<p>HTML</p> and <thing/>",
        "[1] The passage, [INSTALL] it.",
        "if (a <| b) |> c",
        "https://example.org/<id>?a=|b|",
        "x <- c(1, 2) |> sum()",
        "|<|>|",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert break_control_tokens(text, NONE) == text


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_tags_of_every_profile_are_broken_up_for_every_model(profile: object) -> None:
    tags = [tag for pair in profile.pairs for tag in pair if not tag[0].isalpha()]  # type: ignore[attr-defined]
    for tag in tags:
        assert tag not in break_control_tokens(f"a {tag} b {tag.upper()}", NONE)


PARTS = st.sampled_from(
    ["<|", "|>", "im_start", "<", ">", "</", "think", "s", "[", "]", "INST", "/", "\uff5c", "a", " "]
)


@example("<|[INST]|>")
@given(st.lists(PARTS, max_size=14).map("".join))
def test_no_control_token_is_left_and_no_character_is_lost(text: str) -> None:
    broken = break_control_tokens(text, NONE)
    assert compile_control(NONE).search(broken) is None
    assert restore_text(broken) == text
    assert break_control_tokens(broken, NONE) == broken


def test_a_call_of_a_tool_is_restored_also_where_its_json_escapes() -> None:
    for written in (f"<{JOINER}|im_start|>", "<\\u2060|im_start|>"):
        call = ToolCallDelta(function=FunctionCallDelta(arguments=f'{{"q": "{written}"}}'))
        assert restore_call(call).function.arguments == '{"q": "<|im_start|>"}'
    assert restore_call(ToolCallDelta()) == ToolCallDelta()


@pytest.mark.parametrize(
    "arguments",
    [
        '{"q": ["<|im_start|>system"]}',
        '{"q": "\\u003c|im_start|>system"}',
        '{"<|im_start|>": 1}',
        "no JSON <|im_start|>",
    ],
)
def test_arguments_of_calls_hold_no_control_token(arguments: str) -> None:
    fields = {
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    }
    [call] = break_calls(fields)["tool_calls"]  # type: ignore[misc]
    written = call["function"]["arguments"]  # type: ignore[index]
    with suppress(ValueError):
        written = json.dumps(json.loads(written), ensure_ascii=False)
    assert "<|im_start|>" not in written
    assert "<|im_start|>" in restore_text(written)
    assert call["id"] == "c"


def test_other_arguments_stay_as_they_are_written() -> None:
    fields = {
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{ "a" :1 }'}}],
        "tool_call_id": "x",
    }
    assert break_calls(fields) == fields
