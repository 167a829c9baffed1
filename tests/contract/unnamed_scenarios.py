"""Misbehaviour that no report names: thinking in every dress, odd streams and odd HTTP. See `engine_scenarios`."""

from __future__ import annotations

import gzip

from tests.contract.engine_scenarios import (
    CUT,
    DONE,
    END,
    HM,
    SAY,
    STALL,
    TRACE,
    USAGE,
    YES,
    Scenario,
    chunk,
    event,
    plain,
    raw,
    stream,
    text,
)
from tests.contract.misbehaving import HEAD, Reply, chunked

GUESSED = ("unknown", "instruct")
"""A model that nobody knows, and one whose name says that it does not think."""
TAGGED_BY = ("unknown", "instruct", "field", "qwen3")
ANALYSIS = "<|channel|>analysis<|message|>"
FINAL = "<|end|><|start|>assistant<|channel|>final<|message|>"


def whole(parts: tuple[bytes, ...]) -> bytes:
    return b"".join(parts)


def bytewise(data: bytes, step: int = 1) -> Reply:
    """Send a body in pieces of that many bytes, wherever that cuts."""
    return stream(*(data[at : at + step] for at in range(0, len(data), step)))


def head(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    kind = "content-type: text/event-stream"
    return "\r\n".join([status, kind, *lines, "connection: close", "", ""]).encode()


def wrapped(opener: str, closer: str, answer: str = YES) -> Reply:
    return plain(f"{opener}\n{HM}\n{closer}\n\n{answer}")


GOOD = whole((*SAY, *END))

DRESSED = {
    "tags-upper-case": Scenario(wrapped("<THINK>", "</THINK>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-mixed-case": Scenario(wrapped("<Think>", "</think>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-thinking": Scenario(wrapped("<thinking>", "</thinking>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-reasoning": Scenario(wrapped("<reasoning>", "</reasoning>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-thought": Scenario(wrapped("<thought>", "</thought>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-magistral": Scenario(wrapped("[THINK]", "[/THINK]"), reasoning=HM, profiles=TAGGED_BY),
    "tags-kimi": Scenario(wrapped("\u25c1think\u25b7", "\u25c1/think\u25b7"), reasoning=HM, profiles=TAGGED_BY),
    "tags-seed": Scenario(wrapped("<seed:think>", "</seed:think>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-minimax": Scenario(wrapped("<mm:think>", "</mm:think>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-gemma": Scenario(wrapped("<|channel>thought", "<channel|>"), reasoning=HM, profiles=TAGGED_BY),
    "tags-sky": Scenario(
        wrapped("<|begin_of_thought|>", "<|end_of_thought|>"), reasoning=HM, profiles=TAGGED_BY
    ),
    "tags-sky-solution": Scenario(
        plain(
            f"<|begin_of_thought|>\n{HM}\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{YES}<|end_of_solution|>"
        ),
        reasoning=HM,
        profiles=("unknown",),
    ),
    "tags-escaped": Scenario(wrapped("&lt;think&gt;", "&lt;/think&gt;"), reasoning=HM, profiles=TAGGED_BY),
    "harmony": Scenario(
        plain(f"{ANALYSIS}{HM}{FINAL}{YES}<|return|>"), reasoning=HM, profiles=("unknown", "gpt-oss")
    ),
    "harmony-twice": Scenario(
        plain(f"{ANALYSIS}a<|end|><|start|>assistant{ANALYSIS}b{FINAL}{YES}"),
        profiles=("unknown", "gpt-oss"),
    ),
    "two-kinds-of-tags": Scenario(
        plain(f"<think>\na\n</think>\n<reasoning>\nb\n</reasoning>\n\n{YES}"), reasoning="a\nb", profiles=TAGGED_BY
    ),
    "block-between-other-tags": Scenario(
        plain("Yes, bees\n\n<thinking>\nb\n</thinking>\n\nfly. [1]"),
        "Yes, bees\n\nfly. [1]",
        "b",
        profiles=("unknown",),
    ),
    "block-between-answer-first": Scenario(
        plain("Yes, bees\n\n<think>\nb\n</think>\n\nfly. [1]"),
        "Yes, bees\n\nfly. [1]",
        "b",
        profiles=("unknown", "qwen3"),
    ),
    "block-after-the-answer": Scenario(
        plain(f"{YES}\n\n<think>\n{HM}\n</think>"), f"{YES}\n\n", HM, profiles=("unknown", "qwen3")
    ),
    "tag-in-single-characters": Scenario(
        stream(*(text(one) for one in f"<think>\n{HM}\n</think>\n\n{YES}"), *END), reasoning=HM, profiles=TAGGED_BY
    ),
    "closer-in-single-characters": Scenario(
        stream(*(text(one) for one in f"{TRACE}\n\u25c1/think\u25b7\n{YES}"), *END),
        reasoning=TRACE,
        profiles=("unknown",),
    ),
    "closer-at-once": Scenario(plain(f"</think>\n\n{YES}"), YES, "", profiles=("unknown", "qwen3")),
    "opener-missing-escaped": Scenario(
        plain(f"{TRACE}\n&lt;/think&gt;\n\n{YES}"), reasoning=TRACE, profiles=("unknown",)
    ),
    "opener-missing-upper-case": Scenario(
        plain(f"{TRACE}\n</THINK>\n\n{YES}"), reasoning=TRACE, profiles=("unknown",)
    ),
    "opener-missing-harmony": Scenario(
        plain(f"{TRACE}{FINAL}{YES}<|return|>"), reasoning=TRACE, profiles=("unknown",)
    ),
    "opener-missing-in-one-chunk": Scenario(
        stream(text(f"{TRACE}</think>{YES}"), *END), reasoning=TRACE, profiles=("unknown",)
    ),
    "opener-missing-names-its-tag": Scenario(
        plain(f"{TRACE} I close with a </think> tag.\n</think>\n\n{YES}"),
        reasoning=f"{TRACE} I close with a </think> tag.",
        profiles=("unknown",),
    ),
    "opener-missing-in-chinese": Scenario(
        plain(f"\u597d\u7684\uff0c\u7528\u6237\u60f3\u77e5\u9053\u3002\n</think>\n\n{YES}"),
        reasoning="\u597d\u7684\uff0c\u7528\u6237\u60f3\u77e5\u9053\u3002",
        profiles=("unknown",),
    ),
    "field-and-tags": Scenario(
        stream(chunk({"reasoning": HM}), text(f"<think>\n{HM}\n</think>\n\n"), *SAY, *END),
        profiles=("unknown", "field", "qwen3", "deepseek-r1"),
    ),
    "field-within-the-answer": Scenario(
        stream(*SAY[:2], chunk({"reasoning": HM}), *SAY[2:], *END), reasoning=HM, profiles=("unknown", "field")
    ),
    "field-null-in-every-chunk": Scenario(
        stream(
            chunk({"role": "assistant", "content": None, "reasoning_content": HM}),
            *(chunk({"content": word, "reasoning_content": None}) for word in ("Yes, ", "bees ", "fly. ", "[1]")),
            *END,
        ),
        reasoning=HM,
    ),
    "field-with-the-last-chunk": Scenario(
        stream(chunk({"reasoning": HM}), *SAY[:3], chunk({"content": "[1]", "reasoning": None}, "stop"), *END[1:]),
        reasoning=HM,
    ),
    "field-as-parts": Scenario(
        stream(chunk({"reasoning_content": [{"type": "text", "text": HM}]}), *SAY, *END), reasoning=HM
    ),
    "thoughts-as-marked-parts": Scenario(
        stream(text([{"text": HM, "thought": True}]), *SAY, *END), reasoning=HM
    ),
    "details-summary": Scenario(
        stream(chunk({"reasoning_details": [{"type": "reasoning.summary", "summary": HM}]}), *SAY, *END),
        reasoning=HM,
    ),
    "details-encrypted": Scenario(
        stream(
            chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "Zm9v"}], "content": ""}),
            *SAY,
            *END,
        )
    ),
    "turn-begun-again": Scenario(
        plain(f"{YES}<|im_end|>\n<|im_start|>user\nAnd ants?<|im_end|>\n<|im_start|>assistant\nNo."),
        estimated=True,
        profiles=("none",),
    ),
    "turn-begun-again-held-back": Scenario(
        plain(f"{YES}<|im_end|>\n<|im_start|>user\nAnd ants?<|im_end|>\n<|im_start|>assistant\nNo."),
        profiles=("unknown", "qwen3"),
    ),
    "header-of-the-turn": Scenario(plain(f"<|im_start|>assistant\n{YES}<|im_end|>"), YES),
}  # fmt: skip
"""An answer, whatever the thinking before, in or after it looks like."""

ODD: dict[str, Scenario] = {
    "bytes-one-by-one": Scenario(bytewise(GOOD)),
    "events-cut-anywhere": Scenario(bytewise(GOOD, 7)),
    "characters-cut-in-bytes": Scenario(
        bytewise(
            whole((text("Gr\u00fcn \U0001f41d "), *SAY, *END)).decode().encode(), 3
        ),
        f"Gr\u00fcn \U0001f41d {YES}",
    ),
    "finish-twice": Scenario(stream(*SAY, END[0], END[0], END[0], *END[1:])),
    "finish-empty-until-the-end": Scenario(
        stream(*(chunk({"content": word}, "") for word in ("Yes, ", "bees ", "fly. ", "[1]")), *END)
    ),
    "content-null-then-text": Scenario(
        stream(chunk({"role": "assistant", "content": None}), chunk({"content": None}), *SAY, *END)
    ),
    "content-as-object": Scenario(stream(text({"type": "text", "text": "Yes, "}), *SAY[1:], *END)),
    "image-part-beside-text": Scenario(
        stream(text([{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "Yes, "}]), *SAY[1:], *END)
    ),
    "no-index": Scenario(
        stream(*(event({"choices": [{"delta": {"content": word}}]}) for word in ("Yes, ", "bees ", "fly. ", "[1]")), *END)
    ),
    "calls-beside-text": Scenario(
        stream(*SAY, chunk({"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f"}}]}), chunk({}, "tool_calls"), USAGE, DONE)
    ),
    "usage-before-the-end": Scenario(stream(USAGE, *SAY, END[0], DONE)),
    "usage-as-text": Scenario(
        stream(*SAY, END[0], event({"choices": [], "usage": {"prompt_tokens": "9", "completion_tokens": "5"}}), DONE)
    ),
    "usage-astronomic": Scenario(
        stream(*SAY, END[0], raw('{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1%s}}' % ("0" * 40)), DONE),
        estimated=True,
    ),
    "unknown-fields-everywhere": Scenario(
        stream(*(chunk({"content": word, "audio": None, "x": [1]}, None, delta_id=3) for word in ("Yes, ", "bees ", "fly. ", "[1]")), *END)
    ),
    "retry-and-id-lines": Scenario(stream(b"retry: 10\n\n", *(b"id: 7\n" + part for part in (*SAY, *END)))),
    "null-character": Scenario(plain(f"{YES}\u0000"), f"{YES}\u0000"),
    # HTTP
    "http-1-0": Scenario(Reply([head(status="HTTP/1.0 200 OK"), GOOD])),
    "no-length-and-closed": Scenario(Reply([head(), GOOD])),
    "gzip": Scenario(Reply([head("content-encoding: gzip"), gzip.compress(GOOD)])),
    "length-too-long": Scenario(Reply([head(f"content-length: {len(GOOD) + 999}"), GOOD])),
    "chunk-extension": Scenario(
        Reply([HEAD, *(b"%x;x=1\r\n%b\r\n" % (len(part), part) for part in (*SAY, *END)), b"0\r\n\r\n"])
    ),
    "last-chunk-missing": Scenario(Reply.torn(*SAY, *END)),
    "kind-is-octets": Scenario(Reply([head("x: y").replace(b"text/event-stream", b"application/octet-stream"), GOOD])),
}  # fmt: skip
"""An answer, however it is sent."""

UNANSWERED: dict[str, Scenario] = {
    "opener-then-stop": Scenario(plain(f"<think>\n{YES}"), None, profiles=("unknown", "qwen3", "deepseek-r1")),
    "thinking-tags-then-length": Scenario(plain(f"<thinking>\n{HM}", end=CUT), None, profiles=TAGGED_BY),
    "opener-missing-then-length": Scenario(
        plain(f"Okay, the user asks. {HM}", end=CUT), None, profiles=("unknown", "deepseek-r1")
    ),
    "opener-missing-then-nothing": Scenario(plain(f"{TRACE}\n</think>\n\n"), None, profiles=("unknown", "deepseek-r1")),
    "empty-length": Scenario(stream(text(""), *CUT), None),
    "blank-length": Scenario(stream(text("\n\n"), *CUT), None),
    "harmony-analysis-alone": Scenario(plain(f"{ANALYSIS}{HM}<|end|>"), None, profiles=("unknown", "gpt-oss")),
    "field-holds-it-all": Scenario(stream(chunk({"reasoning": f"{HM}</think>{YES}"}), *END), None),
    "other-index-alone": Scenario(
        stream(*(event({"choices": [{"index": 3, "delta": {"content": word}, "finish_reason": None}]}) for word in ("Yes, ", "bees ")), DONE), None
    ),
    "ollama-native": Scenario(
        Reply.status("200 OK", b'{"message": {"content": "Yes"}, "done": false}\n{"done": true}\n', kind="application/x-ndjson"), None
    ),
    "anthropic-native": Scenario(
        stream(b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"text": "Yes"}}\n\n', b'event: message_stop\ndata: {"type": "message_stop"}\n\n'), None
    ),
    "error-as-json": Scenario(Reply.status("200 OK", b'{"error": "model is busy"}'), None),
    "detail-as-json": Scenario(Reply.status("200 OK", b'{"detail": "Not authenticated"}'), None),
    "error-object-in-a-chunk": Scenario(stream(event({"object": "error", "message": "boom", "code": 500})), None),
    "error-number-in-a-chunk": Scenario(stream(event({"error": {"code": 500, "message": None}})), None),
    "nothing-at-all": Scenario(Reply.status("200 OK", b""), None),
    "no-content": Scenario(Reply([b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"]), None),
    "closes-at-once": Scenario(Reply([]), None),
    "no-http": Scenario(Reply([b"SSH-2.0-OpenSSH_9.2\r\n"]), None),
    "gzip-without-a-header": Scenario(Reply([head(), gzip.compress(GOOD)]), None),
    "gzip-that-is-none": Scenario(Reply([head("content-encoding: gzip"), GOOD]), None),
    "length-too-short": Scenario(Reply([head("content-length: 20"), GOOD]), None),
    # aiohttp waits for more where a chunk's size is none: the entry's limit ends it
    "chunk-size-garbage": Scenario(Reply([HEAD, b"zz\r\nfoo\r\n"]), None, hangs=True),
    "401": Scenario(Reply.status("401 Unauthorized", b'{"error": {"message": "bad key"}}'), None),
    "404": Scenario(Reply.status("404 Not Found", b"<html>nginx</html>", kind="text/html"), None),
    "500-html": Scenario(Reply.status("500 Internal Server Error", b"<html>x</html>", kind="text/html"), None),
    "502": Scenario(Reply.status("502 Bad Gateway", b""), None),
    "429": Scenario(Reply.status("429 Too Many Requests", b"{}", "retry-after: Wed, 21 Oct 2099 07:28:00 GMT"), None),
    "opener-then-hangs": Scenario(stream(text("<think>\n"), text(HM), STALL), None, profiles=("unknown", "qwen3"), hangs=True),
    "half-a-closer-then-hangs": Scenario(stream(text(f"{TRACE}\n</thi"), STALL), None, profiles=("unknown",), hangs=True),
    "half-an-event-then-hangs": Scenario(Reply([HEAD, chunked(SAY[0][:20]), STALL]), None, hangs=True),
    "half-a-head-then-hangs": Scenario(Reply([b"HTTP/1.1 200 OK\r\ncontent-ty", STALL]), None, hangs=True),
    "half-a-chunk-size-then-hangs": Scenario(Reply([HEAD, b"1", STALL]), None, hangs=True),
}  # fmt: skip
"""No answer: the fallback has to give it."""

CUT_OFF: dict[str, Scenario] = {
    "broken-mid-event": Scenario(Reply.torn(*SAY, END[0][:20]), profiles=("none", "qwen3")),
    "broken-mid-character": Scenario(
        Reply.torn(*SAY, "data: \U0001f41d".encode()[:8]), profiles=("none", "qwen3")
    ),
    "broken-error-as-text": Scenario(
        stream(*SAY, event({"error": "boom"}), *END), profiles=("none", "qwen3")
    ),
    "broken-error-in-a-choice": Scenario(
        stream(*SAY, chunk({}, "error", error={"message": "boom"}), *END), profiles=("none", "qwen3")
    ),
    "broken-no-reason-but-usage": Scenario(stream(*SAY, USAGE, DONE), profiles=("none", "qwen3")),
    "broken-stalls-mid-event": Scenario(
        Reply([HEAD, *map(chunked, SAY), chunked(END[0][:9]), STALL]), profiles=("none", "qwen3"), hangs=True
    ),
}
"""The answer has begun and does not end."""
