"""A follow-up question as one that stands alone, so that it can be searched for.

"And how heavy is it?" finds nothing: a model entry that has read the conversation says what "it" is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from services.core.clients.generation import GenerationClient
from services.core.errors import ServiceError
from services.core.wire.chat import ChatMessage
from services.core.wire.sampling import Sampling

TURNS = 6
"""The latest turns that the model is shown: older ones are rarely what a follow-up means."""

TURN_LENGTH = 600
"""Characters of a turn: an answer's beginning says what it is about, and prefill is what costs on a CPU."""

TOKENS = 64
LONGEST = 400
"""Characters of a stand-alone question; a longer reply is an answer, or worse."""

INSTRUCTION = (
    "Rewrite the user's last question so that it can be understood without the conversation: put in the "
    "names that words like it, they or there stand for. Do not answer it. Reply with the question alone."
)

EXAMPLES = (
    ("User: Who wrote Faust?\nAssistant: Goethe.", "And when was he born?", "When was Goethe born?"),
    ("User: Who wrote Faust?\nAssistant: Goethe.", "How deep is Lake Baikal?", "How deep is Lake Baikal?"),
)
"""What a small model needs to see: what follows up is completed, what does not is left alone."""

_THOUGHT = re.compile(r"^.*</think>|<think>.*$", re.DOTALL)
_LABEL = re.compile(r"^\W*(?:stand-?alone|rewritten|last)?\s*question\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rewriter:
    """`seconds` bounds the whole; a model that thinks is asked not to."""

    generation: GenerationClient
    seconds: float = 10.0

    async def rewrite(self, question: str, history: Sequence[ChatMessage], *, model: str) -> str:
        """Rewrite the question so that it stands alone; it stays where no earlier turn can say what it means.

        Raises `RaglineError` or `TimeoutError` where the model gives none in time.
        """
        said = transcript(history)
        if not said:
            return question
        prompt = [ChatMessage(role="system", content=INSTRUCTION)]
        for conversation, last, whole in EXAMPLES:
            prompt.append(ChatMessage(role="user", content=_state_task(conversation, last)))
            prompt.append(ChatMessage(role="assistant", content=whole))
        prompt.append(ChatMessage(role="user", content=_state_task(said, question)))
        sampling = Sampling(max_tokens=TOKENS, temperature=0.0, max_reasoning_tokens=0)
        parts: list[str] = []
        async with (
            asyncio.timeout(self.seconds),
            aclosing(self.generation.chat(prompt, model=model, sampling=sampling)) as deltas,
        ):
            async for delta in deltas:
                parts.append(delta.content)
        found = standalone("".join(parts))
        if not found or (question.rstrip().endswith("?") and not found.endswith("?")):
            raise ServiceError("generation gave no stand-alone question", service="generation")
        return found


def _state_task(said: str, question: str) -> str:
    return f"Conversation:\n{said}\n\nLast question: {question}\n\nStand-alone question:"


def transcript(history: Sequence[ChatMessage]) -> str:
    """Write the latest turns, one a line, without any thinking; empty where nobody said anything."""
    turns = [message for message in history if message.role in {"user", "assistant"}]
    lines = [
        f"{'User' if message.role == 'user' else 'Assistant'}: {spoken}"
        for message in turns[-TURNS:]
        if (spoken := _shorten(message.text))
    ]
    return "\n".join(lines)


def standalone(reply: str) -> str:
    """Read a question from a model's reply: its first line without label and quotes; empty for none."""
    text = _THOUGHT.sub("", reply).strip()
    line = _LABEL.sub("", text.split("\n", 1)[0]).strip().strip("\"'`*\u201c\u201d").strip()
    return line if len(line) <= LONGEST else ""


def _shorten(text: str) -> str:
    words = " ".join(_THOUGHT.sub("", text).split())
    return words if len(words) <= TURN_LENGTH else f"{words[:TURN_LENGTH]} ..."
