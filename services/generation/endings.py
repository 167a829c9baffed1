"""Why an answer ended, out of the words that servers have for it. Pure, but for a line in the log."""

from __future__ import annotations

import re

import structlog

from services.core.errors import ServiceError
from services.core.wire.chat import FinishReason

log = structlog.get_logger(__name__)

REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "eos_token": "stop",
    "eos": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
"""The finish reasons by the names that servers have for them; TGI's and older names among them."""

SEVERITY: tuple[FinishReason | None, ...] = (
    None,
    "stop",
    "function_call",
    "tool_calls",
    "length",
    "content_filter",
)
"""Of several finish reasons in one stream the last of these counts: an answer is cut where any says so."""

_FAILURE = re.compile(
    r"abort|error|cancel|fail|time_?out|insufficient|overload|interrupt|unavailable|malformed"
    r"|died|dead|crash|kill|preempt|evict|disconnect|exception|shut_?down"
)
_KINDS: tuple[tuple[re.Pattern[str], FinishReason], ...] = (
    (re.compile(r"length|max|limit|trunc|budget|context|incomplete|partial"), "length"),
    (re.compile(r"unknown|unspecified|other"), "length"),
    (re.compile(r"filter|safety|recitation|block|refus|prohibit|moderat"), "content_filter"),
    (re.compile(r"tool|function"), "tool_calls"),
)
"""What finish reasons mean that are not in `REASONS`, by the words in them; what is left is `stop`.

Where a server says that it does not know why the answer ended, it may be cut off: it is not called whole.
"""


def read_finish_reason(reason: object, engine: str) -> FinishReason | None:
    """Translate a server's finish reason; None and empty: the answer goes on.

    A word that nobody knows ends an answer as `stop`, and is logged.

    Raises:
        ServiceError: The reason means failure: it is not an answer's end.
    """
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    if reason is None or reason is False or reason == "":
        return None
    word = str(reason).lower()
    if word in REASONS:
        return REASONS[word]
    if word in {"null", "none"}:
        return None
    if _FAILURE.search(word):
        raise ServiceError(f"{engine} broke off with finish_reason {reason!r}", service=engine)
    kind = next((kind for pattern, kind in _KINDS if pattern.search(word)), None)
    if kind is None:
        log.warning("unknown finish reason, taken as stop", engine=engine, finish_reason=word)
    return kind or "stop"
