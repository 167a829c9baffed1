"""Control tokens in texts that people wrote: they reach an engine as text. Pure.

`<|im_start|>` in a question, a passage or an earlier answer is one token to a model, which then takes what
follows for another turn; `</think>` ends its thinking, and chat templates cut an assistant's turn there. So a
WORD JOINER, which has no width, is put behind the first character of each: a tokenizer finds no control token
in that, and a model reads it as the same word. What the model repeats of it is taken out of its output again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import orjson

from services.core.wire.features import ToolCallDelta

JOINER = "\N{WORD JOINER}"
_ESCAPED = "\\u2060"

_FAMILIES = (
    r"<\|[^<>|\s]{1,64}\|>",  # ChatML, Llama 3, Phi, Granite, Command R, harmony, GPT's own
    r"<\|[\w\"]{1,32}>|<[\w\"]{1,32}\|>",  # Gemma 4
    r"<\uff5c[^<>\s]{1,64}\uff5c>",  # DeepSeek, Hunyuan
    r"</?s>|<<?/?SYS>>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT)|PREFIX|SUFFIX)\]",
    r"<(?:bos|eos|pad|unk|mask|sop|eop|cls|sep)>|\[g?MASK\]",
    r"<(?:start|end)_of_(?:turn|image)>|<seed:\w{1,32}>|</?(?:mm:)?tool_(?:call|calls|response)>",
    r"<fim_(?:prefix|middle|suffix|pad)>|\]~!?b\[?\]?|\[e~\[",
)
"""By the models whose tokenizers and templates have them."""

_TAGS = r"</?(?:mm:|seed:)?(?:think|thinking|thought|reasoning)>|\[/?THINK\]"


def compile_tokens(tags: Iterable[str] = ()) -> re.Pattern[str]:
    """Compile the control tokens of all families of models, the tags around thinking, and these besides."""
    known = [re.escape(tag) for tag in sorted(tags, key=len, reverse=True)]
    return re.compile("|".join([*known, *_FAMILIES, _TAGS]), re.IGNORECASE)


KNOWN = compile_tokens()
"""The control tokens of a model of which nothing is known."""


def break_tokens(text: str, tokens: re.Pattern[str] = KNOWN) -> str:
    """Return the text with every control token in it broken up."""
    while tokens.search(text):  # what was broken up may hold another one: `<|[INST]|>`
        text = tokens.sub(lambda match: f"{match[0][0]}{JOINER}{match[0][1:]}", text)
    return text


def break_calls(fields: Mapping[str, object], tokens: re.Pattern[str] = KNOWN) -> dict[str, object]:
    """Break up the control tokens in what a message says of tools: in the arguments of its calls.

    Arguments are JSON, in which a token may be written with escapes: chat templates read it.
    """
    calls = fields.get("tool_calls")
    if not isinstance(calls, list):
        return dict(fields)
    return {**fields, "tool_calls": [_break_call(call, tokens) for call in calls]}


def _break_call(call: Mapping[str, object], tokens: re.Pattern[str]) -> dict[str, object]:
    function = call.get("function")
    if not isinstance(function, Mapping):
        return dict(call)
    arguments = str(function.get("arguments") or "")
    try:
        value = orjson.loads(arguments)
        broken = _break_values(value, tokens)
        written = arguments if broken == value else orjson.dumps(broken).decode()
    except orjson.JSONDecodeError:
        written = break_tokens(arguments, tokens)
    return {**call, "function": {**function, "arguments": written}}


def _break_values(value: object, tokens: re.Pattern[str]) -> object:
    if isinstance(value, str):
        return break_tokens(value, tokens)
    if isinstance(value, list):
        return [_break_values(one, tokens) for one in value]
    if isinstance(value, Mapping):
        return {break_tokens(name, tokens): _break_values(one, tokens) for name, one in value.items()}
    return value


def restore_text(text: str) -> str:
    """Take out of a model's output what `break_tokens` has put into its prompt."""
    return text.replace(JOINER, "")


def restore_call(call: ToolCallDelta) -> ToolCallDelta:
    """Take it out of a piece of a tool call too; in its JSON it may be written as an escape."""
    arguments = call.function.arguments
    if not arguments or not (JOINER in arguments or _ESCAPED in arguments):
        return call
    plain = restore_text(arguments).replace(_ESCAPED, "")
    return call.model_copy(update={"function": call.function.model_copy(update={"arguments": plain})})
