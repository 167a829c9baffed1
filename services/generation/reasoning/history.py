"""Text that is finished, without its thinking: earlier turns of a conversation, whole answers. Pure."""

from __future__ import annotations

from services.generation.reasoning.parser import ReasoningParser
from services.generation.reasoning.profiles import PROFILES, Profile

Messages = tuple[tuple[str, str], ...]


def split(text: str, profile: Profile) -> tuple[str, str]:
    """Reasoning and answer of a whole text; also where it closes what it never opened."""
    parser = ReasoningParser(profile)
    pieces = [*parser.feed(content=text), *parser.finish()]
    reasoning = "".join(piece.text for piece in pieces if piece.channel == "reasoning")
    content = "".join(piece.text for piece in pieces if piece.channel == "content")
    if parser.misplaced:
        reasoning, content = f"{content[: parser.misplaced].rstrip()}{reasoning}", content[parser.misplaced :]
    return reasoning, content


def without_thinking(messages: Messages) -> Messages:
    """The assistant's turns as the answers that they were: no model is shown what one has thought."""
    return tuple(
        (role, split(text, PROFILES["unknown"])[1].strip() if role == "assistant" else text)
        for role, text in messages
    )


def folded(messages: Messages) -> Messages:
    """The system text at the head of the first user turn, for models that want no system message."""
    system = "\n\n".join(text for role, text in messages if role == "system")
    turns = [message for message in messages if message[0] != "system"]
    if not system:
        return messages
    for position, (role, text) in enumerate(turns):
        if role == "user":
            turns[position] = (role, f"{system}\n\n{text}")
            return tuple(turns)
    return (("user", system), *turns)
