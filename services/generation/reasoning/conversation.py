"""The conversation as a model gets it: without earlier thinking, with what it has to be told. Pure.

An instruct model can be asked to think: it gets two worked examples, and its turn is begun for it. The
examples come before the conversation's last turns, right after the system text, so that an engine with a
prefix cache reads them once. They are grounded answers in miniature: look, relate, conclude. What comes of
it has the form of reasoning; how good it is, is the model's.
"""

from __future__ import annotations

from dataclasses import replace

from services.generation.backend import Capabilities, Prompt, ToolTurn, replace_text
from services.generation.reasoning.parser import ReasoningParser
from services.generation.reasoning.profiles import PROFILES, Profile, trust_beginning

Messages = tuple[tuple[str, str], ...]

_EXAMPLES = (
    (
        "Passages:\n\n[1] Ferries\nThe ferry leaves at 9:15 and needs 50 minutes.\n\n"
        "Question: Is the ferry there by ten?",
        "The ferry leaves at 9:15. It needs 50 minutes, so it arrives at 10:05. That is after ten.",
        "No, it arrives at 10:05.",
    ),
    (
        "A box holds 4 rows of 6 eggs. 5 are broken. How many are whole?",
        "4 rows of 6 are 24 eggs. 24 - 5 = 19.",
        "19 eggs are whole.",
    ),
)

_WRITTEN = trust_beginning(PROFILES["unknown"])
"""The profile of an earlier answer: nothing is known of the model that wrote it."""

_ANSWER_NOW = "Now give the answer alone."


def split_reasoning(text: str, profile: Profile, *, cut: bool = False) -> tuple[str, str]:
    """Split a whole text into reasoning and answer; also where it closes what it never opened.

    Args:
        text: What a model wrote.
        profile: The model's.
        cut: A limit has ended the text.
    """
    parser = ReasoningParser(profile)
    pieces = [*parser.feed(content=text), *parser.finish(cut=cut)]
    reasoning = "".join(piece.text for piece in pieces if piece.channel == "reasoning")
    content = "".join(piece.text for piece in pieces if piece.channel == "content")
    if parser.misplaced:
        reasoning, content = f"{content[: parser.misplaced].rstrip()}{reasoning}", content[parser.misplaced :]
    return reasoning, content


def remove_thinking(messages: Messages) -> Messages:
    """Leave the answers alone of the assistant's turns: no model is shown what one has thought."""
    return tuple(
        replace_text(turn, split_reasoning(turn[1], _WRITTEN, cut=True)[1].strip())
        if turn[0] == "assistant"
        else turn
        for turn in messages
    )


def fold_system_text(messages: Messages) -> Messages:
    """Move the system text to the head of the first user turn, for models that want no system message."""
    system = "\n\n".join(text for role, text in messages if role == "system")
    turns = [message for message in messages if message[0] != "system"]
    if not system:
        return messages
    for position, (role, text) in enumerate(turns):
        if role == "user":
            turns[position] = (role, f"{system}\n\n{text}")
            return tuple(turns)
    return (("user", system), *turns)


def merge_turns(messages: Messages) -> Messages:
    """Make user and assistant take turns, for models whose chat template refuses anything else.

    Neighbours of one role become one turn; where the assistant would begin, an empty-handed user does.
    """
    turns: list[tuple[str, str]] = []
    for turn in messages:
        role, text = turn
        if turns and turns[-1][0] == role and not isinstance(turn, ToolTurn):
            turns[-1] = replace_text(turns[-1], f"{turns[-1][1]}\n\n{text}")
        else:
            turns.append(turn)
    first = next((at for at, (role, _) in enumerate(turns) if role != "system"), 0)
    if turns and turns[first][0] == "assistant":
        turns.insert(first, ("user", "..."))
    return tuple(turns)


def ask_to_think(messages: Messages, opener: str, closer: str) -> Messages:
    """Add the worked examples that make an instruct model think between these tags."""
    system = tuple(message for message in messages if message[0] == "system")
    turns = tuple(message for message in messages if message[0] != "system")
    examples = tuple(
        turn
        for question, thoughts, answer in _EXAMPLES
        for turn in (
            ("user", question),
            ("assistant", f"{opener}\n{thoughts}\n{closer}\n\n{answer}"),
        )
    )
    return (*system, *examples, *turns)


def ask_for_answer(messages: Messages, opener: str, closer: str, thoughts: str) -> Messages:
    """Add the thinking and ask for the answer: for an engine that cannot continue a turn."""
    thought = ("assistant", f"{opener}\n{thoughts}\n{closer}")
    return (*ask_to_think(messages, opener, closer), thought, ("user", _ANSWER_NOW))


def add_system_lines(prompt: Prompt, profile: Profile, capabilities: Capabilities, *, thinks: bool) -> Prompt:
    """Put into the system text what the model can be told by no other way.

    That is the effort, where the engine has no field and no template option for it, and whether to think,
    where the model is switched by its system text alone.

    Args:
        prompt: The request.
        profile: The model's.
        capabilities: The engine's.
        thinks: Whether the model shall think.
    """
    lines = [profile.system_switch[0 if thinks else 1]] if profile.system_switch else []
    if prompt.effort and not capabilities.effort:
        lines.append(profile.effort_line.format(effort=prompt.effort))
        prompt = replace(prompt, effort="")
    if not lines:
        return prompt
    system = [text for role, text in prompt.messages if role == "system"]
    turns = tuple(message for message in prompt.messages if message[0] != "system")
    return replace(prompt, messages=(("system", "\n\n".join([*lines, *system])), *turns))
