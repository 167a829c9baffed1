"""Which entry answers a question that names no model: by shares, the same for a whole conversation. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pipelines.rag import Question
from services.core.wire.split import WHOLE
from services.gateway.access.caller import Caller

CONVERSATION_HEADER = "x-conversation-id"
"""What a client may send with every question of one conversation."""


def find_point(conversation: str) -> float:
    """Return the conversation's place in 0 to 100: the first 64 bits of its SHA-256, as a share of all."""
    return int.from_bytes(hashlib.sha256(conversation.encode()).digest()[:8]) / 2**64 * WHOLE


def choose_entry(shares: Mapping[str, float], conversation: str) -> str:
    """Choose the entry that answers a conversation; empty for the default one.

    Each entry has a stretch of 0 to 100 as long as its share, one after another, and the conversation's point
    lies in one of them. So a conversation that the first entry has stays with it while its share grows.
    """
    point, end = find_point(conversation), 0.0
    for name, share in shares.items():
        end += share
        if point < end:
            return name
    return ""


def identify_conversation(question: Question, caller: Caller, *, header: str = "", user: str = "") -> str:
    """Say which conversation a question belongs to, within what its caller asks.

    Args:
        question: The question, with what was said before it.
        caller: Who asks.
        header: What the client calls the conversation; where it is given nothing else counts.
        user: OpenAI's `user` of the request.

    Returns:
        A text that is the same for every question of the conversation: the header, or else `user` and the
        first message of a user.
    """
    first = next((turn.text for turn in question.history if turn.role == "user"), question.text)
    told = ["header", header] if header else ["message", user, first]
    return json.dumps([caller.tenant, caller.id, *told])
