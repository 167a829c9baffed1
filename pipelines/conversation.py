"""Whether a conversation can be answered where no passage was found: from what it holds. Pure.

Documents are not the only evidence. A file may be attached to a message, an earlier answer may be asked to be
translated, a tool may have replied, and a greeting needs no evidence. What is left is a question to the
documents, and without passages that is an abstention.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipelines.prompting import ABSTENTION
from pipelines.sentences import content_words
from services.core.wire.chat import ChatMessage

HELD_SHARE = 0.5
"""Of a question's content words, the least share that attached text or earlier answers must hold."""

ATTACHED_WORDS = 60
"""A message from so many words on is read as one that brings text along, and not only a question."""

SMALL_TALK_WORDS = 6

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")

_ATTACHMENT = re.compile(
    r"<(context|source|document|file|attachment|chat_history|transcript)\b"
    r"|^#{1,4}\s*(task|context|chat history)\b|```|^\s*(context|document|text|file)\s*:\s*$",
    re.IGNORECASE | re.MULTILINE,
)
"""How chat clients mark what they attach: files, search results, the conversation for a title."""

_QUOTED_CHAT = re.compile(r"<chat_history>|^#{1,4}\s*chat history\b", re.IGNORECASE | re.MULTILINE)

_SMALL_TALK = """
hello hi hey howdy greetings good morning afternoon evening night day bye goodbye see you later soon
welcome thanks thank thx cheers ok okay great cool nice perfect super well done got it yes no sure
please sorry how are very much so a lot that's that was is helpful for your help again all there to everyone
hallo guten tag morgen abend danke dankeschön vielen dank tschüss auf wiedersehen moin servus bitte
bonjour bonsoir salut merci beaucoup au revoir hola buenos días buenas tardes noches gracias muchas adiós
ciao buongiorno buonasera grazie mille arrivederci olá bom dia boa tarde noite obrigado obrigada tchau
"""
_GREETINGS = """
hello hi hey howdy greetings morning afternoon evening bye goodbye thanks thank thx cheers ok okay great cool
nice perfect super hallo danke dankeschön dank tschüss moin servus bonjour bonsoir salut merci hola gracias
adiós ciao buongiorno buonasera grazie arrivederci olá obrigado obrigada tchau
"""
_SIGNS = """
こんにちは ありがとう 你好 谢谢 謝謝 안녕 감사 привет спасибо مرحبا شكرا
"""
_REFERRING = """
that this it its these those them above previous former latter again instead more shorter longer simpler
translate summarize summarise rephrase reword rewrite shorten simplify elaborate continue expand repeat
davon darüber dazu nochmal übersetze übersetz zusammenfassen fasse kürzer umformulieren
traduis traduire résume reformule cela ça traduce traducir resume eso esto traduci riassumi questo traduza
resuma isso
"""
SMALL_TALK, GREETINGS = frozenset(_SMALL_TALK.split()), frozenset(_GREETINGS.split())
"""A message of words of small talk alone, with one that greets, thanks or takes leave, asks no document."""

SIGNS = tuple(_SIGNS.split())
"""The same in scripts that have no words between blanks, or few."""

REFERRING = frozenset(_REFERRING.split())
"""Words that point to what was said before, or ask to do something with it."""


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
    if answers and not REFERRING.isdisjoint(_read_words(question)):
        return True
    wanted = content_words(question)
    words = frozenset[str]().union(*(content_words(text) for text in held))
    return bool(wanted) and len(wanted & words) >= HELD_SHARE * len(wanted)


def is_small_talk(text: str) -> bool:
    """Whether a message only greets or thanks."""
    words = _read_words(text)
    if any(sign in text for sign in SIGNS):
        return len(text) <= 8 * SMALL_TALK_WORDS and "?" not in text and "\uff1f" not in text
    return (
        0 < len(words) <= SMALL_TALK_WORDS
        and SMALL_TALK.issuperset(words)
        and not GREETINGS.isdisjoint(words)
    )


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


def _read_words(text: str) -> list[str]:
    return [match.group().lower().replace("\u2019", "'") for match in _WORD.finditer(text)]
