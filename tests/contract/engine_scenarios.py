"""What an engine that nobody has seen may send, as data: one scenario is one reply and what has to come of it.

Each is played by a raw server (`misbehaving.Misbehaving`) to the real generation service.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from tests.contract.misbehaving import Part, Reply

YES = "Yes, bees fly. [1]"
HM = "The passage says so"
STALL = 30.0

PROFILES = ("none", "field", "unknown", "qwen3", "deepseek-r1", "gpt-oss", "prompted")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One reply, and what the client gets.

    `content` None: the fallback has to answer, and where there is none, nothing may look like an answer.
    """

    reply: Reply
    content: str | None = YES
    reasoning: str | None = None
    """The thinking that has to come; None: not looked at."""
    finish_reason: str = "stop"
    estimated: bool = False
    profiles: tuple[str, ...] = ("none", "unknown", "qwen3")
    hangs: bool = False
    """Nothing more comes: the entry's limits for silence end it."""


TRACE = f"Wings. {HM}."
LONG = " ".join([TRACE] * 400)


def event(body: object) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def chunk(delta: object, reason: object = None, **more: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]})


def text(content: object) -> bytes:
    return chunk({"content": content})


USAGE = event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}})
DONE = b"data: [DONE]\n\n"
END = (chunk({}, "stop"), USAGE, DONE)
CUT = (chunk({}, "length"), USAGE, DONE)
SAY = tuple(text(word) for word in ("Yes, ", "bees ", "fly. ", "[1]"))


def stream(*parts: Part) -> Reply:
    return Reply.stream(*parts)


def raw(data: str) -> bytes:
    return b"data: " + data.encode() + b"\n\n"


def plain(content: str, *, end: tuple[bytes, ...] = END) -> Reply:
    """Send a text in pieces of four characters."""
    return stream(*(text(content[at : at + 4]) for at in range(0, len(content), 4)), *end)


def think(field: str, *after: Part, end: tuple[Part, ...] = END) -> Reply:
    return stream(*(chunk({field: f"{word} "}) for word in HM.split()), *after, *end)


NO_ANSWER: dict[str, Scenario] = {
    **{
        f"only-{field.replace('_', '-')}-{name}": Scenario(think(field, end=end), None, profiles=PROFILES)
        for field in ("reasoning", "reasoning_content", "thinking")
        for name, end in (("length", CUT), ("stop", END))
    },
    "only-reasoning-then-blank": Scenario(think("reasoning", text("\n\n")), None, profiles=PROFILES),
    "only-thinking-parts": Scenario(
        stream(text([{"type": "thinking", "thinking": [{"type": "text", "text": HM}]}]), *CUT),
        None,
        profiles=PROFILES,
    ),
    "only-reasoning-details": Scenario(
        stream(chunk({"reasoning_details": [{"type": "reasoning.text", "text": HM}]}), *CUT), None
    ),
    "empty-stop": Scenario(stream(text(""), *END), None, profiles=PROFILES),
    "null-stop": Scenario(stream(chunk({"role": "assistant", "content": None}), *END), None),
    "blank-stop": Scenario(stream(text(" "), text("\n"), *END), None, profiles=PROFILES),
    "end-token-alone": Scenario(stream(text("<|im_end|>"), *END), None),
    "invisible-stop": Scenario(stream(text("\u200b\u2060\ufeff"), *END), None),
    "empty-list-stop": Scenario(stream(text([]), *END), None),
    "tool-calls": Scenario(
        stream(
            chunk({"tool_calls": [{"id": "1", "function": {"name": "f"}}]}), chunk({}, "tool_calls"), DONE
        ),
        None,
    ),
    "function-call": Scenario(
        stream(chunk({"function_call": {"name": "f", "arguments": "{}"}}), chunk({}, "function_call"), DONE),
        None,
    ),
    "hidden-thinking": Scenario(
        stream(
            text(""),
            chunk({}, "length"),
            event(
                {
                    "choices": [],
                    "usage": {
                        "prompt_tokens": 9,
                        "completion_tokens": 64,
                        "completion_tokens_details": {"reasoning_tokens": 64},
                    },
                }
            ),
            DONE,
        ),
        None,
    ),
    "unclosed-tag-length": Scenario(
        plain(f"<think>\n{HM}", end=CUT), None, profiles=("unknown", "qwen3", "deepseek-r1")
    ),
    "silent": Scenario(Reply([STALL]), None, hangs=True),
    "head-then-silent": Scenario(stream(STALL), None, hangs=True),
    "role-then-silent": Scenario(
        stream(chunk({"role": "assistant", "content": ""}), STALL), None, hangs=True
    ),
    "keepalives-alone": Scenario(
        stream(*[part for _ in range(60) for part in (b": ping\n\n", 0.1)]), None, hangs=True
    ),
    "thinks-then-hangs": Scenario(think("reasoning", end=(STALL,)), None, hangs=True),
    "thinks-then-dies": Scenario(Reply.torn(chunk({"reasoning": HM})), None),
    "thinks-then-error": Scenario(think("reasoning", event({"error": {"message": "out of memory"}})), None),
    "error-first": Scenario(stream(event({"error": {"message": "out of memory"}})), None),
    "error-choice": Scenario(stream(chunk({}, "error", error={"message": "boom"})), None),
    "empty-stream": Scenario(stream(DONE), None),
    "no-event": Scenario(stream(b"\n\n"), None),
    "html": Scenario(Reply.status("200 OK", b"<html><body>hi</body></html>", kind="text/html"), None),
    "not-json": Scenario(stream(raw("Yes, bees fly.")), None),
    "503": Scenario(Reply.status("503 Service Unavailable", b'{"error": {"message": "loading"}}'), None),
}
"""Nothing here is an answer: the fallback has to give it, and where there is none, never `stop`."""

