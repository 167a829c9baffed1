"""Misbehaviour as users of vLLM, SGLang, llama.cpp, Ollama, LiteLLM and others report it. See `engine_scenarios`."""

from __future__ import annotations

import gzip
import zlib

import orjson

from tests.contract.engine_scenarios import (
    CUT,
    DONE,
    END,
    HM,
    LONG,
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
    think,
)
from tests.contract.misbehaving import HEAD, Reply, chunked
from tests.contract.unnamed_scenarios import head, whole, wrapped

BY_ALL = ("unknown", "instruct", "qwen3", "deepseek-r1", "field")
BY_TAGS = ("unknown", "instruct", "qwen3", "field")
WORDS = ("Yes, ", "bees ", "fly. ", "[1]")
DELIBERATE = "Wings are there. Wait, the passage says honey. Hmm, but dancing needs wings. So they fly."
GOOD = whole((*SAY, *END))


def late(reply: tuple[bytes, ...], *more: bytes) -> Reply:
    return stream(*SAY, *reply, *more)


LONG_TEXT = f"{LONG}\n</think>\n\n{YES}"
LONG_PARTS = [LONG_TEXT[at : at + 60] for at in range(0, len(LONG_TEXT), 60)]
TAGS_OF_OTHERS = {
    "internal": ("<internal_monologue>", "</internal_monologue>"),
    "reflection": ("<reflection>", "</reflection>"),
    "scratchpad": ("<scratchpad>", "</scratchpad>"),
    "analysis": ("<analysis>", "</analysis>"),
    "ponder": ("<pondering>", "</pondering>"),
    "inner": ("<inner_thoughts>", "</inner_thoughts>"),
    "cot": ("<cot>", "</cot>"),
    "thinking-bars": ("<|thinking|>", "<|/thinking|>"),
    "think-bars": ("<|think|>", "<|/think|>"),
    "start-end": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "begin-end": ("<|begin_of_thinking|>", "<|end_of_thinking|>"),
    "thinking-square": ("[THINKING]", "[/THINKING]"),
    "reasoning-square": ("[REASONING]", "[/REASONING]"),
    "thinking-fence": ("```thinking", "```"),
    "details": ('<details type="reasoning" done="true">', "</details>"),
    "attributes": ('<think time="3">', "</think>"),
    "spaced": ("< think >", "</ think >"),
    "inside-spaces": ("<think >", "</think >"),
    "antml": ("<antThinking>", "</antThinking>"),
    "full-width": ("\uff1cthink\uff1e", "\uff1c/think\uff1e"),
    "bars-wide": ("<\uff5cthink\uff5c>", "<\uff5c/think\uff5c>"),
    "unicode-escaped": ("\\u003cthink\\u003e", "\\u003c/think\\u003e"),
    "apertus": ("<|inner_prefix|>", "<|inner_suffix|>"),
    "longcat": ("<longcat_think>", "</longcat_think>"),
    "solar": ("<|begin|>assistant<|think|>", "<|end|><|begin|>assistant<|content|>"),
}

