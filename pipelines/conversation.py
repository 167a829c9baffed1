"""Whether a conversation can be answered where no passage was found: from what it holds. Pure.

Documents are not the only evidence. A file may be attached to a message, an earlier answer may be asked to be
translated, a tool may have replied, and a greeting needs no evidence. What is left is a question to the
documents, and without passages that is an abstention.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipelines.phrases import (
    FOLLOW_PHRASES,
    GREETINGS,
    LAST_ANSWER,
    PHRASES,
    REFERRING,
    REFERRING_SIGNS,
    SIGNS,
    SMALL_TALK,
    read_words,
)
from pipelines.prompting import ABSTENTION
from pipelines.sentences import content_words
from services.core.wire.chat import ChatMessage

HELD_SHARE = 0.5
"""Of a question's content words, the least share that attached text or earlier answers must hold."""

ATTACHED_WORDS = 60
"""A message from so many words on is read as one that brings text along, and not only a question."""

SMALL_TALK_WORDS = 8

POINTING_CHARACTERS = 2000
"""Where a message points to the last answer: near its start or its end. What is between may be megabytes."""

_MARKS = re.compile(r"[\W\d_]+")

_ATTACHMENT = re.compile(
    r"<(context|source|document|file|attachment|chat_history|transcript)\b"
    r"|^#{1,4}\s*(task|context|chat history)\b|```|^[^\S\n]*(context|document|text|file)[^\S\n]*:[^\S\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
"""How chat clients mark what they attach: files, search results, the conversation for a title."""

_QUOTED_CHAT = re.compile(r"<chat_history>|^#{1,4}\s*chat history\b", re.IGNORECASE | re.MULTILINE)


def holds_answer(question: str, history: Sequence[ChatMessage], follow: Sequence[ChatMessage] = ()) -> bool:
    """Decide whether the conversation itself is what the question is about.

    Args:
        question: The last user message.
        history: The messages before it.
        follow: Calls of tools and their replies after it.

    Returns:
        Whether a model can answer from it; False where the question is one to the documents.
    """
    if follow or _ATTACHMENT.search(question) or is_small_talk(question):
        return True
    held = list(_list_held(history))
    if not held:
        return False
    answers = any(message.role == "assistant" and _is_answer(message) for message in history)
    if answers and _refers_back(question):
        return True
    wanted = content_words(question)
    words = frozenset[str]().union(*(content_words(text) for text in held))
    return bool(wanted) and len(wanted & words) >= HELD_SHARE * len(wanted)


def is_small_talk(text: str) -> bool:
    """Whether a message only greets, thanks or takes leave."""
    words, rest = read_words(text), text.lower()
    if not 0 < len(words) <= SMALL_TALK_WORDS:
        return False
    if any(sign in rest for sign in SIGNS):
        for sign in SIGNS:
            rest = rest.replace(sign, "")
        return len(_MARKS.sub("", rest)) <= 1
    if not SMALL_TALK.issuperset(words):
        return False
    spans = {tuple(words[at:end]) for at in range(len(words)) for end in range(at + 1, len(words) + 1)}
    return not GREETINGS.isdisjoint(words) or not PHRASES.isdisjoint(spans)


def _refers_back(text: str) -> bool:
    """Whether a message points to what was said before it, or asks to do something with it."""
    words = read_words(text)
    if not REFERRING.isdisjoint(words) or tuple(words) in FOLLOW_PHRASES:
        return True
    ends = (text[:POINTING_CHARACTERS], text[-POINTING_CHARACTERS:])
    return any(map(LAST_ANSWER.search, ends)) or any(sign in text for sign in REFERRING_SIGNS)


def is_task_of_client(question: str) -> bool:
    """Whether a chat client asks for a title, tags or follow-ups of a conversation that it quotes."""
    return _QUOTED_CHAT.search(question) is not None


def _list_held(history: Sequence[ChatMessage]) -> Iterator[str]:
    """List the texts that can carry an answer: attachments, earlier answers, replies of tools."""
    for message in history:
        text = message.text
        if message.role == "assistant":
            carries = _is_answer(message)
        elif message.role == "tool":
            carries = True
        else:
            carries = bool(_ATTACHMENT.search(text)) or len(text.split()) >= ATTACHED_WORDS
        if carries:
            yield text


def _is_answer(message: ChatMessage) -> bool:
    return bool(message.text.strip()) and message.text.strip() != ABSTENTION