ANSWERED: dict[str, Scenario] = {
    "good": Scenario(stream(*SAY, *END), profiles=PROFILES),
    # the text in other clothes
    "message-for-delta": Scenario(
        stream(
            event({"choices": [{"index": 0, "message": {"content": YES}, "finish_reason": "stop"}]}),
            USAGE,
            DONE,
        )
    ),
    "message-repeats-all": Scenario(
        stream(
            *SAY,
            event({"choices": [{"index": 0, "message": {"content": YES}, "finish_reason": "stop"}]}),
            USAGE,
            DONE,
        )
    ),
    "text-for-delta": Scenario(
        stream(event({"choices": [{"index": 0, "text": YES, "finish_reason": "stop"}]}), USAGE, DONE)
    ),
    "refusal": Scenario(
        stream(chunk({"refusal": "I cannot "}), chunk({"refusal": "help."}), *END),
        "I cannot help.",
        finish_reason="content_filter",
    ),
    "number": Scenario(stream(text(4), text(2), *END), "42"),
    "zero": Scenario(stream(text(0), *END), "0"),
    "parts": Scenario(stream(text([{"type": "text", "text": "Yes, "}]), *SAY[1:], *END)),
    "text-parts-bare": Scenario(stream(text(["Yes, ", "bees "]), *SAY[2:], *END)),
    "thinking-parts": Scenario(
        stream(text([{"type": "thinking", "thinking": [{"type": "text", "text": HM}]}]), *SAY, *END),
        reasoning=HM,
    ),
    "lone-surrogate": Scenario(
        stream(raw('{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}'), *SAY, *END), "\ufffd" + YES
    ),
    "split-surrogate": Scenario(
        stream(
            *SAY,
            raw('{"choices":[{"index":0,"delta":{"content":" \\ud83d"}}]}'),
            raw('{"choices":[{"index":0,"delta":{"content":"\\udc1d!"}}]}'),
            *END,
        ),
        f"{YES} \U0001f41d!",
    ),
    "surrogate-at-the-end": Scenario(
        stream(*SAY, raw('{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}'), *END), f"{YES}\ufffd"
    ),
    "bad-utf-8": Scenario(
        stream(b'data: {"choices":[{"index":0,"delta":{"content":"\xff"}}]}\n\n', *SAY, *END), "\ufffd" + YES
    ),
    "framed-twice": Scenario(stream(*(b"data: " + part for part in (*SAY, *END)))),
    "not-a-number": Scenario(
        stream(raw('{"choices":[{"index":0,"delta":{"content":"Yes, "},"logprobs":NaN}]}'), *SAY[1:], *END)
    ),
    "index-as-text": Scenario(
        stream(
            *(
                event({"choices": [{"index": "0", "delta": {"content": word}}]})
                for word in ("Yes, ", "bees ", "fly. ", "[1]")
            ),
            *END,
        )
    ),
    "end-token-in-the-text": Scenario(plain(f"{YES}<|im_end|>"), YES, profiles=PROFILES),
    "end-token-in-pieces": Scenario(stream(*SAY, text("<|eot"), text("_id"), text("|>"), *END), YES),
    "end-token-that-is-named": Scenario(plain("A turn ends with <|im_end|>"), "A turn ends with <|im_end|>"),
    "end-token-within": Scenario(plain("It is<|im_end|>, or</s>."), "It is<|im_end|>, or</s>."),
    "byte-order-mark": Scenario(stream(b"\xef\xbb\xbf" + SAY[0], *SAY[1:], *END)),
    "lines-of-one-event": Scenario(
        stream(
            *SAY,
            b'data: {"choices": [{"index": 0,\ndata: "delta": {}, "finish_reason": "stop"}]}\n\n',
            *END[1:],
        )
    ),
    "whole-json": Scenario(
        Reply.status(
            "200 OK",
            orjson.dumps(
                {
                    "object": "chat.completion",
                    "choices": [{"index": 0, "message": {"content": YES}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 9, "completion_tokens": 5},
                }
            ),
        )
    ),
    "one-write": Scenario(stream(b"".join((*SAY, *END)))),
    "two-choices": Scenario(
        stream(
            *(
                event(
                    {
                        "choices": [
                            {"index": 1, "delta": {"content": "No!"}},
                            {"index": 0, "delta": {"content": word}},
                        ]
                    }
                )
                for word in ("Yes, ", "bees ", "fly. ", "[1]")
            ),
            event({"choices": [{"index": 1, "delta": {"content": "Never"}, "finish_reason": "stop"}]}),
            *END,
        )
    ),
    "other-choice-alone": Scenario(
        stream(*SAY, event({"choices": [{"index": 1, "delta": {"content": "No!"}}]}), *END)
    ),
    "field-twice": Scenario(
        stream(chunk({"reasoning": HM, "reasoning_content": HM}), *SAY, *END), reasoning=HM, profiles=PROFILES
    ),
    "details-twice": Scenario(
        stream(
            chunk({"reasoning": HM, "reasoning_details": [{"type": "reasoning.text", "text": HM}]}),
            *SAY,
            *END,
        ),
        reasoning=HM,
    ),
    "channels-in-one-chunk": Scenario(
        stream(chunk({"reasoning": HM, "content": "Yes, "}), *SAY[1:], *END), reasoning=HM
    ),
    # the stream in other clothes
    "role-chunks": Scenario(stream(*[chunk({"role": "assistant"}), *SAY] * 1, *END)),
    "null-choices": Scenario(stream(event({"choices": None}), *SAY, *END)),
    "null-delta": Scenario(stream(chunk(None), *SAY, *END)),
    "empty-data": Scenario(stream(b"data:\n\n", b"data: \n\n", *SAY, *END)),
    "ping-data": Scenario(stream(raw("ping"), *SAY[:2], raw('{"type": "ping"}'), raw("{}"), *SAY[2:], *END)),
    "comments": Scenario(stream(b": keepalive\n\n", *SAY[:2], b": x\n\n", *SAY[2:], *END)),
    "named-events": Scenario(stream(*(b"event: message\nid: 1\n" + part for part in SAY), *END)),
    "no-space": Scenario(stream(*(part.replace(b"data: ", b"data:", 1) for part in (*SAY, *END)))),
    "carriage-returns": Scenario(stream(*(part.replace(b"\n", b"\r\n") for part in (*SAY, *END)))),
    "done-with-space": Scenario(stream(*SAY, *END[:2], b"data:  [DONE] \n\n")),
    "no-done": Scenario(stream(*SAY, *END[:2])),
    "text-after-finish": Scenario(stream(*SAY[:2], chunk({}, "stop"), *SAY[2:], USAGE, DONE)),
    "finish-in-every-chunk": Scenario(
        stream(
            *(chunk({"content": word}, "stop") for word in ("Yes, ", "bees ", "fly. ", "[1]")), USAGE, DONE
        )
    ),
    # the end
    "hang-after-finish": Scenario(stream(*SAY, END[0], STALL), estimated=True),
    "hang-after-usage": Scenario(stream(*SAY, *END[:2], STALL)),
    "dies-after-finish": Scenario(Reply.torn(*SAY, END[0]), estimated=True),
    "error-after-finish": Scenario(
        stream(*SAY, END[0], event({"error": {"message": "out of memory"}})), estimated=True
    ),
    "garbage-after-finish": Scenario(stream(*SAY, END[0], raw("<html>")), estimated=True),
    "done-cut-off": Scenario(stream(*SAY, *END[:2], b"data: [DONE]")),
    **{
        f"word-{word.replace('_', '-').lower()}": Scenario(stream(*SAY, chunk({}, word), USAGE, DONE))
        for word in ("STOP", "eos_token", "end_turn", "complete", "finished", "stop_token")
    },
    "word-as-object": Scenario(stream(*SAY, chunk({}, {"type": "eos", "reason": "x"}), USAGE, DONE)),
    "word-true": Scenario(stream(*SAY, chunk({}, True), USAGE, DONE)),
    "word-null-text": Scenario(stream(*SAY, chunk({}, "null"), *END)),
    **{
        f"cut-{word.replace('_', '-').lower()}": Scenario(
            stream(*SAY, chunk({}, word), USAGE, DONE), finish_reason="length"
        )
        for word in ("length", "MAX_TOKENS", "max_output_tokens", "token_limit", "truncated")
    },
    "cut-then-stop": Scenario(stream(*SAY, chunk({}, "length"), *END), finish_reason="length"),
    "stop-then-cut": Scenario(stream(*SAY, chunk({}, "stop"), *CUT), finish_reason="length"),
    "stop-beyond-the-limit": Scenario(
        stream(
            *SAY,
            END[0],
            event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 999999}}),
            DONE,
        ),
        finish_reason="length",
    ),
    "filtered-safety": Scenario(
        stream(*SAY, chunk({}, "SAFETY"), USAGE, DONE), finish_reason="content_filter"
    ),
    # the counts
    "no-usage": Scenario(stream(*SAY, END[0], DONE), estimated=True),
    "usage-null": Scenario(stream(*SAY, END[0], event({"choices": [], "usage": None}), DONE), estimated=True),
    "usage-zero": Scenario(
        stream(
            *SAY, END[0], event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}), DONE
        ),
        estimated=True,
    ),
    "usage-words": Scenario(
        stream(*SAY, END[0], event({"choices": [], "usage": {"prompt_tokens": "many"}}), DONE), estimated=True
    ),
    "usage-foreign": Scenario(
        stream(*SAY, END[0], event({"choices": [], "usage": {"input": 3, "output": 4}}), DONE), estimated=True
    ),
    "usage-negative": Scenario(
        stream(
            *SAY, END[0], event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": -1}}), DONE
        ),
        estimated=True,
    ),
    "usage-in-every-chunk": Scenario(
        stream(
            *(
                event(
                    {
                        "choices": [{"index": 0, "delta": {"content": word}}],
                        "usage": {"prompt_tokens": 9, "completion_tokens": at + 1},
                    }
                )
                for at, word in enumerate(("Yes, ", "bees ", "fly. ", "[1]"))
            ),
            *END,
        )
    ),
}
"""Strange, but an answer all the same: it is kept, with the right end."""