DRESSED = {
    **{
        f"tags-of-{name}": Scenario(wrapped(opener, closer), reasoning=None if name == "solar" else HM, profiles=BY_TAGS)
        for name, (opener, closer) in TAGS_OF_OTHERS.items()
    },
    "preamble-before-the-opener": Scenario(plain(f"Sure.<think>\n{HM}\n</think>\n\n{YES}"), f"Sure.\n\n{YES}", reasoning=HM, profiles=BY_TAGS),
    "opener-glued-to-the-thought": Scenario(plain(f"<think>{HM}</think>{YES}"), reasoning=HM, profiles=BY_TAGS),
    "closer-glued-to-the-answer": Scenario(plain(f"<think>\n{HM}\n</think>{YES}"), reasoning=HM, profiles=BY_TAGS),
    "two-closers": Scenario(plain(f"<think>\n{HM}\n</think>\n</think>\n\n{YES}"), profiles=BY_TAGS),
    "closer-again-after-the-answer": Scenario(plain(f"<think>\n{HM}\n</think>\n\n{YES}\n</think>"), f"{YES}\n", profiles=("unknown", "qwen3", "deepseek-r1")),
    "opener-twice": Scenario(plain(f"<think>\n<think>\n{HM}\n</think>\n\n{YES}"), profiles=("deepseek-r1",)),
    "empty-block": Scenario(plain(f"<think>\n\n</think>\n\n{YES}"), YES, "", profiles=BY_ALL),
    "empty-block-glued": Scenario(plain(f"<think></think>{YES}"), YES, "", profiles=BY_ALL),
    "missing-opener-long": Scenario(stream(*(text(part) for part in LONG_PARTS), *END), YES, LONG, profiles=("unknown", "deepseek-r1")),
    "missing-opener-short": Scenario(plain(f"ok</think>{YES}"), YES, "ok", profiles=("unknown", "deepseek-r1")),
    "missing-opener-qwen3": Scenario(plain(f"{TRACE}\n</think>\n\n{YES}"), YES, TRACE, profiles=("qwen3",)),
    "missing-opener-aloud": Scenario(plain(f"Okay, the user asks. {TRACE}\n</think>\n\n{YES}"), YES, profiles=BY_ALL),
    "missing-opener-thinking-tag": Scenario(plain(f"{TRACE}\n</thinking>\n\n{YES}"), YES, TRACE, profiles=("unknown",)),
    "missing-opener-list": Scenario(plain(f"1. **Analyse**: wings\n2. **Check**: [1]\n{HM}\n</think>\n\n{YES}"), YES, profiles=("unknown", "deepseek-r1")),
    "missing-opener-code": Scenario(plain(f"```python\nprint(1)\n```\n{HM}\n</think>\n\n{YES}"), YES, profiles=("unknown", "deepseek-r1")),
    "harmony-stripped": Scenario(plain(f"analysis{HM}assistantfinal{YES}"), reasoning=HM, profiles=("unknown", "gpt-oss")),
    "harmony-no-start": Scenario(plain(f"<|channel|>analysis<|message|>{HM}<|end|><|channel|>final<|message|>{YES}<|return|>"), reasoning=HM, profiles=("unknown", "gpt-oss")),
    "harmony-constrained": Scenario(plain(f"<|channel|>analysis<|message|>{HM}<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{YES}<|return|>"), reasoning=HM, profiles=("unknown", "gpt-oss")),
    "harmony-commentary": Scenario(plain(f"<|channel|>commentary<|message|>{HM}<|end|><|start|>assistant<|channel|>final<|message|>{YES}"), reasoning=HM, profiles=("unknown", "gpt-oss")),
    "harmony-beside-the-field": Scenario(think("reasoning", *(text(part) for part in ("<|channel|>", "final", "<|message|>")), *SAY), YES, profiles=("unknown", "gpt-oss")),
    "field-thought": Scenario(think("thought", *SAY), YES, profiles=BY_ALL),
    "field-thoughts": Scenario(think("thoughts", *SAY), YES, profiles=BY_ALL),
    "field-reasoning-text": Scenario(think("reasoning_text", *SAY), YES, profiles=BY_ALL),
    "field-thinking-content": Scenario(think("thinking_content", *SAY), YES, profiles=BY_ALL),
    "field-thinking-blocks": Scenario(stream(chunk({"thinking_blocks": [{"type": "thinking", "thinking": HM, "signature": "x"}]}), *SAY, *END), reasoning=HM, profiles=BY_ALL),
    "field-thinking-object": Scenario(stream(chunk({"thinking": {"content": HM, "signature": "x"}}), *SAY, *END), reasoning=HM, profiles=BY_ALL),
    "field-reasoning-object": Scenario(stream(chunk({"reasoning": {"content": HM}}), *SAY, *END), reasoning=HM, profiles=BY_ALL),
    "field-with-tags-in-it": Scenario(stream(chunk({"reasoning": f"<think>\n{HM}\n</think>"}), *SAY, *END), profiles=BY_ALL),
    "field-repeats-the-answer": Scenario(stream(*(chunk({"content": word, "reasoning_content": None}) for word in WORDS), chunk({"reasoning_content": ""}), *END), profiles=BY_ALL),
    "field-and-opener-alone": Scenario(stream(text("<think>"), *(chunk({"reasoning": f"{word} "}) for word in HM.split()), text("</think>"), *SAY, *END), profiles=BY_ALL),
    "field-and-closer-in-one-chunk": Scenario(stream(chunk({"reasoning": HM, "content": "</think>Yes, "}), *SAY[1:], *END), reasoning=HM, profiles=BY_ALL),
    "field-twice-in-turns": Scenario(stream(chunk({"reasoning": HM}), *SAY[:2], chunk({"reasoning": HM}), *SAY[2:], *END), profiles=("unknown", "field")),
    "part-thinking": Scenario(stream(text([{"type": "thinking", "text": HM}]), *SAY, *END), reasoning=HM, profiles=BY_ALL),
    "part-reasoning": Scenario(stream(text([{"type": "reasoning", "reasoning": HM}]), *SAY, *END), reasoning=HM, profiles=BY_ALL),
    "part-redacted": Scenario(stream(text([{"type": "redacted_thinking", "data": "Zm9v"}]), *SAY, *END), profiles=BY_ALL),
    "part-output-text": Scenario(stream(text([{"type": "output_text", "text": "Yes, "}]), *SAY[1:], *END), profiles=BY_ALL),
    "part-thought-true": Scenario(stream(text([{"type": "text", "text": HM, "thought": True}, {"type": "text", "text": "Yes, "}]), *SAY[1:], *END), reasoning=HM, profiles=BY_ALL),
    "message-in-every-chunk": Scenario(stream(*(event({"choices": [{"index": 0, "message": {"content": whole_text}, "finish_reason": None}]}) for whole_text in ("Yes, ", "Yes, bees ", "Yes, bees fly. [1]")), *END)),
    "template-token-first": Scenario(plain(f"<|assistant|>\n{YES}"), profiles=("unknown", "none", "qwen3")),
    "end-token-llama": Scenario(plain(f"{YES}<|eot_id|>"), profiles=BY_ALL),
    "end-token-deepseek": Scenario(plain(f"<think>\n{HM}\n</think>\n\n{YES}<\uff5cend\u2581of\u2581sentence\uff5c>"), profiles=BY_ALL),
    "end-token-gemma": Scenario(plain(f"{YES}<end_of_turn>"), profiles=BY_ALL),
    "end-token-glm": Scenario(plain(f"{YES}<|user|>"), profiles=BY_ALL),
    "end-token-endoftext": Scenario(plain(f"{YES}<|endoftext|>"), profiles=BY_ALL),
}  # fmt: skip
"""An answer, in whatever its thinking or its template dresses it."""