PROSE = (
    "A <think> tag opens it.",
    "The tag </think> closes it.",
    "It ends with </think>",
    'It is "<think>", then "</think>".',
    "Both <think> and </think> are tags.",
    "Use (<think>) or **<think>**, not </think>!",
    "Write <think>",
)
TAGGED = {
    **{
        f"prose-{number}": Scenario(plain(sentence), sentence, profiles=("none", "field", "unknown", "qwen3"))
        for number, sentence in enumerate(PROSE)
    },
    **{
        f"prose-after-field-{number}": Scenario(
            stream(
                chunk({"reasoning": HM}),
                *(text(sentence[at : at + 3]) for at in range(0, len(sentence), 3)),
                *END,
            ),
            sentence,
            HM,
            profiles=PROFILES,
        )
        for number, sentence in enumerate(
            (
                *PROSE,
                "Write <think>first</think> and then the answer.",
                "One\n\n<think>\n\nis a line of XML.",
                "See:\n</think>\nis the end.",
                "<think> is the opener.",
                "</think> is the closer.",
                "Use <think>like this.",
            )
        )
    },
    **{
        f"prose-after-tags-{number}": Scenario(
            plain(f"<think>\n{HM}\n</think>\n\n{sentence}"),
            sentence,
            HM,
            profiles=("unknown", "qwen3", "deepseek-r1"),
        )
        for number, sentence in enumerate((*PROSE, "Use <think>like this.", "One\n<think>\nnever closed."))
    },
    "opener-missing-unknown": Scenario(
        plain(f"Okay, {HM}.\n</think>\n\n{YES}"), YES, f"Okay, {HM}.", profiles=("unknown", "deepseek-r1")
    ),
    "opener-missing": Scenario(plain(f"{TRACE}\n</think>\n\n{YES}"), YES, TRACE, profiles=("unknown",)),
    "opener-missing-other-tags": Scenario(
        plain(f"{TRACE}\n[/THINK]{YES}"), YES, TRACE, profiles=("unknown",)
    ),
    "sounds-like-thinking": Scenario(
        plain(f"Well, {YES}"), f"Well, {YES}", "", profiles=("unknown", "none", "qwen3")
    ),
    "leftover-closer": Scenario(
        stream(chunk({"reasoning": HM}), text("\n</think>\n\n"), *SAY, *END),
        reasoning=HM,
        profiles=("field", "unknown", "qwen3", "deepseek-r1"),
    ),
    "leftover-block": Scenario(
        stream(chunk({"reasoning": "a"}), text("<think>\nb\n</think>\n\n"), *SAY, *END),
        profiles=("field", "unknown", "qwen3", "deepseek-r1"),
    ),
    "second-block": Scenario(
        plain("<think>\na\n</think>\n\nYes, bees\n\n<think>\nb\n</think>\n\nfly. [1]"),
        "Yes, bees\n\nfly. [1]",
        "a\nb",
        profiles=("unknown", "qwen3", "deepseek-r1"),
    ),
    "cut-in-second-block": Scenario(
        plain("<think>\na\n</think>\n\nYes, bees fly. [1]\n\n<think>\nb", end=CUT),
        f"{YES}\n\n",
        "a\nb",
        finish_reason="length",
        profiles=("unknown", "qwen3"),
    ),
    "in-code": Scenario(
        plain("Write `<think>x</think>`."), "Write `<think>x</think>`.", profiles=("none", "qwen3")
    ),
}
"""Tags that are named are text; tags that are meant are thinking."""

BROKEN = {
    **{
        f"broken-word-{word.replace('_', '-')}": Scenario(stream(*SAY, chunk({}, word), DONE))
        for word in ("abort", "error", "cancelled", "insufficient_system_resource", "timeout")
    },
    "broken-no-finish": Scenario(stream(*SAY, DONE)),
    "broken-cut": Scenario(stream(*SAY)),
    "broken-dies": Scenario(Reply.torn(*SAY)),
    "broken-stalls": Scenario(stream(*SAY, STALL), hangs=True),
    "broken-error-inside": Scenario(stream(*SAY, event({"error": "out of memory"}))),
    "broken-error-event": Scenario(stream(*SAY, b'event: error\ndata: {"error": {"message": "boom"}}\n\n')),
    "broken-not-json": Scenario(stream(*SAY, raw("fly away"), *END)),
}
"""The answer has begun and does not end: an error, never a whole answer."""

MISPLACED = {
    "misplaced": Scenario(plain(f"{LONG}\n</think>\n\n{YES}"), YES, LONG),
    "misplaced-then-nothing": Scenario(plain(f"{LONG}\n</think>\n"), None, LONG),
}
"""More thinking without an opener than is held back where a user bounds it: a stream cannot call it back, but
can say so."""

SCENARIOS = NO_ANSWER | ANSWERED | TAGGED | BROKEN