ODD: dict[str, Scenario] = {
    "reason-with-usage": Scenario(stream(*SAY, event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}), DONE)),
    **{
        f"reason-{word.replace('_', '-').lower()}": Scenario(late((chunk({}, word), USAGE, DONE)))
        for word in ("EOS", "COMPLETE", "STOP_SEQUENCE", "end", "done", "normal", "completed", "eos_token_found", "FINISH_REASON_STOP", "stop_str")
    },
    **{
        f"cut-by-{word.replace('_', '-').lower()}": Scenario(late((chunk({}, word), USAGE, DONE)), finish_reason="length")
        for word in ("MAX_TOKENS_REACHED", "unknown", "OTHER", "FINISH_REASON_UNSPECIFIED", "length_limit", "model_length", "FINISH_REASON_MAX_TOKENS", "max_length", "context_window_exceeded", "token_budget", "incomplete", "partial")
    },
    "stop-reason-beside": Scenario(stream(*SAY, chunk({}, "stop", stop_reason=151645), USAGE, DONE)),
    "native-length-beside": Scenario(stream(*SAY, chunk({}, "stop", native_finish_reason="MAX_TOKENS"), USAGE, DONE), finish_reason="length"),
    "done-reason-length": Scenario(stream(*SAY, event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "done_reason": "length"}), USAGE, DONE), finish_reason="length"),
    "stop-at-the-limit-mid-word": Scenario(stream(*(text(word) for word in ("Yes, ", "bees ", "fly ", "with the")), END[0], event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1024}}), DONE), "Yes, bees fly with the", finish_reason="length", profiles=("none", "unknown")),
    "done-within-the-text": Scenario(plain("Yes: data: [DONE] ends it. [1]"), "Yes: data: [DONE] ends it. [1]"),
    "done-alone-as-text": Scenario(stream(*SAY, text("[DONE]"), *END), f"{YES}[DONE]"),
    "done-in-quotes": Scenario(stream(*SAY, *END[:2], b'data: "[DONE]"\n\n')),
    "done-lower-case": Scenario(stream(*SAY, *END[:2], b"data: [done]\n\n")),
    "done-as-json": Scenario(stream(*SAY, *END[:2], b'data: {"done": true}\n\n', DONE)),
    "done-twice": Scenario(stream(*SAY, *END, DONE)),
    "text-after-done": Scenario(stream(*SAY, *END, text("More!"))),
    "event-named-done": Scenario(stream(*SAY, *END[:2], b"event: done\ndata: {}\n\n")),
    "events-of-metadata": Scenario(stream(b'event: metadata\ndata: {"run": 1}\n\n', *SAY, *END)),
    "openrouter-comments": Scenario(stream(*(b": OPENROUTER PROCESSING\n\n" for _ in range(4)), *SAY, *END)),
    "usage-first-with-empty-choices": Scenario(stream(event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}}), *SAY, *END)),
    "azure-filter-results": Scenario(stream(event({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}), *SAY, *END)),
    "choice-is-null": Scenario(stream(event({"choices": [None]}), *SAY, *END)),
    "choices-is-object": Scenario(stream(*(event({"choices": {"0": {"index": 0, "delta": {"content": word}}}}) for word in WORDS), *END), None),
    "empty-object-delta": Scenario(stream(chunk({}), *SAY, chunk({}), *END)),
    "one-object-per-line-no-blank": Scenario(stream(*(part.replace(b"\n\n", b"\n") for part in (*SAY, *END)), b"\n")),
    "three-newlines": Scenario(stream(*(part.replace(b"\n\n", b"\n\n\n") for part in (*SAY, *END)))),
    "pretty-json": Scenario(stream(*(b"".join(b"data: " + line + b"\n" for line in orjson.dumps(orjson.loads(part[6:]), option=orjson.OPT_INDENT_2).split(b"\n")) + b"\n" for part in SAY), *END)),
    "tab-after-colon": Scenario(stream(*(part.replace(b"data: ", b"data:\t", 1) for part in (*SAY, *END)))),
    "carriage-return-alone": Scenario(stream(*(part.replace(b"\n", b"\r") for part in (*SAY, *END)))),
    "kind-is-text": Scenario(Reply([head().replace(b"text/event-stream", b"text/plain; charset=utf-8"), GOOD])),
    "kind-is-json": Scenario(Reply([head().replace(b"text/event-stream", b"application/json"), GOOD])),
    "kind-is-html": Scenario(Reply([head().replace(b"text/event-stream", b"text/html"), GOOD])),
    "no-kind": Scenario(Reply([head().replace(b"content-type: text/event-stream\r\n", b""), GOOD])),
    "kind-latin-1": Scenario(Reply([head().replace(b"event-stream", b"event-stream; charset=ISO-8859-1"), GOOD])),
    "deflate": Scenario(Reply([head("content-encoding: deflate"), zlib.compress(GOOD)])),
    "gzip-flushed-in-pieces": Scenario(Reply([head("content-encoding: gzip"), gzip.compress(GOOD)[:40], gzip.compress(GOOD)[40:]])),
    "status-201": Scenario(Reply([head(status="HTTP/1.1 201 Created"), GOOD])),
    "continue-first": Scenario(Reply([b"HTTP/1.1 100 Continue\r\n\r\n", head(), GOOD])),
    "early-hints-first": Scenario(Reply([b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", head(), GOOD])),
    "trailers": Scenario(Reply([HEAD, *map(chunked, (*SAY, *END)), b"0\r\nx-checksum: 1\r\n\r\n"])),
    "many-headers": Scenario(Reply([head(*(f"x-{at}: y" for at in range(90))), GOOD])),
    "two-lengths": Scenario(Reply([head(f"content-length: {len(GOOD)}", f"content-length: {len(GOOD)}"), GOOD]), None),
    "ollama-object-beside": Scenario(stream(*(event({"model": "m", "message": {"content": "no"}, "choices": [{"index": 0, "delta": {"content": word}}]}) for word in WORDS), *END)),
    "escaped-newlines": Scenario(plain("Yes,\n\nbees\r\nfly. [1]"), "Yes,\n\nbees\r\nfly. [1]"),
    "very-long-event": Scenario(stream(chunk({"content": "Yes, ", "x": "y" * 300_000}), *SAY[1:], *END)),
    "emoji-by-bytes": Scenario(stream(*(bytes([one]) for one in "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\U0001f41d \"}}]}\n\n".encode()), *SAY, *END), f"\U0001f41d {YES}"),
    "index-minus-one": Scenario(stream(*(event({"choices": [{"index": -1, "delta": {"content": word}}]}) for word in WORDS), *END), None),
    "index-one-alone": Scenario(stream(*(event({"choices": [{"index": 1, "delta": {"content": word}, "finish_reason": None}]}) for word in WORDS), event({"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}), DONE), None),
    "whole-json-with-thinking": Scenario(Reply.status("200 OK", orjson.dumps({"object": "chat.completion", "choices": [{"index": 0, "message": {"content": YES, "reasoning_content": HM}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})), reasoning=HM),
    "whole-json-with-tags": Scenario(Reply.status("200 OK", orjson.dumps({"choices": [{"index": 0, "message": {"content": f"<think>{HM}</think>{YES}"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})), reasoning=HM, profiles=("unknown", "qwen3")),
    "whole-json-as-one-event": Scenario(stream(event({"object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": YES}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}), DONE)),
    "reset-after-finish": Scenario(Reply.torn(*SAY, *END[:2])),
    "ping-events-between": Scenario(stream(*(part for word in SAY for part in (b"event: ping\ndata: {}\n\n", word)), *END)),
    "warning-event": Scenario(stream(event({"warning": "context shifted"}), *SAY, *END)),
    "logprobs-null": Scenario(stream(*(chunk({"content": word}, None, logprobs=None, token_ids=[1]) for word in WORDS), *END)),
    "function-call-null": Scenario(stream(*(chunk({"content": word, "function_call": None, "tool_calls": None, "refusal": None}) for word in WORDS), *END)),
    "tool-calls-empty": Scenario(stream(*(chunk({"content": word, "tool_calls": []}) for word in WORDS), *END)),
    "name-and-role-in-each": Scenario(stream(*(chunk({"content": word, "role": "assistant", "name": "x"}) for word in WORDS), *END)),
}  # fmt: skip
"""An answer, however it is sent; `content` None: nothing that can be taken for one."""

UNANSWERED: dict[str, Scenario] = {
    "upper-case-field": Scenario(stream(*(part.replace(b"data: ", b"Data: ", 1) for part in (*SAY, *END))), None),
    "llama-error-field": Scenario(stream(b'error: {"code":400,"message":"the request exceeds the available context size","type":"invalid_request_error"}\n\n', DONE), None),
    "error-beside-choices": Scenario(stream(event({"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": None}], "error": {"message": "boom", "code": 502}})), None),
    "error-code-in-a-choice": Scenario(stream(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"code": 429, "message": "rate"}}]}), DONE), None),
    "error-with-200-and-status": Scenario(Reply.status("200 OK", b'{"status": "error", "message": "no model is loaded"}'), None),
    "error-list": Scenario(Reply.status("200 OK", b'[{"error": {"code": 400, "message": "bad"}}]'), None),
    "login-page": Scenario(Reply.status("200 OK", b"<!doctype html><title>Sign in</title>", kind="text/html"), None),
    "login-redirect": Scenario(Reply.status("302 Found", b"", "location: /login"), None),
    "503-html": Scenario(Reply.status("503 Service Unavailable", b"<html>upstream</html>", "retry-after: 1", kind="text/html"), None),
    "429-html": Scenario(Reply.status("429 Too Many Requests", b"<html>slow down</html>", kind="text/html"), None),
    "524": Scenario(Reply.status("524 A Timeout Occurred", b"error code: 524", kind="text/plain"), None),
    "499": Scenario(Reply.status("499 Client Closed", b""), None),
    "empty-200-stream": Scenario(stream(), None),
    "comments-alone": Scenario(stream(b": a\n\n", b": b\n\n"), None),
    "role-and-finish": Scenario(stream(chunk({"role": "assistant", "content": ""}), chunk({}, "stop"), DONE), None),
    "role-and-length": Scenario(stream(chunk({"role": "assistant", "content": ""}), chunk({}, "length"), DONE), None),
    "thoughts-trapped-in-the-field": Scenario(think("reasoning", chunk({"content": ""})), None, profiles=BY_ALL),
    "closed-and-empty": Scenario(plain(f"<think>\n{HM}\n</think>\n\n"), None, profiles=("unknown", "qwen3", "deepseek-r1")),
    "closed-and-empty-cut": Scenario(plain(f"<think>\n{HM}\n</think>", end=CUT), None, profiles=("unknown", "qwen3", "deepseek-r1")),
    "aloud-and-cut": Scenario(plain(DELIBERATE + f" {HM}", end=CUT), None, profiles=("unknown", "deepseek-r1")),
    "answer-inside-the-thinking": Scenario(plain(f"<think>\n{HM}\n{YES}"), None, profiles=("unknown", "qwen3", "deepseek-r1")),
    "other-tags-and-cut": Scenario(plain(f"<|START_THINKING|>{HM}", end=CUT), None, profiles=("unknown",)),
    "tool-call-as-text-tags": Scenario(stream(chunk({"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{"}}]}), chunk({}, "length"), DONE), None),
    "abort-word-first": Scenario(stream(chunk({}, "abort"), DONE), None),
    "blanks-until-cut": Scenario(stream(*(text("\n") for _ in range(50)), *CUT), None),
    "drip-then-silence": Scenario(stream(chunk({"reasoning": HM}), STALL), None, hangs=True),
    "chunked-broken": Scenario(Reply([HEAD, chunked(SAY[0])[:-9]]), None),
    "http-0-9": Scenario(Reply([GOOD]), None),
    "upgrade": Scenario(Reply([b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n"]), None),
    "head-of-garbage": Scenario(Reply([b"HTTP/1.1 200 OK\r\n\x00\x01: \xff\r\n\r\n", GOOD]), None),
}  # fmt: skip
"""No answer: the fallback has to give it."""

CUT_OFF: dict[str, Scenario] = {
    "broken-reason-in-the-delta": Scenario(stream(*SAY, chunk({"finish_reason": "stop"}), USAGE, DONE), profiles=("none", "qwen3")),
    "broken-reason-at-the-top": Scenario(stream(*SAY, event({"choices": [{"index": 0, "delta": {}}], "finish_reason": "stop"}), USAGE, DONE), profiles=("none", "qwen3")),
    "broken-llama-error-field": Scenario(stream(*SAY, b'error: {"code":500,"message":"boom"}\n\n', DONE), profiles=("none", "qwen3")),
    "broken-reason-null": Scenario(stream(*SAY, chunk({}, None), USAGE, DONE), profiles=("none", "qwen3")),
    "broken-worker-died": Scenario(late((chunk({}, "worker_died"), DONE)), profiles=("none", "qwen3")),
    "broken-engine-dead": Scenario(late((chunk({}, "engine_dead_error"), DONE)), profiles=("none", "qwen3")),
    "broken-preempted": Scenario(late((chunk({}, "preempted"), DONE)), profiles=("none", "qwen3")),
    "broken-message-of-error": Scenario(late((event({"object": "error", "message": "CUDA out of memory"}), DONE)), profiles=("none", "qwen3")),
    "broken-detail": Scenario(late((event({"detail": "Internal Server Error"}), DONE)), profiles=("none", "qwen3")),
    "broken-html": Scenario(stream(*SAY, b"<html><body>502 Bad Gateway</body></html>"), profiles=("none", "qwen3")),
    "broken-html-as-data": Scenario(stream(*SAY, raw("<html>502</html>"), DONE), profiles=("none", "qwen3")),
    "broken-done-alone": Scenario(stream(*SAY, DONE, DONE), profiles=("none", "qwen3")),
    "broken-length-too-short": Scenario(Reply([head(f"content-length: {len(whole(SAY)) - 4}"), GOOD]), profiles=("none", "qwen3")),
}  # fmt: skip
"""The answer has begun and does not end."""
